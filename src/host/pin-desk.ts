import type { Order } from '../arbiter/orders.ts'
import type { Pinned } from '../arbiter/pins.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { GreyOrder, Ordered, PinOrder, UnpinOrder } from '../control/control-source.ts'
import { checkUid } from '../protocol/session.ts'
import { pinNames, pinnedSlots } from '../table/pins.ts'
import { slotOfKey, slotsOfRange } from '../table/slot-of.ts'
import type { GreyRule, RoutingTable } from '../table/table.ts'
import { tableLimits, validGreyRule } from '../table/table-rules.ts'
import type { TableView } from '../table/table-view.ts'
import { tenantUnknown } from '../table/tenants.ts'

/** Has an order carried out; throws its refusal, with the text if there is one. */
type Carry = (order: Order, textOf: (refusal: ErrorCode) => string | undefined) => Promise<void>

/** Pins and rules of grey releases that operators ask this node's arbiter for. */
export class PinDesk {
  readonly #view: () => TableView
  readonly #carry: Carry

  constructor(view: () => TableView, carry: Carry) {
    this.#view = view
    this.#carry = carry
  }

  async pin({ uid, tenant, set }: PinOrder): Promise<Ordered> {
    if (tenant === '') {
      checkUid(uid)
      const order: Order = { type: 'pin', uid, setId: set }
      return this.#change(order, table => !hasPin(table, { match: 'uid', value: uid }))
    }
    mustBeOne(uid)
    const pinned: Pinned = { match: 'tenant', value: tenant }
    const order: Order = { type: 'pinTenant', tenant, setId: set }
    return this.#change(order, table => !hasPin(table, pinned))
  }

  async unpin({ uid, tenant }: UnpinOrder): Promise<Ordered> {
    if (tenant === '') {
      checkUid(uid)
      return this.#change({ type: 'unpin', uid }, table => {
        return hasPin(table, { match: 'uid', value: uid })
      })
    }
    mustBeOne(uid)
    return this.#change({ type: 'unpinTenant', tenant }, table => {
      if (!table.tenants.some(({ id }) => id === tenant)) throw tenantUnknown(table, tenant)
      return hasPin(table, { match: 'tenant', value: tenant })
    })
  }

  async setGrey({ version, hundredths, uids, prefixes }: GreyOrder): Promise<Ordered> {
    for (const uid of uids) checkUid(uid)
    const sorted = (names: readonly string[]) => [...new Set(names)].sort()
    const rule: GreyRule = {
      version,
      percent: hundredths / 100,
      uids: sorted(uids),
      prefixes: sorted(prefixes)
    }
    if (!validGreyRule(rule)) throw new RingsetError('USAGE', ruleText)
    return this.#change({ type: 'grey', rule }, ({ grey }) => {
      const known = grey.find(one => one.version === version)
      return JSON.stringify(inOrder(known)) !== JSON.stringify(inOrder(rule))
    })
  }

  /** @param version empty for every rule. */
  async undoGrey(version: string): Promise<Ordered> {
    return this.#change({ type: 'ungrey', version }, ({ grey }) =>
      grey.some(rule => version === '' || rule.version === version)
    )
  }

  /** @param changes whether the order changes a table. */
  async #change(order: Order, changes: (table: RoutingTable) => boolean): Promise<Ordered> {
    const { table } = this.#view()
    if (table === undefined) throw new RingsetError('NO_TABLE')
    const changed = changes(table)
    await this.#carry(order, refusal => orderText(refusal, order, this.#view().table ?? table))
    return { epoch: this.#view().epoch, changed }
  }
}

const { versionBytes, greyNames, greyRules } = tableLimits
const ruleText = `a rule has a version of at most ${versionBytes} bytes, 0 to 100 percent, and at most ${greyNames} users and prefixes`

/** For people: whose pin holds the slot, and where. */
export function pinnedText(table: RoutingTable, slot: number): string {
  return `slot ${slot} is pinned to set ${pinnedSlots(table).get(slot)} by ${pinNames(table, slot)}`
}

function orderText(refusal: ErrorCode, order: Order, table: RoutingTable): string | undefined {
  if (order.type === 'grey' && refusal === 'OVERLOADED') {
    return `there are ${greyRules} rules already`
  }
  if (order.type !== 'pin' && order.type !== 'pinTenant') return undefined
  const { setId } = order
  const slots = slotsOf(order, table)
  if (refusal === 'TENANT_UNKNOWN' && order.type === 'pinTenant') {
    return tenantUnknown(table, order.tenant).message
  }
  if (refusal === 'SLOT_PINNED') {
    const pinned = pinnedSlots(table)
    const held = slots.find(slot => (pinned.get(slot) ?? setId) !== setId)
    return held === undefined ? undefined : pinnedText(table, held)
  }
  if (refusal === 'SLOT_MOVING') {
    const away = table.moves.find(({ slot, to }) => slots.includes(slot) && to !== setId)
    return away && `slot ${away.slot} is on its way to another set`
  }
  if (refusal === 'SET_UNKNOWN') {
    const known = table.sets.map(({ id }) => id).join(', ')
    return `no set is called ${setId}; there are ${known}`
  }
  return undefined
}

function slotsOf(
  order: Extract<Order, { type: 'pin' | 'pinTenant' }>,
  table: RoutingTable
): number[] {
  if (order.type === 'pin') return [slotOfKey(order.uid, table)]
  const tenant = table.tenants.find(({ id }) => id === order.tenant)
  return tenant === undefined ? [] : slotsOfRange(tenant)
}

function mustBeOne(uid: string): void {
  if (uid !== '') throw new RingsetError('USAGE', 'a pin is of a user or of a tenant, not of both')
}

function hasPin({ pins }: RoutingTable, { match, value }: Pinned): boolean {
  return pins.some(pin => pin.match === match && pin.value === value)
}

function inOrder(rule: GreyRule | undefined): unknown {
  return rule && [rule.version, rule.percent, rule.uids, rule.prefixes]
}
