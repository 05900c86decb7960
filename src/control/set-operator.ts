import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { pinName } from '../table/pins.ts'
import { ownersOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import { ArbiterCalls, patienceMs, pollMs, type TableCluster } from './arbiter-calls.ts'
import type { ControlClient } from './control-client.ts'
import type { SetOrder } from './control-source.ts'
import { remainsOf } from './move-waits.ts'
import { type RecoveryPlan, SetWitnesses } from './set-recovery.ts'
import {
  type CarryOptions,
  type MovePace,
  type MoveProgress,
  movesAtOnce,
  type PlannedMove,
  SlotOperator,
  targetsOf
} from './slot-operator.ts'

/** The part of a cluster's control that changes of its sets need. */
export type SetCluster = TableCluster<
  Pick<ControlClient, 'moveSlots' | 'abortMoves' | 'changeSet' | 'drainTransfer'>
>

/** A set as it enters the routing table. */
export interface NewSet {
  readonly id: string
  readonly zone: string
  readonly weight: number
  /** Founders of its router group. */
  readonly routers: readonly {
    readonly replica: number
    readonly node: string
    readonly address: string
  }[]
}

export interface CarriedSlots {
  readonly moved: number
  readonly total: number
  /** Slots that stay where they were for now, ascending. */
  readonly aborted: readonly number[]
}

/** `atOnce` is by default `movesAtOnce`. */
export interface SetWork extends MovePace {
  /** Waits no longer and begins no more. */
  readonly signal?: AbortSignal | undefined
  readonly onMoves?: ((progress: MoveProgress) => void) | undefined
  /** What is waited for, in words. */
  readonly onWait?: ((text: string) => void) | undefined
}

/**
 * Brings sets into a running cluster and out of it. All that counts is in the routing table and in the sets' own logs, so that any of
 * the steps may be repeated, by whomever.
 */
export class SetOperator {
  readonly #cluster: SetCluster
  readonly #patienceMs: number
  readonly #arbiters: ArbiterCalls<ReturnType<SetCluster['node']>>
  readonly #slots: SlotOperator

  /**
   * @param patience how long to look for a leader, and for a node that answers.
   * @param over raised: no longer.
   */
  constructor(cluster: SetCluster, patience = patienceMs, over?: AbortSignal) {
    this.#cluster = cluster
    this.#patienceMs = patience
    this.#arbiters = new ArbiterCalls(cluster, patience, over)
    this.#slots = new SlotOperator(cluster, patience, over)
  }

  /** The newest table. Throws UNREACHABLE, NO_TABLE. */
  table(): Promise<RoutingTable> {
    return this.#arbiters.table()
  }

  /** Throws SET_USED when a set of that name was once removed; changes nothing. */
  async mustBeFree(id: string): Promise<void> {
    try {
      // Without routers no set comes into being: only its name is judged.
      await this.#change({ set: id, change: 'add', zone: '', weightHundredths: 100, routers: [] })
    } catch (error) {
      if (!(error instanceof RingsetError) || error.code !== 'BAD_PACKET') throw error
    }
  }

  /** Has the table list the set, without any slot; one that drains takes slots again. Throws SET_USED, OVERLOADED. */
  async add({ id, zone, weight, routers }: NewSet): Promise<void> {
    const weightHundredths = Math.round(weight * 100)
    await this.#change({ set: id, change: 'add', zone, weightHundredths, routers: [...routers] })
  }

  /** What has to move for the set to have its share. @param planned the set, when the table does not list it yet. */
  async planFill(id: string, planned?: NewSet): Promise<PlannedMove[]> {
    const table = await this.table()
    return fillOf(planned === undefined ? table : withPlanned(table, planned), id)
  }

  /** Brings the set its share of the slots, from the sets that have it. Of what is called off on the way, it tries again what may help. */
  fill(id: string, work: SetWork = {}): Promise<CarriedSlots> {
    return this.#carry(async () => fillOf(await this.table(), id), work)
  }

  /** What has to move for the set to be empty. Throws SET_UNKNOWN, LAST_SET, SET_PINNED. */
  async planDrain(id: string): Promise<PlannedMove[]> {
    const table = await this.table()
    mustLeave(table, id)
    return drainOf(table, id)
  }

  /** Has the set take nothing in any more, and gives its slots to the others. Throws as `planDrain`. */
  async drain(id: string, work: SetWork = {}): Promise<CarriedSlots> {
    mustLeave(await this.table(), id)
    await this.#change({ set: id, change: 'drain', zone: '', weightHundredths: 0, routers: [] })
    const coming = (await this.table()).moves.filter(({ to }) => to === id)
    if (coming.length > 0) await this.#slots.abort(coming.map(({ slot }) => slot))
    return this.#carry(async () => drainOf(await this.table(), id), work)
  }

  /**
   * What it would mean to give up a set that has lost its majority. Takes all its patience: who does not answer now may do so yet, and
   * replicas that have just started need a moment to find a leader.
   * Throws as `planDrain`, and SET_ALIVE, NODE_UNKNOWN, NO_SURVIVOR, REPLICA_UNKNOWN, REPLICA_DOWN, SURVIVOR_BEHIND, SET_LOST.
   *
   * @param from the replica to read, by number; undefined: the one that has most.
   */
  async planRecovery(id: string, from?: number): Promise<RecoveryPlan> {
    const table = await this.table()
    mustLeave(table, id)
    const set = table.sets.find(one => one.id === id)!
    const witnesses = new SetWitnesses(set)
    const endMs = performance.now() + this.#patienceMs
    for (;;) {
      witnesses.add(await this.#cluster.sample())
      if (performance.now() >= endMs) break
      await sleep(pollMs)
    }
    const moves = drainOf(table, id)
    return { set: id, lost: set.state === 'lost', ...witnesses.choose(from), moves }
  }

  /**
   * Gives the set up as planned, for good: what its survivor does not hold is lost. Then its slots go to the others, which read them
   * there. May be repeated.
   */
  async recover({ set, survivor }: RecoveryPlan, work: SetWork = {}): Promise<CarriedSlots> {
    const routers = [{ replica: survivor.replica, node: survivor.node, address: '' }]
    await this.#change({ set, change: 'lose', zone: '', weightHundredths: 0, routers })
    return this.#carry(async () => drainOf(await this.table(), set), work)
  }

  /** Has the gateways of a set that has no slots send whoever is still there away, and waits a moment for it. */
  async drainGateways(id: string, { signal, onWait }: SetWork = {}): Promise<void> {
    const endMs = performance.now() + gatewaysMs
    const asked = new Set<string>()
    while (!signal?.aborted) {
      const { status } = await this.#arbiters.look()
      const live = (status.sets.find(set => set.id === id)?.transfers ?? []).filter(
        ({ state }) => state !== 'unreachable'
      )
      for (const { id: transfer, node } of live) {
        if (asked.has(transfer)) continue
        asked.add(transfer)
        // A gateway that fails now has nobody left to send away.
        await this.#cluster
          .node(node)
          .drainTransfer({ transfer, overMs: gatewaysMs / 4, force: true })
          .catch(() => {})
      }
      const left = live.reduce((sum, { connections }) => sum + connections, 0)
      if (left === 0 || performance.now() > endMs) return
      onWait?.(`${id} has ${left} connections left`)
      await sleep(pollMs, undefined, { signal }).catch(() => {})
    }
  }

  /** Takes the set out of the table once nothing is left in it, however long that takes. False when it was stopped before. */
  async remove(id: string, { signal, onWait }: SetWork = {}): Promise<boolean> {
    while (!signal?.aborted) {
      try {
        const change = { set: id, change: 'remove', zone: '', weightHundredths: 0, routers: [] }
        await this.#change(change)
        return true
      } catch (error) {
        if (!(error instanceof RingsetError) || error.code !== 'SET_NOT_EMPTY') throw error
      }
      const { status } = await this.#arbiters.look()
      const view = status.sets.find(set => set.id === id)
      onWait?.(view === undefined ? `${id} answers nothing` : whatIsLeft(view))
      await sleep(pollMs, undefined, { signal }).catch(() => {})
    }
    return false
  }

  async #carry(plan: () => Promise<PlannedMove[]>, work: SetWork): Promise<CarriedSlots> {
    const { atOnce = movesAtOnce, perSecond, signal, onMoves } = work
    let moved = 0
    for (;;) {
      const due = await plan()
      const total = moved + due.length
      if (due.length === 0) return { moved, total, aborted: [] }
      const before = moved
      const options: CarryOptions = {
        atOnce,
        perSecond,
        signal,
        onProgress: progress => {
          onMoves?.({ ...progress, moved: before + progress.moved, total })
        }
      }
      const report = await this.#slots.carry(due, options)
      moved += report.moved
      // What was called off is worth another try as long as anything gets through.
      if (signal?.aborted || report.moved === 0) return { moved, total, aborted: report.aborted }
    }
  }

  async #change(order: SetOrder): Promise<void> {
    const epoch = await this.#arbiters.ask(node => node.changeSet(order))
    await this.#arbiters.table(epoch)
  }
}

