import { RingsetError } from '../base/errors.ts'
import type { Pin } from './table.ts'
import type { TableView } from './table-view.ts'

export interface RouteExplanation {
  readonly slot: number
  /** Ownership epoch of the slot. */
  readonly slotEpoch: number
  readonly setId: string
  /** One sentence for people. */
  readonly why: string
}

/**
 * The set that serves a uid, and why: a pin of the uid beats one of its longest pinned prefix,
 * which beats one of its tenant, which beats the slot's owner. Throws NO_TABLE while none is known.
 * @param tenant the uid's `appKey`, if it has one.
 */
export function explainRoute(view: TableView, uid: string, tenant?: string): RouteExplanation {
  const slot = view.slotOf(uid)
  const owner = view.owner(slot)
  if (view.table === undefined || owner === undefined) throw new RingsetError('NO_TABLE')
  const { slotEpoch } = owner
  const pin = pinOf(view.table.pins, uid, tenant)
  if (pin !== undefined) {
    const why = `the ${pin.match} "${pin.value}" is pinned to set ${pin.setId}`
    return { slot, slotEpoch, setId: pin.setId, why }
  }
  const why = `slot ${slot} belongs to set ${owner.setId} since epoch ${slotEpoch}`
  return { slot, slotEpoch, setId: owner.setId, why }
}

function pinOf(pins: readonly Pin[], uid: string, tenant: string | undefined): Pin | undefined {
  let prefix: Pin | undefined
  let ofTenant: Pin | undefined
  for (const pin of pins) {
    if (pin.match === 'uid' && pin.value === uid) return pin
    if (pin.match === 'prefix' && uid.startsWith(pin.value)) {
      if (prefix === undefined || pin.value.length > prefix.value.length) prefix = pin
    }
    if (pin.match === 'tenant' && pin.value === tenant) ofTenant = pin
  }
  return prefix ?? ofTenant
}
