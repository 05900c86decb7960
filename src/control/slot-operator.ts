import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { targetOwners } from '../table/ring.ts'
import { ownersOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import { clusterStatus } from './cluster-status.ts'
import type { ControlClient } from './control-client.ts'
import { atLeader } from './leader-calls.ts'

/** The part of a cluster's control that moves of slots need. */
export interface SlotCluster {
  sample(): Promise<ClusterSample>
  /** Throws NODE_UNKNOWN. */
  node(id: string): Pick<ControlClient, 'moveSlots' | 'abortMoves'>
}

/** A slot that is not where it should be. */
export interface PlannedMove {
  readonly slot: number
  readonly from: string
  readonly to: string
}

export interface MoveProgress {
  /** Slots that have arrived. */
  readonly moved: number
  /** Slots that stay where they were. */
  readonly aborted: number
  readonly total: number
}

export interface MoveReport {
  /** Slots that have arrived. */
  readonly moved: number
  /** Slots that were to move. */
  readonly total: number
  /** How long it took. */
  readonly seconds: number
  /** Slots that stay where they were, ascending. */
  readonly aborted: readonly number[]
}

export interface AbortReport {
  /** Slots that stay where they are, ascending. */
  readonly aborted: readonly number[]
  /** Slots for which it came too late, ascending. */
  readonly moved: readonly number[]
}

export interface CarryOptions {
  /** So many moves are under way at once. Default: all that one call takes. */
  readonly atOnce?: number
  /** False returns as soon as all are under way. */
  readonly wait?: boolean
  /** Waits no longer and begins no more; what is under way goes on. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined
}

/** In one command, and in one call. */
export const slotsAtOnce = 1_024
const patienceMs = 5_000
const pollMs = 200
/** What passes by itself, or may simply be asked again: a change of the table that is there already is none. */
const passing: readonly ErrorCode[] = [
  'NOT_LEADER',
  'NO_LEADER',
  'UNREACHABLE',
  'TIMEOUT',
  'CANCELLED',
  'PROPOSAL_DROPPED',
  'OVERLOADED'
]

/** Moves slots of a running cluster from set to set. The routing table alone tells what became of a move, so nothing here is lost when a command ends. */
export class SlotOperator {
  readonly #cluster: SlotCluster
  readonly #patienceMs: number

  /** @param patience how long to look for a leader, and for a node that answers. */
  constructor(cluster: SlotCluster, patience = patienceMs) {
    this.#cluster = cluster
    this.#patienceMs = patience
  }

  /**
   * What has to move for the slots to be in the set; those that are on their way there are part of it. Throws SET_UNKNOWN, SLOT_UNKNOWN, and
   * SLOT_MOVING for one that goes elsewhere.
   */
  async plan(slots: readonly number[], to: string): Promise<PlannedMove[]> {
    const table = await this.#table()
    if (!table.sets.some(({ id }) => id === to)) {
      const known = table.sets.map(({ id }) => id).join(', ')
      throw new RingsetError('SET_UNKNOWN', `no set is called ${to}; there are ${known}`, { to })
    }
    mustHave(table, slots)
    return planned(table, new Map(slots.map(slot => [slot, to])))
  }

  /** What has to move for the sets to have their shares by weight. Throws SLOT_MOVING for a slot that goes elsewhere. */
  async planRebalance(): Promise<PlannedMove[]> {
    const table = await this.#table()
    const sets = table.sets.filter(({ state }) => state === 'active')
    const targets = targetOwners(table.slotCount, sets)
    return planned(table, new Map(targets.map((to, slot) => [slot, to])))
  }

  /** Begins the moves and waits until none is under way. Throws what the arbiters refuse with; what has begun by then goes on. */
  async carry(plan: readonly PlannedMove[], options: CarryOptions = {}): Promise<MoveReport> {
    const { atOnce = slotsAtOnce, wait = true, signal, onProgress } = options
    const startMs = performance.now()
    const waiting = [...plan]
    let underWay: PlannedMove[] = []
    let moved = 0
    const aborted: number[] = []
    let epoch = 0
    for (;;) {
      const room = Math.min(slotsAtOnce, atOnce - underWay.length)
      const next = signal?.aborted ? [] : waiting.splice(0, room)
      if (next.length > 0) epoch = Math.max(epoch, await this.#begin(next))
      underWay.push(...next)
      onProgress?.({ moved, aborted: aborted.length, total: plan.length })
      const through = underWay.length === 0 || (!wait && waiting.length === 0)
      if (through || signal?.aborted) break
      await sleep(pollMs, undefined, { signal }).catch(() => {})
      const table = await this.#table(epoch)
      const owners = ownersOf(table.runs)
      const still = underWay.filter(move => isUnderWay(table, move))
      for (const { slot, to } of underWay.filter(move => !still.includes(move))) {
        if (owners[slot] === to) moved++
        else aborted.push(slot)
      }
      underWay = still
    }
    const seconds = Math.round(performance.now() - startMs) / 1_000
    return { moved, total: plan.length, seconds, aborted: aborted.sort((a, b) => a - b) }
  }

  /** Leaves slots that are on their way where they are. @param slots undefined for all. Throws SLOT_UNKNOWN, and what the arbiters refuse with. */
  async abort(slots?: readonly number[]): Promise<AbortReport> {
    const before = await this.#table()
    mustHave(before, slots ?? [])
    const moves = before.moves.filter(({ slot }) => slots?.includes(slot) ?? true)
    const epoch = await this.#atArbiter(node => node.abortMoves(slots ?? []))
    const owners = ownersOf((await this.#table(epoch)).runs)
    const arrived = moves.filter(({ slot, to }) => owners[slot] === to)
    return {
      aborted: moves.filter(move => !arrived.includes(move)).map(({ slot }) => slot),
      moved: arrived.map(({ slot }) => slot)
    }
  }

  /** Returns the epoch of a table that knows of all of them. */
  async #begin(moves: readonly PlannedMove[]): Promise<number> {
    let epoch = 0
    for (const to of new Set(moves.map(move => move.to))) {
      const slots = moves.filter(move => move.to === to).map(({ slot }) => slot)
      epoch = await this.#atArbiter(node => node.moveSlots({ slots, to }))
    }
    return epoch
  }

  #atArbiter<T>(ask: (node: ReturnType<SlotCluster['node']>) => Promise<T>): Promise<T> {
    const look = async () => clusterStatus(await this.#cluster.sample()).arbiter
    return atLeader(
      { look, group: 'the arbiter group', passing, patienceMs: this.#patienceMs },
      leader => ask(this.#cluster.node(leader))
    )
  }

  /** The newest table of any node, waited for. @param epoch at least. Throws UNREACHABLE, NO_TABLE. */
  async #table(epoch = 1): Promise<RoutingTable> {
    const endMs = performance.now() + this.#patienceMs
    for (;;) {
      const { nodes, table } = await this.#cluster.sample()
      const silent = nodes.every(({ status }) => status === undefined)
      if (!silent && table !== undefined && table.epoch >= epoch) return table
      if (performance.now() > endMs) {
        if (!silent) throw new RingsetError('NO_TABLE', `no node has the table of epoch ${epoch}`)
        const code = nodes[0]?.error ?? 'UNREACHABLE'
        throw new RingsetError(code, 'no node of the cluster answers')
      }
      await sleep(pollMs)
    }
  }
}

function mustHave({ slotCount }: RoutingTable, slots: readonly number[]): void {
  const wrong = slots.find(slot => slot >= slotCount)
  if (wrong === undefined) return
  const text = `the cluster has no slot ${wrong}, only 0 to ${slotCount - 1}`
  throw new RingsetError('SLOT_UNKNOWN', text, { slot: wrong })
}

/** @param targets the set that each slot should be in. */
function planned(table: RoutingTable, targets: ReadonlyMap<number, string>): PlannedMove[] {
  const owners = ownersOf(table.runs)
  const astray = table.moves.find(({ slot, to }) => to !== (targets.get(slot) ?? to))
  if (astray !== undefined) {
    const text = `slot ${astray.slot} is on its way to ${astray.to}`
    throw new RingsetError('SLOT_MOVING', text, { slot: astray.slot })
  }
  return [...targets]
    .map(([slot, to]) => ({ slot, from: owners[slot]!, to }))
    .filter(({ from, to }) => from !== to)
    .sort((a, b) => a.slot - b.slot)
}

function isUnderWay({ moves }: RoutingTable, { slot, to }: PlannedMove): boolean {
  return moves.some(move => move.slot === slot && move.to === to)
}
