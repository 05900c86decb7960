import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { hardLimits, type Message } from '../protocol/kinds.ts'
import { commandKinds, writeSized } from './commands.ts'
import { type SlotStep, slotSteps } from './ownership.ts'

/** A session as the set that a slot leaves knows it. */
export interface MovedSession {
  /** Its home slot. */
  readonly slot: number
  readonly session: string
  readonly latest: number
}

export interface MovedMessage {
  /** Home slot of the session. */
  readonly slot: number
  readonly session: string
  readonly message: Message
}

export interface MovedRow {
  readonly key: string
  readonly value: Buffer
}

export interface SlotStepCommand {
  readonly step: SlotStep
  readonly slot: number
  readonly move: number
  readonly epoch: number
}

export function writeSlotStep(writer: ByteWriter, command: SlotStepCommand): void {
  writer.u8(commandKinds.slotStep)
  writer.u8(slotSteps.indexOf(command.step))
  writer.u16(command.slot)
  writer.varint(command.move)
  writer.varint(command.epoch)
}

export function readSlotStep(reader: ByteReader): SlotStepCommand {
  const step = slotSteps[reader.u8()]
  assert(step !== undefined, 'a step of a slot is known')
  const slot = reader.u16()
  const move = reader.varint()
  return { step, slot, move, epoch: reader.varint() }
}

export function writeRouteEpoch(writer: ByteWriter, epoch: number): void {
  writer.u8(commandKinds.routeEpoch)
  writer.varint(epoch)
}

/** What every import names: the slot that comes, and its move. */
export interface ImportHead {
  readonly slot: number
  readonly move: number
}

function writeHead(writer: ByteWriter, kind: number, { slot, move }: ImportHead): void {
  writer.u8(kind)
  writer.u16(slot)
  writer.varint(move)
}

export function readImportHead(reader: ByteReader): ImportHead {
  const slot = reader.u16()
  return { slot, move: reader.varint() }
}

export function writeImportMessages(
  writer: ByteWriter,
  head: ImportHead,
  messages: readonly MovedMessage[]
): void {
  writeHead(writer, commandKinds.importMessages, head)
  writer.varint(messages.length)
  for (const { slot, session, message } of messages) {
    writer.u16(slot)
    writer.string(session)
    writer.varint(message.msgid)
    writeSized(writer, message)
  }
}

export function writeImportSessions(
  writer: ByteWriter,
  head: ImportHead,
  sessions: readonly MovedSession[]
): void {
  writeHead(writer, commandKinds.importSessions, head)
  writer.varint(sessions.length)
  for (const { slot, session, latest } of sessions) {
    writer.u16(slot)
    writer.string(session)
    writer.varint(latest)
  }
}

export function readImportSessions(reader: ByteReader): MovedSession[] {
  const sessions: MovedSession[] = []
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const slot = reader.u16()
    const session = reader.string(hardLimits.sessionBytes)
    sessions.push({ slot, session, latest: reader.varint() })
  }
  return sessions
}

/** A session at home in the slot that comes, and the other sets that its members live in. */
export interface BrokenSession {
  readonly session: string
  readonly targetSets: readonly string[]
}

/** @param era how often the slot was recovered, this time included. */
export function writeBreakSessions(
  writer: ByteWriter,
  head: ImportHead,
  era: number,
  sessions: readonly BrokenSession[]
): void {
  writeHead(writer, commandKinds.breakSessions, head)
  writer.varint(era)
  writer.varint(sessions.length)
  for (const { session, targetSets } of sessions) {
    writer.string(session)
    writer.u8(targetSets.length)
    for (const setId of targetSets) writer.string(setId)
  }
}

/** Behind the head. */
export function readBreakSessions(reader: ByteReader): {
  readonly era: number
  readonly sessions: readonly BrokenSession[]
} {
  const era = reader.varint()
  const sessions: BrokenSession[] = []
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const session = reader.string(hardLimits.sessionBytes)
    const targetSets: string[] = []
    const targets = reader.u8()
    for (let j = 0; j < targets; j++) targetSets.push(reader.string(hardLimits.nameBytes))
    sessions.push({ session, targetSets })
  }
  return { era, sessions }
}

export function writeImportRows(
  writer: ByteWriter,
  head: ImportHead,
  rows: readonly MovedRow[]
): void {
  writeHead(writer, commandKinds.importRows, head)
  writer.varint(rows.length)
  for (const { key, value } of rows) {
    writer.string(key)
    writer.bytes(value)
  }
}

export function writeDropRows(
  writer: ByteWriter,
  slot: number,
  epoch: number,
  keys: readonly string[]
): void {
  writer.u8(commandKinds.dropRows)
  writer.u16(slot)
  writer.varint(epoch)
  writer.varint(keys.length)
  for (const key of keys) writer.string(key)
}
