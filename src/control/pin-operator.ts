import { pinnedSlots, pinnersOf, pinsOf } from '../table/pins.ts'
import { ownersOf } from '../table/runs.ts'
import { slotOfKey, tenantOf } from '../table/slot-of.ts'
import type { RoutingTable } from '../table/table.ts'
import { ArbiterCalls, patienceMs, type TableCluster } from './arbiter-calls.ts'
import { clusterStatus } from './cluster-status.ts'
import type { ControlClient } from './control-client.ts'
import { SlotOperator, targetsOf } from './slot-operator.ts'

type PinNode = Pick<ControlClient, 'addPin' | 'removePin' | 'moveSlots' | 'abortMoves'>
/** The part of a cluster's control that pins need. */
export type PinCluster = TableCluster<PinNode>

/** A pin, and where its slot is. */
export interface PinView {
  readonly uid: string
  readonly slot: number
  /** Where the slot is held. */
  readonly set: string
  /** Where it is. */
  readonly owner: string
  /** Where it is on its way to; empty while it stays. */
  readonly movingTo: string
}

export interface PinReport {
  readonly uid: string
  readonly slot: number
  readonly slotCount: number
  /** Of the user; empty when the user has none. */
  readonly tenant: string
  /** Where the slot was. */
  readonly from: string
  /** Where the slot is. */
  readonly owner: string
  /** Where it is on its way to; empty when it stays. */
  readonly movingTo: string
  /** Where a rebalance leaves it, or brings it. */
  readonly target: string
  /** Users whose pins hold the slot now. */
  readonly pinnedBy: readonly string[]
  /** A pin of the tenant holds it as well. */
  readonly tenantPinned: boolean
  /** About how many users have the slot. */
  readonly users: number
  /** False when the pin was, or was not, there before. */
  readonly changed: boolean
  readonly seconds: number
}

interface WaitOptions {
  /** False returns as soon as the slot is on its way. */
  readonly wait?: boolean
  /** Waits no longer; what is under way goes on. */
  readonly signal?: AbortSignal | undefined
}

/** Pins slots of users to sets, and lets them go. */
export class PinOperator {
  readonly #cluster: PinCluster
  readonly #arbiters: ArbiterCalls<PinNode>
  readonly #slots: SlotOperator

  constructor(cluster: PinCluster, patience = patienceMs) {
    this.#cluster = cluster
    this.#arbiters = new ArbiterCalls(cluster, patience)
    this.#slots = new SlotOperator(cluster, patience)
  }

  /** Throws SET_UNKNOWN, SLOT_PINNED, SLOT_MOVING, BAD_UID. */
  async add(uid: string, set: string, options: WaitOptions = {}): Promise<PinReport> {
    const startMs = performance.now()
    const before = await this.#arbiters.table()
    const { changed, epoch } = await this.#arbiters.ask(node =>
      node.addPin({ uid, tenant: '', set })
    )
    const table = await this.#arbiters.table(epoch)
    await this.#send(table, slotOfKey(uid, table), set, options)
    return this.#report(before, uid, changed, startMs)
  }

  /** What `add` would do; throws as it would. */
  async plan(uid: string, set: string): Promise<PinReport> {
    const table = await this.#arbiters.table()
    await this.#slots.plan([slotOfKey(uid, table)], set)
    const known = table.pins.some(({ match, value }) => match === 'uid' && value === uid)
    return this.#report(table, uid, !known, performance.now())
  }

  /** @param now sends the slot back to where the ring has it, unless another pin holds it. Throws BAD_UID. */
  async remove(uid: string, now: boolean, options: WaitOptions = {}): Promise<PinReport> {
    const startMs = performance.now()
    const before = await this.#arbiters.table()
    const { changed, epoch } = await this.#arbiters.ask(node => node.removePin({ uid, tenant: '' }))
    const table = await this.#arbiters.table(epoch)
    const slot = slotOfKey(uid, table)
    if (now && !pinnedSlots(table).has(slot)) await this.#sendBack(table, slot, options)
    return this.#report(before, uid, changed, startMs)
  }

  async list(): Promise<{ readonly slotCount: number; readonly pins: readonly PinView[] }> {
    const table = await this.#arbiters.table()
    const owners = ownersOf(table.runs)
    const pins = table.pins.flatMap(({ match, value, setId }) => {
      if (match !== 'uid') return []
      const slot = slotOfKey(value, table)
      const movingTo = movingToOf(table, slot)
      return [{ uid: value, slot, set: setId, owner: owners[slot]!, movingTo }]
    })
    return { slotCount: table.slotCount, pins }
  }

  async #sendBack(table: RoutingTable, slot: number, options: WaitOptions): Promise<void> {
    const target = targetsOf(table)[slot]!
    const movingTo = movingToOf(table, slot)
    if (movingTo !== '' && movingTo !== target) await this.#slots.abort([slot])
    await this.#send(await this.#arbiters.table(), slot, target, options)
  }

  async #send(
    { runs }: RoutingTable,
    slot: number,
    to: string,
    options: WaitOptions
  ): Promise<void> {
    const from = ownersOf(runs)[slot]!
    if (from !== to) await this.#slots.carry([{ slot, from, to }], options)
  }

  async #report(
    before: RoutingTable,
    uid: string,
    changed: boolean,
    startMs: number
  ): Promise<PinReport> {
    const table = await this.#arbiters.table(before.epoch)
    const { slotCount } = table
    const slot = slotOfKey(uid, table)
    const { sets } = clusterStatus(await this.#cluster.sample())
    return {
      uid,
      slot,
      slotCount,
      tenant: tenantOf(uid, table.tenants)?.id ?? '',
      from: ownersOf(before.runs)[slot]!,
      owner: ownersOf(table.runs)[slot]!,
      movingTo: movingToOf(table, slot),
      target: targetsOf(table)[slot]!,
      pinnedBy: pinnersOf(table, slot),
      tenantPinned: pinsOf(table, slot).some(({ match }) => match === 'tenant'),
      users: Math.round(sets.reduce((sum, { users }) => sum + users, 0) / slotCount),
      changed,
      seconds: Math.round(performance.now() - startMs) / 1_000
    }
  }
}

function movingToOf({ moves }: RoutingTable, slot: number): string {
  return moves.find(move => move.slot === slot)?.to ?? ''
}
