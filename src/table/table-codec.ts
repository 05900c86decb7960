import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert, RingsetError } from '../base/errors.ts'
import { contentHash } from './content-hash.ts'
import { readSlots, writeSlots } from './slot-codec.ts'
import { StringPoolReader, StringPoolWriter } from './string-pool.ts'
import type {
  GreyRule,
  Pin,
  ProcessEntry,
  ReplicaEntry,
  RoutingTable,
  SetEntry,
  Tenant
} from './table.ts'
import { tableFault, tableLimits } from './table-rules.ts'

/**
 * First byte of every encoded table; another one is refused, not guessed at. Version 2 has the list of moves at its end, version 3
 * that list and the rules of grey releases behind it, version 4 both and the tenants. Each is written only while it has to be, so that
 * processes which know only earlier ones stand aside no longer than a move takes, or a rule is there; a cluster with tenants has none.
 */
const plainVersion = 1
const movingVersion = 2
const greyVersion = 3
const tenantVersion = 4
/** Second byte: the whole table. Deltas would take another number. */
const fullForm = 0
const headBytes = 2
const hashBytes = 8

const setStates = ['active', 'draining', 'lost'] as const
const processStates = ['up', 'down', 'draining'] as const
const routerStates = ['up', 'down'] as const
const routerRoles = ['voter', 'learner'] as const
const pinMatches = ['uid', 'prefix', 'tenant'] as const

/** What an encoded table says of itself; see `peekTable`. */
export interface TableLabel {
  readonly clusterId: string
  readonly epoch: number
  readonly contentHash: number
}

/**
 * The canonical bytes of a table: one content, one encoding. The last 8 bytes are the content hash
 * of all before. A table that breaks `tableFault`'s rules is a broken invariant.
 */
export function encodeTable(table: RoutingTable): Buffer {
  const fault = tableFault(table)
  assert(fault === undefined, 'only a sound table is encoded', { fault })
  return write(table)
}

/**
 * Throws BAD_PACKET unless `encoded` is exactly what `encodeTable` makes of some table. Keeps no
 * reference to `encoded`.
 */
export function decodeTable(encoded: Buffer): RoutingTable {
  peekTable(encoded)
  const reader = new ByteReader(encoded, headBytes, encoded.length - hashBytes)
  const table = read(reader, encoded[0]!)
  reader.end()
  const fault = tableFault(table)
  if (fault !== undefined) throw new RingsetError('BAD_PACKET', `a bad routing table: ${fault}`)
  if (!write(table).equals(encoded)) {
    throw new RingsetError('BAD_PACKET', 'a routing table is not in canonical form')
  }
  return table
}

/**
 * Reads the label alone, without a look at the content: enough to drop a table that is not newer,
 * nothing to rely on before `decodeTable`. Throws BAD_PACKET when there is none.
 */
export function peekTable(encoded: Buffer): TableLabel {
  if (encoded.length > tableLimits.encodedBytes) {
    throw new RingsetError('BAD_PACKET', 'a routing table is over its limit', {
      sizeBytes: encoded.length
    })
  }
  const reader = new ByteReader(encoded)
  const version = reader.u8()
  const form = reader.u8()
  if (version < plainVersion || version > tenantVersion || form !== fullForm) {
    throw new RingsetError('BAD_PACKET', 'an unknown table format', { version, form })
  }
  const clusterId = readClusterId(reader)
  const epoch = reader.varint()
  if (reader.remaining < hashBytes) throw new RingsetError('BAD_PACKET', 'a table is cut short')
  return { clusterId, epoch, contentHash: hashAt(encoded, encoded.length - hashBytes) }
}

function hashAt(encoded: Buffer, at: number): number {
  return encoded.readUInt32BE(at) * 0x1_0000_0000 + encoded.readUInt32BE(at + 4)
}

