import { crc32OfString } from '../base/crc32.ts'
import type { RoutingTable, SlotRange } from './table.ts'

/** What decides about the slot of a key, for the life of a cluster. */
export interface SlotSpace extends Pick<RoutingTable, 'slotCount'> {
  /** As in the table: sorted by prefix. */
  readonly tenants: readonly SlotRange[]
}

/** Slot of a uid or of a group or room id. */
export function slotOfKey(key: string, { slotCount, tenants }: SlotSpace): number {
  const hash = crc32OfString(key)
  const common = tenants[0]?.first
  if (common === undefined) return hash & (slotCount - 1)
  const tenant = tenantOf(key, tenants)
  return tenant === undefined ? hash % common : tenant.first + (hash % tenant.count)
}

/** Whose prefix a key begins with. @param tenants sorted by prefix; none of them begins with another. */
export function tenantOf<T extends SlotRange>(key: string, tenants: readonly T[]): T | undefined {
  // Only the last prefix that is not above the key can be one of it: what stands between the two begins with the prefix.
  let low = 0
  let high = tenants.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (tenants[middle]!.prefix <= key) low = middle + 1
    else high = middle
  }
  const tenant = tenants[low - 1]
  return tenant !== undefined && key.startsWith(tenant.prefix) ? tenant : undefined
}

/** The slots of a tenant, ascending. */
export function slotsOfRange({ first, count }: SlotRange): number[] {
  return Array.from({ length: count }, (_, i) => first + i)
}

/** Gives each prefix its slots at the end of the space, in the order of the table. @param slotCount of all, more than twice those given. */
export function reserveSlots<T extends { readonly prefix: string; readonly slots: number }>(
  slotCount: number,
  wanted: readonly T[]
): (T & SlotRange)[] {
  let first = slotCount - wanted.reduce((sum, { slots }) => sum + slots, 0)
  return [...wanted]
    .sort((a, b) => (a.prefix < b.prefix ? -1 : 1))
    .map(one => {
      const range = { ...one, first, count: one.slots }
      first += one.slots
      return range
    })
}
