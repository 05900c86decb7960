import { ownersOf } from './runs.ts'
import type {
  GreyRule,
  ProcessEntry,
  ReplicaEntry,
  RoutingTable,
  SetEntry,
  TransferEntry
} from './table.ts'

/** Hard bounds of a table (I-7). Strings are bounded by their UTF-8 bytes. */
export const tableLimits = {
  /** Slot numbers travel in 16 bits, the highest of which is "no slot". */
  slotCount: 32_768,
  /** Epochs travel in 32 bits. */
  epoch: 0xffff_ffff,
  sets: 1_000,
  setWeight: 100,
  processWeight: 1_000,
  /** Transfers, logics and routers of all sets together. */
  processes: 4_096,
  /**
   * All texts of one process together; with the other bounds it keeps any table within
   * `encodedBytes`.
   */
  processBytes: 1_024,
  clientAddresses: 16,
  pins: 10_000,
  tenants: 64,
  /** Of one tenant: a pin sends all of them on their way at once. */
  tenantSlots: 1_024,
  tenantPrefixBytes: 32,
  /** Slots that move at once. */
  moves: 1_024,
  /** Rules of grey releases. */
  greyRules: 16,
  /** Users and prefixes that one of them names, together. */
  greyNames: 256,
  arbiters: 255,
  idBytes: 64,
  nodeIdBytes: 128,
  addressBytes: 256,
  versionBytes: 32,
  zoneBytes: 64,
  pinBytes: 128,
  encodedBytes: 8 * 1024 * 1024
} as const

const idPattern = /^[A-Za-z0-9][A-Za-z0-9._-]*$/
const clusterIdPattern = /^[0-9a-f]{12}$/
const printable = /^[^\p{Cc}\p{Cs}]*$/u

/**
 * Whether `id` may name a set or a process: 1 to 64 of `A–Z a–z 0–9 . _ -`, the first a letter or
 * digit.
 */
function validId(id: string): boolean {
  return id.length <= tableLimits.idBytes && idPattern.test(id)
}

/** Whether `text` has no control characters and at most `limitBytes` bytes of UTF-8. */
function validText(text: string, limitBytes: number): boolean {
  return (
    text.length <= limitBytes &&
    printable.test(text) &&
    Buffer.byteLength(text, 'utf8') <= limitBytes
  )
}

/**
 * What is wrong with a table, or undefined when it may go into force: bounds, order, references,
 * and runs that are gap-free and as few as possible, so that a content has one form.
 */
export function tableFault(table: RoutingTable): string | undefined {
  if (!clusterIdPattern.test(table.clusterId)) return 'the cluster id is not 12 hex digits'
  if (!whole(table.epoch, 1, tableLimits.epoch)) return 'the epoch is out of range'
  const { slotCount } = table
  if (!whole(slotCount, 1, tableLimits.slotCount) || (slotCount & (slotCount - 1)) !== 0) {
    return 'the slot count is not a power of two within the limit'
  }
  return (
    setsFault(table) ??
    runsFault(table) ??
    tenantsFault(table) ??
    pinsFault(table) ??
    arbitersFault(table.arbiters) ??
    movesFault(table) ??
    greyFault(table)
  )
}

function setsFault(table: RoutingTable): string | undefined {
  if (table.sets.length === 0 || table.sets.length > tableLimits.sets) return 'too few or many sets'
  if (!ascending(table.sets, set => set.id)) return 'sets are not sorted by id'
  for (const set of table.sets) {
    const fault = setFault(set)
    if (fault !== undefined) return fault
  }
  if (processCount(table.sets) > tableLimits.processes) return 'too many processes'
  const transfers = table.sets.flatMap(set => set.transfers.map(entry => entry.id))
  const logics = table.sets.flatMap(set => set.logics.map(entry => entry.id))
  if (new Set(transfers).size < transfers.length || new Set(logics).size < logics.length) {
    return 'a process is listed in two sets'
  }
  return undefined
}

