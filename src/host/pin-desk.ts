import type { Order } from '../arbiter/orders.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { GreyOrder, Ordered, PinOrder } from '../control/control-source.ts'
import { checkUid } from '../protocol/session.ts'
import { pinnedSlots, pinnersOf } from '../table/pins.ts'
import { slotOfKey } from '../table/slot-of.ts'
import type { GreyRule, RoutingTable } from '../table/table.ts'
import { tableLimits, validGreyRule } from '../table/table-rules.ts'
import type { TableView } from '../table/table-view.ts'

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

  async pin({ uid, set }: PinOrder): Promise<Ordered> {
    checkUid(uid)
    return this.#change({ type: 'pin', uid, setId: set }, table => !hasPin(table, uid))
  }

  async unpin(uid: string): Promise<Ordered> {
    checkUid(uid)
    return this.#change({ type: 'unpin', uid }, table => hasPin(table, uid))
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
  const by = pinnersOf(table, slot).map(uid => `"${uid}"`)
  const others = by.length > 3 ? ` and ${by.length - 3} more` : ''
  const set = pinnedSlots(table).get(slot)
  return `slot ${slot} is pinned to set ${set} by ${by.slice(0, 3).join(', ')}${others}`
}

function orderText(refusal: ErrorCode, order: Order, table: RoutingTable): string | undefined {
  if (order.type === 'grey' && refusal === 'OVERLOADED') {
    return `there are ${greyRules} rules already`
  }
  if (order.type !== 'pin') return undefined
  const slot = slotOfKey(order.uid, table.slotCount)
  if (refusal === 'SLOT_PINNED') return pinnedText(table, slot)
  if (refusal === 'SLOT_MOVING') return `slot ${slot} is on its way to another set`
  if (refusal === 'SET_UNKNOWN') {
    const known = table.sets.map(({ id }) => id).join(', ')
    return `no set is called ${order.setId}; there are ${known}`
  }
  return undefined
}

function hasPin({ pins }: RoutingTable, uid: string): boolean {
  return pins.some(({ match, value }) => match === 'uid' && value === uid)
}

function inOrder(rule: GreyRule | undefined): unknown {
  return rule && [rule.version, rule.percent, rule.uids, rule.prefixes]
}
