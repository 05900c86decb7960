import { RingsetError } from '../base/errors.ts'
import { type GreyMatch, GreyRules } from './grey-rules.ts'
import { pinName, pinnedSlots, pinnersOf, pinsOf } from './pins.ts'
import { tenantOf } from './slot-of.ts'
import type { Pin, ProcessEntry, Tenant } from './table.ts'
import type { TableView } from './table-view.ts'

export interface RouteExplanation {
  readonly slot: number
  readonly slotCount: number
  /** Ownership epoch of the slot. */
  readonly slotEpoch: number
  /** The set that serves the slot now, pinned there or not. */
  readonly setId: string
  /** Where the slot is pinned to; undefined when it is not. */
  readonly pinnedTo: string | undefined
  /** The uids whose pins hold the slot. */
  readonly pinnedBy: readonly string[]
  /** Whose prefix the uid begins with; undefined when it has no tenant. */
  readonly tenant: Tenant | undefined
  /** Whether a pin of that tenant holds the slot. */
  readonly tenantPinned: boolean
  /** Where the slot is on its way to; undefined while it stays. */
  readonly movingTo: string | undefined
  /** What a grey release says of the uid; undefined when no rule names it. */
  readonly grey: GreyMatch | undefined
  /** Logics of the set that are up and serve the uid. */
  readonly logics: readonly ProcessEntry[]
  /** False when no logic that the rules want is up, and others serve in their place. */
  readonly asRuled: boolean
  /** One or two sentences for people, without a full stop. */
  readonly why: string
}

/** The set and the logics that serve a uid, and why. Throws NO_TABLE while none is known. */
export function explainRoute(view: TableView, uid: string): RouteExplanation {
  const slot = view.slotOf(uid)
  const owner = view.owner(slot)
  const { table } = view
  if (table === undefined || owner === undefined) throw new RingsetError('NO_TABLE')
  const { setId, slotEpoch } = owner
  const rules = new GreyRules(table.grey)
  const grey = rules.of(uid)
  const up = (view.set(setId)?.logics ?? []).filter(({ state }) => state === 'up')
  const fitting = up.filter(({ version }) => rules.fits(version, grey))
  const tenant = tenantOf(uid, table.tenants)
  const pins = pinsOf(table, slot)
  const route = {
    slot,
    slotCount: table.slotCount,
    slotEpoch,
    setId,
    pinnedTo: pinnedSlots(table).get(slot),
    pinnedBy: pinnersOf(table, slot),
    tenant,
    tenantPinned: pins.some(({ match }) => match === 'tenant'),
    movingTo: view.move(slot)?.to,
    grey,
    logics: fitting.length > 0 ? fitting : up,
    asRuled: rules.none || fitting.length > 0
  }
  return { ...route, why: whyOf(route, pins) }
}

function whyOf(route: Omit<RouteExplanation, 'why'>, pins: readonly Pin[]): string {
  const { slot, slotEpoch, setId, pinnedTo, tenant, movingTo } = route
  const whose = tenant === undefined ? '' : `, 1 of ${tenant.count} of tenant ${tenant.id},`
  const parts = [`slot ${slot}${whose} belongs to set ${setId} since epoch ${slotEpoch}`]
  if (pins[0] !== undefined) {
    const others = pins.length > 1 ? ` and ${pins.length - 1} more` : ''
    parts.push(`it is pinned to set ${pinnedTo} by ${pinName(pins[0])}${others}`)
  }
  if (movingTo !== undefined) parts.push(`it is on its way to set ${movingTo}`)
  return parts.join('; ')
}