const gatewaysMs = 8_000

function withPlanned(table: RoutingTable, { id, zone, weight }: NewSet): RoutingTable {
  if (table.sets.some(set => set.id === id)) return table
  const entry = {
    id,
    zone,
    weight,
    state: 'active',
    transfers: [],
    logics: [],
    routers: []
  } as const
  return { ...table, sets: [...table.sets, entry] }
}

function fillOf(table: RoutingTable, id: string): PlannedMove[] {
  const asActive = table.sets.map(set =>
    set.id === id ? { ...set, state: 'active' as const } : set
  )
  const owners = ownersOf(table.runs)
  const elsewhere = new Set(table.moves.filter(({ to }) => to !== id).map(({ slot }) => slot))
  return targetsOf({ ...table, sets: asActive })
    .map((to, slot) => ({ slot, from: owners[slot]!, to }))
    .filter(({ slot, from, to }) => to === id && from !== id && !elsewhere.has(slot))
}

function drainOf(table: RoutingTable, id: string): PlannedMove[] {
  const others = table.sets.filter(set => set.id !== id)
  const targets = targetsOf({ ...table, sets: others })
  const underWay = new Map(table.moves.map(({ slot, to }) => [slot, to]))
  return ownersOf(table.runs).flatMap((from, slot) => {
    return from === id ? [{ slot, from, to: underWay.get(slot) ?? targets[slot]! }] : []
  })
}

function mustLeave(table: RoutingTable, id: string): void {
  const known = table.sets.map(set => set.id)
  if (!known.includes(id)) {
    const text = `no set is called ${id}; there are ${known.join(', ')}`
    throw new RingsetError('SET_UNKNOWN', text, { set: id })
  }
  if (table.sets.every(set => set.id === id || set.state !== 'active')) {
    throw new RingsetError('LAST_SET', `${id} is the last set that takes slots`, { set: id })
  }
  const pins = table.pins.filter(({ setId }) => setId === id)
  if (pins.length > 0) {
    const text = `${pins.length} pins hold users in set ${id}, such as ${pinName(pins[0]!)}`
    throw new RingsetError('SET_PINNED', text, { set: id })
  }
}

function whatIsLeft(view: Parameters<typeof remainsOf>[0]): string {
  const { id, state, router, outboxes } = view
  if (state === 'lost') return `${id} still has slots`
  if (router.leader === null) return `${id} has no leader`
  const [remains] = remainsOf(view)
  if (remains !== undefined) return remains
  const [outbox] = outboxes
  if (outbox === undefined) return `${id} has yet to say that nothing is left`
  return `${id} waits for its outbox to ${outbox.to} (${outbox.waiting} messages)`
}
