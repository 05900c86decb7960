import { RingsetError } from '../base/errors.ts'
import { pinNames, pinnedSlots } from '../table/pins.ts'
import { targetOwners } from '../table/ring.ts'
import { ownersOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import { ArbiterCalls, patienceMs, type TableCluster } from './arbiter-calls.ts'
import type { ControlClient } from './control-client.ts'
import { MoveLooks } from './move-looks.ts'
import { Turnstile } from './turnstile.ts'

/** The part of a cluster's control that moves of slots need. */
export type SlotCluster = TableCluster<Pick<ControlClient, 'moveSlots' | 'abortMoves'>>

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
  /** Why those on their way have to wait, in words. */
  readonly waits: readonly string[]
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

/** How much of a cluster moves may take for themselves: all that happens beside them shares its processors with them. */
export interface MovePace {
  /** So many moves are under way at once. */
  readonly atOnce?: number | undefined
  /** So many of them begin in a second at the most; a fraction is fine. Default: as soon as `atOnce` has room. */
  readonly perSecond?: number | undefined
}

/** `atOnce` is by default all that one call takes. */
export interface CarryOptions extends MovePace {
  /** False returns as soon as all are under way. */
  readonly wait?: boolean
  /** Waits no longer and begins no more; what is under way goes on. */
  readonly signal?: AbortSignal | undefined
  readonly onProgress?: ((progress: MoveProgress) => void) | undefined
}

/** In one command, and in one call. */
export const slotsAtOnce = 1_024

/** Of a plan that is larger than anybody counts, so many are under way at once: whoever stops it soon has a quiet cluster. */
export const movesAtOnce = 64

/** Moves slots of a running cluster from set to set. The routing table alone tells what became of a move, so nothing here is lost when a command ends. */
export class SlotOperator {
  readonly #arbiters: ArbiterCalls<ReturnType<SlotCluster['node']>>

  /**
   * @param patience how long to look for a leader, and for a node that answers.
   * @param over raised: no longer.
   */
  constructor(cluster: SlotCluster, patience = patienceMs, over?: AbortSignal) {
    this.#arbiters = new ArbiterCalls(cluster, patience, over)
  }

  /**
   * What has to move for the slots to be in the set; those that are on their way there are part of it. Throws SET_UNKNOWN, SLOT_UNKNOWN,
   * SLOT_PINNED, and SLOT_MOVING for one that goes elsewhere.
   */
  async plan(slots: readonly number[], to: string): Promise<PlannedMove[]> {
    const table = await this.#arbiters.table()
    if (!table.sets.some(({ id }) => id === to)) {
      const known = table.sets.map(({ id }) => id).join(', ')
      throw new RingsetError('SET_UNKNOWN', `no set is called ${to}; there are ${known}`, { to })
    }
    mustHave(table, slots)
    mustBeFree(table, slots, to)
    return planned(table, new Map(slots.map(slot => [slot, to])))
  }

  /** What has to move for the sets to have their shares by weight, and pinned slots to be where they are held. Throws SLOT_MOVING for a slot that goes elsewhere. */
  async planRebalance(): Promise<PlannedMove[]> {
    const table = await this.#arbiters.table()
    return planned(table, new Map(targetsOf(table).map((to, slot) => [slot, to])))
  }

  /** Begins the moves and waits until none is under way. Throws what the arbiters refuse with; what has begun by then goes on. */
  async carry(plan: readonly PlannedMove[], options: CarryOptions = {}): Promise<MoveReport> {
    const { atOnce = slotsAtOnce, perSecond, wait = true, signal, onProgress } = options
    const startMs = performance.now()
    const waiting = [...plan]
    let underWay: PlannedMove[] = []
    let moved = 0
    const aborted: number[] = []
    const looks = new MoveLooks(this.#arbiters, signal)
    const turnstile = new Turnstile(perSecond, startMs)
    for (;;) {
      const wanted = Math.min(slotsAtOnce, atOnce - underWay.length, waiting.length)
      const room = turnstile.pass(wanted, performance.now())
      const next = signal?.aborted ? [] : waiting.splice(0, room)
      if (next.length > 0) looks.began(await this.#begin(next))
      underWay.push(...next)
      onProgress?.({ moved, aborted: aborted.length, total: plan.length, waits: looks.waits })
      const through = (underWay.length === 0 || !wait) && waiting.length === 0
      if (through || signal?.aborted) break
      const table = await looks.next(underWay.length)
      if (table === undefined) continue
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
    const before = await this.#arbiters.table()
    mustHave(before, slots ?? [])
    const moves = before.moves.filter(({ slot }) => slots?.includes(slot) ?? true)
    const epoch = await this.#arbiters.ask(node => node.abortMoves(slots ?? []))
    const owners = ownersOf((await this.#arbiters.table(epoch)).runs)
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
      epoch = await this.#arbiters.ask(node => node.moveSlots({ slots, to }))
    }
    return epoch
  }
}

function mustHave({ slotCount }: RoutingTable, slots: readonly number[]): void {
  const wrong = slots.find(slot => slot >= slotCount)
  if (wrong === undefined) return
  const text = `the cluster has no slot ${wrong}, only 0 to ${slotCount - 1}`
  throw new RingsetError('SLOT_UNKNOWN', text, { slot: wrong })
}

function mustBeFree(table: RoutingTable, slots: readonly number[], to: string): void {
  const pinned = pinnedSlots(table)
  const held = slots.find(slot => (pinned.get(slot) ?? to) !== to)
  if (held === undefined) return
  const text = `slot ${held} is pinned to set ${pinned.get(held)} by ${pinNames(table, held)}`
  throw new RingsetError('SLOT_PINNED', text, { slot: held })
}

/** The set that each slot should be in: where it is pinned, else where the ring of the active sets has it. */
export function targetsOf(table: RoutingTable): string[] {
  const pinned = pinnedSlots(table)
  const sets = table.sets.filter(({ state }) => state === 'active')
  return targetOwners(table.slotCount, sets).map((to, slot) => pinned.get(slot) ?? to)
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
