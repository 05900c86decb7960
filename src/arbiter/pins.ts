import { slotOfKey, slotsOfRange } from '../table/slot-of.ts'
import type { Pin, RoutingTable } from '../table/table.ts'
import { tableLimits, validName } from '../table/table-rules.ts'
import { type MoveRefusal, withMoves } from './moves.ts'

/** Why a uid or a tenant cannot be pinned. `pinned`: a slot of it is pinned to another set. */
export type PinRefusal = MoveRefusal | 'malformed' | 'unknownTenant'

/** Whom a pin is of. */
export type Pinned = Pick<Pin, 'value'> & { readonly match: 'uid' | 'tenant' }

/**
 * The table with the slot of a uid, or all slots of a tenant, pinned to a set, and on their way there if they are elsewhere: the very
 * same object when it is so already.
 * @param epoch of the table that this makes.
 */
export function withPin(
  table: RoutingTable,
  { match, value }: Pinned,
  setId: string,
  epoch: number
): RoutingTable | PinRefusal {
  if (match === 'uid' && !validName(value)) return 'malformed'
  const slots = match === 'uid' ? [slotOfKey(value, table)] : slotsOfTenant(table, value)
  if (slots === undefined) return 'unknownTenant'
  // A slot may not be held where everything has to leave.
  const target = table.sets.find(({ id }) => id === setId)
  if (target?.state === 'draining') return 'drainingSet'
  if (target?.state === 'lost') return 'lostSet'
  const moved = withMoves(table, slots, setId, epoch)
  if (typeof moved === 'string' || pinOf(table, { match, value }) !== undefined) return moved
  if (table.pins.length >= tableLimits.pins) return 'full'
  const pin: Pin = { match, value, setId }
  return { ...moved, pins: [...table.pins, pin].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)) }
}

/** The table without a pin: the very same object when there is none. Slots stay where they are, or on their way. */
export function withoutPin(table: RoutingTable, pinned: Pinned): RoutingTable {
  const pin = pinOf(table, pinned)
  return pin === undefined ? table : { ...table, pins: table.pins.filter(one => one !== pin) }
}

function slotsOfTenant({ tenants }: RoutingTable, tenantId: string): number[] | undefined {
  const tenant = tenants.find(({ id }) => id === tenantId)
  return tenant && slotsOfRange(tenant)
}

function pinOf(table: RoutingTable, { match, value }: Pinned): Pin | undefined {
  return table.pins.find(pin => pin.match === match && pin.value === value)
}

const keyOf = ({ match, value }: Pin): string => `${match}\u0000${value}`
