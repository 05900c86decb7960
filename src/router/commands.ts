import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { assert } from '../base/errors.ts'
import { hardLimits, type Message, type PayloadOf, route } from '../protocol/kinds.ts'
import type { SlotRange, SlotRun } from '../table/table.ts'
import { writeMessage } from './timelines.ts'

/**
 * A log entry: header, then commands, each of which succeeds or fails on its own. What depends on clock or table (the time, target sets, which members live
 * here) is written by the leader, so that applying needs neither.
 */
export const entryVersion = 1
/** An entry that tells the group the tenants of the cluster: their list follows the header. */
const tenantsVersion = 2

export const commandKinds = {
  append: 1,
  register: 2,
  unregister: 3,
  expireTransfer: 4,
  import: 5,
  fill: 6,
  channelAcked: 7,
  raiseSequence: 8,
  own: 9,
  slotStep: 10,
  routeEpoch: 11,
  importMessages: 12,
  importSessions: 13,
  importRows: 14,
  dropRows: 15,
  redirect: 16,
  breakSessions: 17
} as const

/** Why one command of an entry had no effect. */
export interface CommandError {
  readonly error: ErrorCode
}

const errors = new Map<ErrorCode, CommandError>()

export function commandError(code: ErrorCode): CommandError {
  let known = errors.get(code)
  if (known === undefined) {
    known = { error: code }
    errors.set(code, known)
  }
  return known
}

export function isCommandError(result: unknown): result is CommandError {
  return typeof result === 'object' && result !== null && 'error' in result
}

/** Where the header keeps the count: behind version, time and slot count. */
const countAt = 11

export interface EntryHeader {
  /** Wall clock of the leader that made the entry. */
  readonly wallMs: number
  readonly slotCount: number
  readonly count: number
  /** Whose slots are which, if the entry says so; they never change. */
  readonly tenants: readonly SlotRange[]
}

/** @param tenants those of the cluster, while the group's log may not have them yet; else none. */
export function beginEntry(
  writer: ByteWriter,
  wallMs: number,
  slotCount: number,
  tenants: readonly SlotRange[] = []
): void {
  writer.reset()
  writer.u8(tenants.length === 0 ? entryVersion : tenantsVersion)
  writer.u48(wallMs)
  writer.u32(slotCount)
  writer.u16(0)
  if (tenants.length > 0) writeTenants(writer, tenants)
}

export function writeTenants(writer: ByteWriter, tenants: readonly SlotRange[]): void {
  writer.varint(tenants.length)
  for (const { prefix, first, count } of tenants) {
    writer.string(prefix)
    writer.varint(first)
    writer.varint(count)
  }
}

export function readTenants(reader: ByteReader): SlotRange[] {
  const tenants: SlotRange[] = []
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const prefix = reader.string(hardLimits.uidBytes)
    const first = reader.varint()
    tenants.push({ prefix, first, count: reader.varint() })
  }
  return tenants
}

/** The finished entry in its own bytes. */
export function finishEntry(writer: ByteWriter, count: number): Buffer {
  const data = writer.copy()
  data.writeUInt16BE(count, countAt)
  return data
}

export function readEntryHeader(reader: ByteReader): EntryHeader {
  const version = reader.u8()
  const told = version === tenantsVersion
  assert(version === entryVersion || told, 'the entry is of a known version', { version })
  const wallMs = reader.u48()
  const slotCount = reader.u32()
  const count = reader.u16()
  return { wallMs, slotCount, count, tenants: told ? readTenants(reader) : [] }
}

/** What the leader adds to an append. */
export interface AppendRouting {
  readonly localMembers: number
  readonly targetSets: readonly string[]
}

function writeHead(writer: ByteWriter, kind: number, slot: number, slotEpoch: number): void {
  writer.u8(kind)
  writer.u16(slot)
  writer.varint(slotEpoch)
}

