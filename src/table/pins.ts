import { slotOfKey } from './slot-of.ts'
import type { Pin, RoutingTable } from './table.ts'

type Pinned = Pick<RoutingTable, 'pins' | 'slotCount'>

const slotsOfPins = new WeakMap<readonly Pin[], ReadonlyMap<number, string>>()

/**
 * The set that each pinned slot is held in. A pin of a uid holds the uid's whole slot; other matches, which no command makes, hold
 * nothing. Were a slot pinned to two sets, the first pin in the table's order would count.
 */
export function pinnedSlots({ pins, slotCount }: Pinned): ReadonlyMap<number, string> {
  const known = slotsOfPins.get(pins)
  if (known !== undefined) return known
  const slots = new Map<number, string>()
  for (const pin of pins) {
    if (pin.match !== 'uid') continue
    const slot = slotOfKey(pin.value, slotCount)
    if (!slots.has(slot)) slots.set(slot, pin.setId)
  }
  slotsOfPins.set(pins, slots)
  return slots
}

/** The uids whose pins hold a slot, in the table's order. */
export function pinnersOf({ pins, slotCount }: Pinned, slot: number): string[] {
  return pins
    .filter(({ match, value }) => match === 'uid' && slotOfKey(value, slotCount) === slot)
    .map(({ value }) => value)
}
