import { slotOfKey } from '../table/slot-of.ts'
import type { Pin, RoutingTable } from '../table/table.ts'
import { tableLimits, validName } from '../table/table-rules.ts'
import { type MoveRefusal, withMove } from './moves.ts'

/** Why a uid cannot be pinned. `pinned`: its slot is pinned to another set. */
export type PinRefusal = MoveRefusal | 'malformed'

/**
 * The table with the slot of a uid pinned to a set, and on its way there if it is elsewhere: the very same object when it is so
 * already.
 * @param epoch of the table that this makes.
 */
export function withPin(
  table: RoutingTable,
  uid: string,
  setId: string,
  epoch: number
): RoutingTable | PinRefusal {
  if (!validName(uid)) return 'malformed'
  // A slot may not be held where everything has to leave.
  if (table.sets.some(({ id, state }) => id === setId && state === 'draining')) return 'drainingSet'
  const moved = withMove(table, slotOfKey(uid, table.slotCount), setId, epoch)
  if (typeof moved === 'string' || pinOf(table, uid) !== undefined) return moved
  if (table.pins.length >= tableLimits.pins) return 'full'
  const pin: Pin = { match: 'uid', value: uid, setId }
  return { ...moved, pins: [...table.pins, pin].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)) }
}

/** The table without the pin of a uid: the very same object when there is none. Slots stay where they are, or on their way. */
export function withoutPin(table: RoutingTable, uid: string): RoutingTable {
  const pin = pinOf(table, uid)
  return pin === undefined ? table : { ...table, pins: table.pins.filter(one => one !== pin) }
}

function pinOf(table: RoutingTable, uid: string): Pin | undefined {
  return table.pins.find(({ match, value }) => match === 'uid' && value === uid)
}

const keyOf = ({ match, value }: Pin): string => `${match}\u0000${value}`
