import { ownersOf } from '../table/runs.ts'
import { slotsOfRange } from '../table/slot-of.ts'
import type { RoutingTable, Tenant } from '../table/table.ts'
import { tenantNamed, tenantOfPrefix } from '../table/tenants.ts'
import { ArbiterCalls, patienceMs } from './arbiter-calls.ts'
import type { PinCluster } from './pin-operator.ts'
import {
  type CarryOptions,
  type MoveReport,
  type PlannedMove,
  SlotOperator,
  targetsOf
} from './slot-operator.ts'

/** A tenant is named by its id, or by its prefix. */
export type TenantName = { readonly id: string } | { readonly prefix: string }

/** A tenant, and where its slots are. */
export interface TenantView {
  readonly tenant: string
  readonly prefix: string
  /** Its slots: `slots` of them from `first` on. */
  readonly first: number
  readonly slots: number
  /** Where its slots are held by a pin of the tenant; empty while there is none. */
  readonly set: string
  /** How many of its slots are in which set. */
  readonly owners: Readonly<Record<string, number>>
  /** How many are on their way. */
  readonly moving: number
}

export interface TenantReport extends TenantView, Pick<MoveReport, 'moved' | 'aborted'> {
  /** Slots that were, or are, to move. */
  readonly total: number
  /** False when the pin was, or was not, there before. */
  readonly changed: boolean
  readonly seconds: number
}

export interface TenantPlan extends TenantView {
  readonly moves: readonly PlannedMove[]
}

/** Pins all slots of tenants to sets, and lets them go. */
export class TenantOperator {
  readonly #arbiters: ArbiterCalls<ReturnType<PinCluster['node']>>
  readonly #slots: SlotOperator

  constructor(cluster: PinCluster, patience = patienceMs) {
    this.#arbiters = new ArbiterCalls(cluster, patience)
    this.#slots = new SlotOperator(cluster, patience)
  }

  /** Throws TENANT_UNKNOWN. */
  async find(name: TenantName): Promise<Tenant> {
    return named(await this.#arbiters.table(), name)
  }

  /** Throws TENANT_UNKNOWN, SET_UNKNOWN, SLOT_PINNED, SLOT_MOVING; OVERLOADED while so many other slots are on their way. */
  async add(name: TenantName, set: string, options: CarryOptions = {}): Promise<TenantReport> {
    const startMs = performance.now()
    const before = await this.#arbiters.table()
    const tenant = named(before, name)
    const order = { uid: '', tenant: tenant.id, set }
    const { changed, epoch } = await this.#arbiters.ask(node => node.addPin(order))
    const plan = astray(await this.#arbiters.table(epoch), tenant, () => set)
    const total = Math.max(plan.length, astray(before, tenant, () => set).length)
    return this.#carry(tenant, plan, { changed, total, startMs, options })
  }

  /** What `add` would do; throws as it would. */
  async plan(name: TenantName, set: string): Promise<TenantPlan> {
    const table = await this.#arbiters.table()
    const tenant = named(table, name)
    const moves = await this.#slots.plan(slotsOfRange(tenant), set)
    return { ...viewOf(table, tenant), moves }
  }

  /** @param now sends the slots back to where the ring has them, unless pins of users hold them. Throws TENANT_UNKNOWN. */
  async remove(name: TenantName, now: boolean, options: CarryOptions = {}): Promise<TenantReport> {
    const startMs = performance.now()
    const tenant = await this.find(name)
    const order = { uid: '', tenant: tenant.id }
    const { changed, epoch } = await this.#arbiters.ask(node => node.removePin(order))
    if (!now) return this.#carry(tenant, [], { changed, total: 0, startMs, options })
    const table = await this.#arbiters.table(epoch)
    const targets = targetsOf(table)
    const wrong = table.moves.filter(({ slot, to }) => inside(tenant, slot) && to !== targets[slot])
    if (wrong.length > 0) await this.#slots.abort(wrong.map(({ slot }) => slot))
    const plan = astray(await this.#arbiters.table(epoch), tenant, slot => targets[slot]!)
    return this.#carry(tenant, plan, { changed, total: plan.length, startMs, options })
  }

  /** Every tenant, pinned or not. */
  async list(): Promise<TenantView[]> {
    const table = await this.#arbiters.table()
    return table.tenants.map(tenant => viewOf(table, tenant))
  }

  async #carry(
    tenant: Tenant,
    plan: readonly PlannedMove[],
    about: {
      readonly changed: boolean
      readonly total: number
      readonly startMs: number
      readonly options: CarryOptions
    }
  ): Promise<TenantReport> {
    const { changed, total, startMs, options } = about
    // Some may have arrived before anybody looked.
    const early = total - plan.length
    const { onProgress } = options
    const report = await this.#slots.carry(plan, {
      ...options,
      onProgress: progress =>
        onProgress?.({ ...progress, moved: progress.moved + early, total: progress.total + early })
    })
    const view = viewOf(await this.#arbiters.table(), tenant)
    const seconds = Math.round(performance.now() - startMs) / 1_000
    const { moved, aborted } = report
    return { ...view, moved: moved + early, total, aborted, changed, seconds }
  }
}

function named(table: RoutingTable, name: TenantName): Tenant {
  return 'id' in name ? tenantNamed(table, name.id) : tenantOfPrefix(table, name.prefix)
}

const inside = ({ first, count }: Tenant, slot: number): boolean =>
  slot >= first && slot < first + count

/** Slots of a tenant that are not where they should be. */
function astray(
  { runs }: RoutingTable,
  tenant: Tenant,
  targetOf: (slot: number) => string
): PlannedMove[] {
  const owners = ownersOf(runs)
  return slotsOfRange(tenant).flatMap(slot => {
    const [from, to] = [owners[slot]!, targetOf(slot)]
    return from === to ? [] : [{ slot, from, to }]
  })
}

function viewOf(table: RoutingTable, tenant: Tenant): TenantView {
  const { id, prefix, first, count } = tenant
  const owners: Record<string, number> = {}
  for (const owner of ownersOf(table.runs).slice(first, first + count)) {
    owners[owner] = (owners[owner] ?? 0) + 1
  }
  const pin = table.pins.find(({ match, value }) => match === 'tenant' && value === id)
  const moving = table.moves.filter(({ slot }) => inside(tenant, slot)).length
  return { tenant: id, prefix, first, slots: count, set: pin?.setId ?? '', owners, moving }
}
