import { ByteReader, type ByteWriter } from '../base/bytes.ts'
import { eraMessages, nextEra } from '../protocol/eras.ts'
import { hardLimits, type Message } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix, sortable } from './row-keys.ts'
import type { RowReader } from './row-table.ts'
import { putVarint, varintBytes } from './varint.ts'

export const timelineKey = (slot: number, session: string, msgid: number): string =>
  `${slotPrefix(slot)}/timeline/${session}/${sortable(msgid)}`

/** A row is a `message` exactly as kinds.ts encodes it, so that bytes are copied, never re-encoded. */
export function putMessage(
  rows: Rows,
  slot: number,
  session: string,
  msgid: number,
  message: Buffer
): void {
  rows.add(timelineKey(slot, session, msgid), message)
}

export function getMessage(
  rows: RowReader,
  slot: number,
  session: string,
  msgid: number
): Buffer | undefined {
  return rows.get(timelineKey(slot, session, msgid))
}

/** The first message from `msgid` on, up to `latest`: that very one, or where there is none, the beginning of the next era. */
export function firstMessage(
  rows: RowReader,
  slot: number,
  session: string,
  msgid: number,
  latest: number
): { readonly msgid: number; readonly row: Buffer } | undefined {
  for (let at = msgid; at <= latest; at = nextEra(at)) {
    const row = getMessage(rows, slot, session, at)
    if (row !== undefined) return { msgid: at, row }
  }
  return undefined
}

/** All msgids of a timeline, ascending; rows are looked at only where it has more than one era. */
export function* msgidsOf(
  rows: RowReader,
  slot: number,
  session: string,
  latest: number
): Generator<number> {
  for (let msgid = 1; msgid <= latest; msgid++) {
    const found =
      latest < eraMessages ? msgid : firstMessage(rows, slot, session, msgid, latest)?.msgid
    if (found === undefined) return
    yield found
    msgid = found
  }
}

/** Hand-laid twin of `message.read`, for the hot path. */
export function readMessage(reader: ByteReader): Message {
  const msgid = reader.varint()
  const from = reader.string(hardLimits.uidBytes)
  const deviceId = reader.string(hardLimits.deviceIdBytes)
  const clientMsgId = reader.varint()
  const type = reader.u8()
  const atMs = reader.varint()
  const body = reader.bytes(hardLimits.bodyBytes)
  return { msgid, from, deviceId, clientMsgId, type, atMs, body }
}

export function decodeMessage(bytes: Buffer): Message {
  return readMessage(new ByteReader(bytes))
}

/** Hand-laid twin of `message.write`. */
export function writeMessage(writer: ByteWriter, message: Message): void {
  writer.varint(message.msgid)
  writer.string(message.from)
  writer.string(message.deviceId)
  writer.varint(message.clientMsgId)
  writer.u8(message.type)
  writer.varint(message.atMs)
  writer.bytes(message.body)
}

/**
 * A message from an append command that already holds its fields in this order: only msgid and time are new.
 * @param fromStart where the sender's uid begins in `data`; body length and body follow `typeEnd`.
 */
export function layMessage(
  msgid: number,
  atMs: number,
  data: Buffer,
  fromStart: number,
  typeEnd: number,
  bodyEnd: number
): Buffer {
  const message = Buffer.allocUnsafe(varintBytes(msgid) + varintBytes(atMs) + bodyEnd - fromStart)
  let at = putVarint(message, 0, msgid)
  // A few dozen bytes: a loop beats the call into native code.
  for (let i = fromStart; i < typeEnd; i++) message[at++] = data[i]!
  at = putVarint(message, at, atMs)
  data.copy(message, at, typeEnd, bodyEnd)
  return message
}