function write(table: RoutingTable): Buffer {
  const writer = new ByteWriter(4_096)
  const pool = new StringPoolWriter(writer)
  const version = versionOf(table)
  writer.u8(version)
  writer.u8(fullForm)
  writer.u48(Number.parseInt(table.clusterId, 16))
  writer.varint(table.epoch)
  writer.u8(Math.log2(table.slotCount))
  writer.varint(table.sets.length)
  for (const set of table.sets) writeSet(writer, pool, set)
  writeSlots(writer, table)
  writer.varint(table.pins.length)
  for (const pin of table.pins) writePin(writer, pool, pin)
  writer.varint(table.arbiters.length)
  for (const entry of table.arbiters) writeReplica(writer, pool, entry)
  if (version >= movingVersion) {
    writer.varint(table.moves.length)
    for (const move of table.moves) {
      writer.varint(move.slot)
      pool.write(move.to)
      writer.varint(move.epoch)
    }
  }
  if (version >= greyVersion) {
    writer.varint(table.grey.length)
    for (const rule of table.grey) writeRule(writer, pool, rule)
  }
  if (version >= tenantVersion) {
    writer.varint(table.tenants.length)
    for (const { id, prefix, count } of table.tenants) {
      pool.write(id)
      pool.write(prefix)
      writer.varint(count)
    }
  }
  const hash = contentHash(writer.finish())
  writer.u32(Math.floor(hash / 0x1_0000_0000))
  writer.u32(hash % 0x1_0000_0000)
  return writer.copy()
}

function versionOf({ moves, grey, tenants }: RoutingTable): number {
  if (tenants.length > 0) return tenantVersion
  if (grey.length > 0) return greyVersion
  return moves.length > 0 ? movingVersion : plainVersion
}

function read(reader: ByteReader, version: number): RoutingTable {
  const pool = new StringPoolReader(reader)
  const clusterId = readClusterId(reader)
  const epoch = reader.varint()
  const exponent = reader.u8()
  if (exponent > Math.log2(tableLimits.slotCount)) {
    throw new RingsetError('BAD_PACKET', 'too many slots')
  }
  const slotCount = 2 ** exponent
  const sets = readList(reader, tableLimits.sets, () => readSet(reader, pool))
  const setIds = sets.map(set => set.id)
  const runs = readSlots(reader, slotCount, setIds)
  const pins = readList(reader, tableLimits.pins, () => readPin(reader, pool))
  const arbiters = readList(reader, tableLimits.arbiters, () => readReplica(reader, pool))
  const moves =
    version >= movingVersion
      ? readList(reader, tableLimits.moves, () => ({
          slot: reader.varint(),
          to: pool.read(tableLimits.idBytes),
          epoch: reader.varint()
        }))
      : []
  const grey =
    version >= greyVersion
      ? readList(reader, tableLimits.greyRules, () => readRule(reader, pool))
      : []
  const tenants = version >= tenantVersion ? readTenants(reader, pool, slotCount) : []
  return { clusterId, epoch, slotCount, runs, pins, moves, grey, tenants, sets, arbiters }
}

function readClusterId(reader: ByteReader): string {
  return reader.u48().toString(16).padStart(12, '0')
}

function writeSet(writer: ByteWriter, pool: StringPoolWriter, set: SetEntry): void {
  pool.write(set.id)
  pool.write(set.zone)
  writer.u8(setStates.indexOf(set.state))
  writer.varint(Math.round(set.weight * 100))
  writer.varint(set.transfers.length)
  for (const transfer of set.transfers) {
    writeProcess(writer, pool, transfer)
    writer.varint(transfer.clientAddresses.length)
    for (const address of transfer.clientAddresses) pool.write(address)
  }
  writer.varint(set.logics.length)
  for (const logic of set.logics) writeProcess(writer, pool, logic)
  writer.varint(set.routers.length)
  for (const router of set.routers) {
    writeReplica(writer, pool, router)
    writer.u8(routerRoles.indexOf(router.role))
    writer.u48(router.bootId)
    writer.u8(routerStates.indexOf(router.state))
  }
}