export function writeAppend(
  writer: ByteWriter,
  slot: number,
  slotEpoch: number,
  routing: AppendRouting,
  payload: PayloadOf<'APPEND'>
): void {
  writeHead(writer, commandKinds.append, slot, slotEpoch)
  writer.varint(routing.localMembers)
  writer.u8(routing.targetSets.length)
  for (const setId of routing.targetSets) writer.string(setId)
  writer.string(payload.session)
  writer.string(payload.uid)
  writer.string(payload.deviceId)
  writer.varint(payload.clientMsgId)
  writer.u8(payload.type)
  writer.bytes(payload.body)
}

export function writeConnection(
  writer: ByteWriter,
  kind: typeof commandKinds.register | typeof commandKinds.unregister,
  slot: number,
  slotEpoch: number,
  payload: PayloadOf<'REGISTER'>
): void {
  writeHead(writer, kind, slot, slotEpoch)
  writer.string(payload.uid)
  route.write(writer, payload.route)
}

export function writeExpireTransfer(
  writer: ByteWriter,
  transferId: string,
  transferBootId: number
): void {
  writer.u8(commandKinds.expireTransfer)
  writer.string(transferId)
  writer.u48(transferBootId)
}

export interface ImportItem {
  /** Home slot of the session. */
  readonly slot: number
  readonly localMembers: number
  readonly session: string
  readonly message: Message
}

export function writeImport(
  writer: ByteWriter,
  sourceSet: string,
  firstPosition: number,
  items: readonly ImportItem[]
): void {
  writer.u8(commandKinds.import)
  writer.string(sourceSet)
  writer.varint(firstPosition)
  writer.varint(items.length)
  for (const item of items) {
    writer.u16(item.slot)
    writer.varint(item.localMembers)
    writer.string(item.session)
    writeSized(writer, item.message)
  }
}

export function writeFill(
  writer: ByteWriter,
  slot: number,
  localMembers: number,
  session: string,
  messages: readonly Message[]
): void {
  writer.u8(commandKinds.fill)
  writer.u16(slot)
  writer.varint(localMembers)
  writer.string(session)
  writer.varint(messages.length)
  for (const message of messages) writeSized(writer, message)
}

export function writeChannelAcked(writer: ByteWriter, targetSet: string, position: number): void {
  writer.u8(commandKinds.channelAcked)
  writer.string(targetSet)
  writer.varint(position)
}

export function writeRaiseSequence(
  writer: ByteWriter,
  slot: number,
  slotEpoch: number,
  name: string,
  step: number
): void {
  writeHead(writer, commandKinds.raiseSequence, slot, slotEpoch)
  writer.string(name)
  writer.varint(step)
}

/** Where a message goes that waits in the outbox of a set which its member has left. */
export interface Redirection extends AppendRouting {
  /** Home slot of the session. */
  readonly slot: number
  readonly session: string
  readonly msgid: number
}

export function writeRedirect(writer: ByteWriter, redirection: Redirection): void {
  writer.u8(commandKinds.redirect)
  writer.u16(redirection.slot)
  writer.string(redirection.session)
  writer.varint(redirection.msgid)
  writer.varint(redirection.localMembers)
  writer.u8(redirection.targetSets.length)
  for (const setId of redirection.targetSets) writer.string(setId)
}

export type OwnRun = Omit<SlotRun, 'setId'>

export function writeOwn(writer: ByteWriter, runs: readonly OwnRun[]): void {
  writer.u8(commandKinds.own)
  writer.varint(runs.length)
  for (const run of runs) {
    writer.varint(run.first)
    writer.varint(run.count)
    writer.varint(run.slotEpoch)
  }
}

export function readOwnRuns(reader: ByteReader): OwnRun[] {
  const runs: OwnRun[] = []
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const first = reader.varint()
    const slots = reader.varint()
    runs.push({ first, count: slots, slotEpoch: reader.varint() })
  }
  return runs
}

/** A message behind its length, as a u32 that is patched in: the row is then cut out without decoding it. */
export function writeSized(writer: ByteWriter, message: Message): void {
  const at = writer.length
  writer.u32(0)
  writeMessage(writer, message)
  writer.patchU32(at, writer.length - at - 4)
}

/** A view of a message written by `writeSized`. */
export function readSized(reader: ByteReader): Buffer {
  return reader.raw(reader.u32())
}

export const readName = (reader: ByteReader): string => reader.string(hardLimits.nameBytes)
