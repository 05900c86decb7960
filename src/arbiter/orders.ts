import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { list, struct, text, uint } from '../protocol/fields.ts'
import type { GreyRule, RoutingTable } from '../table/table.ts'
import { tableLimits } from '../table/table-rules.ts'
import { type RuleRefusal, withoutRules, withRule } from './grey.ts'
import { type PinRefusal, withoutPin, withPin } from './pins.ts'

/** What operators order about users: where the slots of one, or of a tenant, are held, and whom logics of a version serve. */
export type Order =
  | { readonly type: 'pin'; readonly uid: string; readonly setId: string }
  | { readonly type: 'unpin'; readonly uid: string }
  | { readonly type: 'pinTenant'; readonly tenant: string; readonly setId: string }
  | { readonly type: 'unpinTenant'; readonly tenant: string }
  | { readonly type: 'grey'; readonly rule: GreyRule }
  /** `version` empty: every rule. */
  | { readonly type: 'ungrey'; readonly version: string }

export type OrderRefusal = PinRefusal | RuleRefusal

const { idBytes, pinBytes, versionBytes, greyNames } = tableLimits
const pinFields = struct({ uid: text(pinBytes), setId: text(idBytes) })
const unpinFields = struct({ uid: text(pinBytes) })
const pinTenantFields = struct({ tenant: text(idBytes), setId: text(idBytes) })
const unpinTenantFields = struct({ tenant: text(idBytes) })
const ruleFields = struct({
  version: text(versionBytes),
  hundredths: uint(),
  uids: list(text(pinBytes), greyNames),
  prefixes: list(text(pinBytes), greyNames)
})
const ungreyFields = struct({ version: text(versionBytes) })

const orderNumbers = { pin: 1, unpin: 2, grey: 3, ungrey: 4, pinTenant: 5, unpinTenant: 6 } as const

/** The table as ordered: the very same object when it is so already. @param epoch of the table that this makes. */
export function withOrder(
  table: RoutingTable,
  order: Order,
  epoch: number
): RoutingTable | OrderRefusal {
  switch (order.type) {
    case 'pin':
      return withPin(table, { match: 'uid', value: order.uid }, order.setId, epoch)
    case 'unpin':
      return withoutPin(table, { match: 'uid', value: order.uid })
    case 'pinTenant':
      return withPin(table, { match: 'tenant', value: order.tenant }, order.setId, epoch)
    case 'unpinTenant':
      return withoutPin(table, { match: 'tenant', value: order.tenant })
    case 'grey':
      return withRule(table, order.rule)
    case 'ungrey':
      return withoutRules(table, order.version)
  }
}

/** What an order is about: of two that wait for one entry, the later one counts. */
export function subjectOf(order: Order): string {
  switch (order.type) {
    case 'pin':
    case 'unpin':
      return `pin/${order.uid}`
    case 'pinTenant':
    case 'unpinTenant':
      return `tenant/${order.tenant}`
    case 'grey':
      return `grey/${order.rule.version}`
    case 'ungrey':
      return `grey/${order.version}`
  }
}

export function writeOrder(writer: ByteWriter, order: Order): void {
  writer.u8(orderNumbers[order.type])
  switch (order.type) {
    case 'pin':
      pinFields.write(writer, order)
      break
    case 'unpin':
      unpinFields.write(writer, order)
      break
    case 'pinTenant':
      pinTenantFields.write(writer, order)
      break
    case 'unpinTenant':
      unpinTenantFields.write(writer, order)
      break
    case 'grey': {
      const { version, percent, uids, prefixes } = order.rule
      const hundredths = Math.round(percent * 100)
      ruleFields.write(writer, { version, hundredths, uids: [...uids], prefixes: [...prefixes] })
      break
    }
    case 'ungrey':
      ungreyFields.write(writer, order)
  }
}

/** Throws on anything `writeOrder` would not write. */
export function readOrder(reader: ByteReader): Order {
  const number = reader.u8()
  switch (number) {
    case orderNumbers.pin:
      return { type: 'pin', ...pinFields.read(reader) }
    case orderNumbers.unpin:
      return { type: 'unpin', ...unpinFields.read(reader) }
    case orderNumbers.pinTenant:
      return { type: 'pinTenant', ...pinTenantFields.read(reader) }
    case orderNumbers.unpinTenant:
      return { type: 'unpinTenant', ...unpinTenantFields.read(reader) }
    case orderNumbers.grey: {
      const { version, hundredths, uids, prefixes } = ruleFields.read(reader)
      return { type: 'grey', rule: { version, percent: hundredths / 100, uids, prefixes } }
    }
    default:
      assert(number === orderNumbers.ungrey, 'an order is known', { number })
      return { type: 'ungrey', ...ungreyFields.read(reader) }
  }
}
