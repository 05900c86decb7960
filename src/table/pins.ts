import { slotOfKey, slotsOfRange } from './slot-of.ts'
import type { Pin, RoutingTable } from './table.ts'

type Pinned = Pick<RoutingTable, 'pins' | 'slotCount' | 'tenants'>

const slotsOfPins = new WeakMap<readonly Pin[], ReadonlyMap<number, string>>()

/**
 * The set that each pinned slot is held in. A pin of a uid holds the uid's whole slot, one of a tenant all slots of the tenant. Were a
 * slot pinned to two sets, the first pin in the table's order would count.
 */
export function pinnedSlots(table: Pinned): ReadonlyMap<number, string> {
  const known = slotsOfPins.get(table.pins)
  if (known !== undefined) return known
  const slots = new Map<number, string>()
  for (const pin of table.pins) {
    for (const slot of slotsOfPin(table, pin)) if (!slots.has(slot)) slots.set(slot, pin.setId)
  }
  slotsOfPins.set(table.pins, slots)
  return slots
}

/** The pins that hold a slot, in the table's order. */
export function pinsOf(table: Pinned, slot: number): Pin[] {
  return table.pins.filter(pin => slotsOfPin(table, pin).includes(slot))
}

/** The uids whose pins hold a slot, in the table's order. */
export function pinnersOf(table: Pinned, slot: number): string[] {
  return pinsOf(table, slot).flatMap(({ match, value }) => (match === 'uid' ? [value] : []))
}

/** For people: `"ann"`, `tenant acme`. */
export function pinName({ match, value }: Pin): string {
  return match === 'tenant' ? `tenant ${value}` : `"${value}"`
}

/** For people: by whose pins a slot is held, three of them at the most. */
export function pinNames(table: Pinned, slot: number): string {
  const names = pinsOf(table, slot).map(pinName)
  const others = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return `${names.slice(0, 3).join(', ')}${others}`
}

function slotsOfPin(table: Pinned, { match, value }: Pin): number[] {
  if (match === 'uid') return [slotOfKey(value, table)]
  const tenant = match === 'tenant' ? table.tenants.find(({ id }) => id === value) : undefined
  return tenant === undefined ? [] : slotsOfRange(tenant)
}