/** Transfers, logics and routers together. */
export function processCount(sets: readonly SetEntry[]): number {
  return sets.reduce(
    (sum, set) => sum + set.transfers.length + set.logics.length + set.routers.length,
    0
  )
}

/** Whole hundredths from 0.01 to the limit. */
function validSetWeight(weight: number): boolean {
  return (
    weight >= 0.01 && weight <= tableLimits.setWeight && Math.round(weight * 100) / 100 === weight
  )
}

function setFault(set: SetEntry): string | undefined {
  if (!validId(set.id)) return 'a set id is malformed'
  if (!validText(set.zone, tableLimits.zoneBytes)) return 'a zone is malformed'
  if (!validSetWeight(set.weight)) return 'a set weight is out of range'
  if (!ascending(set.transfers, entry => entry.id)) return 'transfers are not sorted by id'
  if (!ascending(set.logics, entry => entry.id)) return 'logics are not sorted by id'
  if (set.transfers.some(entry => !validTransfer(entry))) return 'a transfer entry is malformed'
  if (set.logics.some(entry => !validProcess(entry))) return 'a logic entry is malformed'
  if (!ascending(set.routers, entry => entry.replicaId)) return 'routers are not sorted by id'
  if (set.routers.some(entry => !validReplica(entry) || !validBootId(entry.bootId))) {
    return 'a router entry is malformed'
  }
  if (set.state === 'lost' && set.routers.length !== 1) return 'a lost set has not one survivor'
  return undefined
}

function runsFault(table: RoutingTable): string | undefined {
  const sets = new Set(table.sets.map(set => set.id))
  let next = 0
  let before: { setId: string; slotEpoch: number } | undefined
  for (const run of table.runs) {
    if (run.first !== next || !whole(run.count, 1, table.slotCount - next)) {
      return 'slot runs do not cover the slots without a gap'
    }
    if (!sets.has(run.setId)) return 'a slot run names an unknown set'
    if (!whole(run.slotEpoch, 1, table.epoch)) return 'a slot epoch is over the epoch'
    if (before?.setId === run.setId && before.slotEpoch === run.slotEpoch) {
      return 'two neighbouring slot runs are one'
    }
    before = run
    next += run.count
  }
  return next === table.slotCount ? undefined : 'slot runs do not cover all slots'
}

function pinsFault(table: RoutingTable): string | undefined {
  if (table.pins.length > tableLimits.pins) return 'too many pins'
  const sets = new Set(table.sets.map(set => set.id))
  if (!ascending(table.pins, pin => `${pin.match}\u0000${pin.value}`)) {
    return 'pins are not sorted by match and value'
  }
  for (const pin of table.pins) {
    if (!validName(pin.value)) return 'a pin is malformed'
    if (!sets.has(pin.setId)) return 'a pin names an unknown set'
    if (pin.match === 'tenant' && !table.tenants.some(({ id }) => id === pin.value)) {
      return 'a pin names an unknown tenant'
    }
  }
  return undefined
}

function tenantsFault({ tenants, slotCount }: RoutingTable): string | undefined {
  if (tenants.length === 0) return undefined
  if (tenants.length > tableLimits.tenants) return 'too many tenants'
  if (!ascending(tenants, tenant => tenant.prefix)) return 'tenants are not sorted by prefix'
  if (new Set(tenants.map(({ id }) => id)).size < tenants.length) return 'two tenants have one id'
  let next = tenants[0]!.first
  if (!whole(next, Math.floor(slotCount / 2) + 1, slotCount)) {
    return 'the tenants have half of the slots or more'
  }
  for (const [i, { id, prefix, first, count }] of tenants.entries()) {
    if (!validId(id) || !validPrefix(prefix)) return 'a tenant is malformed'
    // Whatever stands between a prefix and a key that begins with it begins with it too, so neighbours tell.
    if (tenants[i + 1]?.prefix.startsWith(prefix)) return 'the prefix of a tenant begins another'
    if (first !== next || !whole(count, 1, tableLimits.tenantSlots)) {
      return 'the slots of the tenants do not lie side by side'
    }
    next += count
  }
  return next === slotCount ? undefined : 'the slots of the tenants are not the last ones'
}