function readSet(reader: ByteReader, pool: StringPoolReader): SetEntry {
  const { processes, clientAddresses, addressBytes } = tableLimits
  return {
    id: pool.read(tableLimits.idBytes),
    zone: pool.read(tableLimits.zoneBytes),
    state: readWord(reader, setStates),
    weight: reader.varint() / 100,
    transfers: readList(reader, processes, () => ({
      ...readProcess(reader, pool),
      clientAddresses: readList(reader, clientAddresses, () => pool.read(addressBytes))
    })),
    logics: readList(reader, processes, () => readProcess(reader, pool)),
    routers: readList(reader, processes, () => ({
      ...readReplica(reader, pool),
      role: readWord(reader, routerRoles),
      bootId: reader.u48(),
      state: readWord(reader, routerStates)
    }))
  }
}

function writeProcess(writer: ByteWriter, pool: StringPoolWriter, entry: ProcessEntry): void {
  pool.write(entry.id)
  pool.write(entry.nodeId)
  writer.u48(entry.bootId)
  pool.write(entry.address)
  writer.u8(processStates.indexOf(entry.state))
  pool.write(entry.version)
  writer.varint(entry.weight)
}

function readProcess(reader: ByteReader, pool: StringPoolReader): ProcessEntry {
  return {
    id: pool.read(tableLimits.idBytes),
    nodeId: pool.read(tableLimits.nodeIdBytes),
    bootId: reader.u48(),
    address: pool.read(tableLimits.addressBytes),
    state: readWord(reader, processStates),
    version: pool.read(tableLimits.versionBytes),
    weight: reader.varint()
  }
}

function writeReplica(writer: ByteWriter, pool: StringPoolWriter, entry: ReplicaEntry): void {
  writer.u8(entry.replicaId)
  pool.write(entry.nodeId)
  pool.write(entry.address)
}

function readReplica(reader: ByteReader, pool: StringPoolReader): ReplicaEntry {
  return {
    replicaId: reader.u8(),
    nodeId: pool.read(tableLimits.nodeIdBytes),
    address: pool.read(tableLimits.addressBytes)
  }
}

function writePin(writer: ByteWriter, pool: StringPoolWriter, pin: Pin): void {
  writer.u8(pinMatches.indexOf(pin.match))
  pool.write(pin.value)
  pool.write(pin.setId)
}

function readPin(reader: ByteReader, pool: StringPoolReader): Pin {
  return {
    match: readWord(reader, pinMatches),
    value: pool.read(tableLimits.pinBytes),
    setId: pool.read(tableLimits.idBytes)
  }
}

function writeRule(writer: ByteWriter, pool: StringPoolWriter, rule: GreyRule): void {
  pool.write(rule.version)
  writer.varint(Math.round(rule.percent * 100))
  for (const names of [rule.uids, rule.prefixes]) {
    writer.varint(names.length)
    for (const name of names) pool.write(name)
  }
}

function readRule(reader: ByteReader, pool: StringPoolReader): GreyRule {
  const names = () => readList(reader, tableLimits.greyNames, () => pool.read(tableLimits.pinBytes))
  return {
    version: pool.read(tableLimits.versionBytes),
    percent: reader.varint() / 100,
    uids: names(),
    prefixes: names()
  }
}

function readTenants(reader: ByteReader, pool: StringPoolReader, slotCount: number): Tenant[] {
  const tenants = readList(reader, tableLimits.tenants, () => ({
    id: pool.read(tableLimits.idBytes),
    prefix: pool.read(tableLimits.tenantPrefixBytes),
    first: 0,
    count: reader.varint()
  }))
  // They have the last slots, side by side; `tableFault` sees to it that they are in order.
  let next = slotCount
  for (const tenant of tenants.toReversed()) {
    next -= tenant.count
    tenant.first = next
  }
  return tenants
}

function readWord<const T extends readonly string[]>(reader: ByteReader, words: T): T[number] {
  const word = words[reader.u8()]
  if (word === undefined) throw new RingsetError('BAD_PACKET', 'an unknown word number')
  return word
}

function readList<T>(reader: ByteReader, limit: number, item: () => T): T[] {
  const count = reader.varint()
  if (count > limit || count > reader.remaining) {
    throw new RingsetError('BAD_PACKET', 'a list is over its limit', { count, limit })
  }
  const items: T[] = []
  for (let i = 0; i < count; i++) items.push(item())
  return items
}