/** Whether the keys that begin with `prefix` may be those of a tenant. */
export function validPrefix(prefix: string): boolean {
  return prefix !== '' && validText(prefix, tableLimits.tenantPrefixBytes)
}

function movesFault({ moves, sets, runs, slotCount, epoch }: RoutingTable): string | undefined {
  if (moves.length === 0) return undefined
  if (moves.length > tableLimits.moves) return 'too many moves'
  if (!ascending(moves, move => move.slot)) return 'moves are not sorted by slot'
  const known = new Set(sets.map(set => set.id))
  const owners = ownersOf(runs)
  for (const move of moves) {
    if (!whole(move.slot, 0, slotCount - 1)) return 'a move is of no slot'
    if (!whole(move.epoch, 1, epoch)) return 'a move is of a later epoch'
    if (!known.has(move.to)) return 'a move names an unknown set'
    if (owners[move.slot] === move.to) return 'a slot moves to where it is'
  }
  return undefined
}

function greyFault({ grey }: RoutingTable): string | undefined {
  if (grey.length > tableLimits.greyRules) return 'too many rules of grey releases'
  if (!ascending(grey, rule => rule.version)) return 'rules are not sorted by version'
  return grey.every(validGreyRule) ? undefined : 'a rule of a grey release is malformed'
}

/** Whether `name` may be that of a user, or the beginning of one. */
export function validName(name: string): boolean {
  return name !== '' && validText(name, tableLimits.pinBytes)
}

/** Whether each field of a rule is within its bounds. */
export function validGreyRule({ version, percent, uids, prefixes }: GreyRule): boolean {
  const names = [...uids, ...prefixes]
  return (
    version !== '' &&
    validText(version, tableLimits.versionBytes) &&
    percent >= 0 &&
    percent <= 100 &&
    Math.round(percent * 100) / 100 === percent &&
    names.length <= tableLimits.greyNames &&
    names.every(validName) &&
    ascending(uids, uid => uid) &&
    ascending(prefixes, prefix => prefix)
  )
}

function arbitersFault(arbiters: readonly ReplicaEntry[]): string | undefined {
  if (arbiters.length > tableLimits.arbiters) return 'too many arbiters'
  if (!ascending(arbiters, entry => entry.replicaId)) return 'arbiters are not sorted by id'
  return arbiters.every(validReplica) ? undefined : 'an arbiter entry is malformed'
}

/** Whether each field of a transfer or logic entry is within its bounds. */
export function validProcess(entry: ProcessEntry): boolean {
  return (
    validId(entry.id) &&
    validText(entry.nodeId, tableLimits.nodeIdBytes) &&
    validBootId(entry.bootId) &&
    validText(entry.address, tableLimits.addressBytes) &&
    validText(entry.version, tableLimits.versionBytes) &&
    whole(entry.weight, 0, tableLimits.processWeight)
  )
}

export function validTransfer(entry: TransferEntry): boolean {
  const { clientAddresses } = entry
  const texts = [entry.id, entry.nodeId, entry.address, entry.version, ...clientAddresses]
  return (
    validProcess(entry) &&
    clientAddresses.length <= tableLimits.clientAddresses &&
    clientAddresses.every(address => validText(address, tableLimits.addressBytes)) &&
    Buffer.byteLength(texts.join(''), 'utf8') <= tableLimits.processBytes
  )
}

/** Whether each field of an arbiter or router entry is within its bounds. */
export function validReplica(entry: ReplicaEntry): boolean {
  return (
    whole(entry.replicaId, 1, 255) &&
    validText(entry.nodeId, tableLimits.nodeIdBytes) &&
    validText(entry.address, tableLimits.addressBytes)
  )
}

function validBootId(bootId: number): boolean {
  return whole(bootId, 0, 2 ** 48 - 1)
}

function whole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most
}

function ascending<T>(items: readonly T[], key: (item: T) => string | number): boolean {
  return items.every((item, i) => i === 0 || key(items[i - 1]!) < key(item))
}
