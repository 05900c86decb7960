import { ByteReader, type ByteWriter } from '../base/bytes.ts'
import { type ErrorFacts, RingsetError } from '../base/errors.ts'
import type { Field } from './fields.ts'
import { type KindName, kinds } from './kinds.ts'
import type { Packet, PacketHeader } from './packet.ts'

/** Bytes before the payload, the length field included. */
export const headerBytes = 40
export const frameVersion = 1
/** `to` or `from` of a packet that concerns the link itself (handshake, LINK_PING, TABLE_PULL …). */
export const linkIndex = 0xff

const lengthBytes = 4
const flagTable = 1
const maxDeadlineMs = 0xffff

/** A decoded frame. `table` is the attached routing table, a view of the received buffer. */
export interface Frame {
  readonly packet: Packet
  readonly to: number
  readonly from: number
  readonly table: Buffer | undefined
}

interface KnownKind {
  readonly name: KindName
  readonly payload: Field<unknown>
}

const kindByNumber: (KnownKind | undefined)[] = new Array<KnownKind | undefined>(256).fill(
  undefined
)
for (const name of Object.keys(kinds) as KindName[]) {
  kindByNumber[kinds[name].number] = { name, payload: kinds[name].payload as Field<unknown> }
}

/**
 * Appends one frame to `writer` and returns its size in bytes. `clusterTag` and `epoch` are the sender's at this moment and replace
 * the packet's own. A deadline over 65,535 ms travels as that, one that has passed as 1 ms.
 */
export function encodeFrame(
  writer: ByteWriter,
  packet: Packet,
  to: number,
  from: number,
  clusterTag: number,
  epoch: number,
  table?: Buffer
): number {
  const kind = kinds[packet.kind]
  const start = writer.claim(headerBytes)
  const header = writer.target
  header[start + 4] = frameVersion
  header[start + 5] = kind.number
  header[start + 6] = table === undefined ? 0 : flagTable
  header[start + 7] = (packet.hop << 4) | (packet.priority & 0xf)
  putU48(header, start + 8, packet.bootId)
  putU48(header, start + 14, packet.sequence)
  putU16(header, start + 20, deadlineOf(packet.deadlineMs))
  header[start + 22] = to
  header[start + 23] = from
  putU16(header, start + 24, clusterTag)
  putU32(header, start + 26, epoch)
  putU16(header, start + 30, packet.slot)
  putU32(header, start + 32, packet.slotEpoch)
  putU32(header, start + 36, packet.term)
  if (table !== undefined) {
    writer.u32(table.length)
    writer.raw(table)
  }
  ;(kind.payload as Field<unknown>).write(writer, packet.payload)
  const size = writer.length - start
  writer.patchU32(start, size - lengthBytes)
  return size
}

/**
 * Decodes the frame at `start` (its length field) up to `end`. Throws BAD_FRAME when these bytes are no frame of this version, and
 * UNKNOWN_KIND or BAD_PACKET with the header's `bootId`, `sequence`, `to`, `from` as facts, so that it can be answered.
 *
 * Blobs are views only where they are at least a quarter of the memory they would keep alive, else copies: whoever keeps a
 * message body does not keep a whole socket buffer. The attached table is always a view.
 */
export function decodeFrame(buffer: Buffer, start: number, end: number): Frame {
  if (end - start < headerBytes) throw new RingsetError('BAD_FRAME', 'shorter than a header')
  const version = buffer[start + 4]!
  const flags = buffer[start + 6]!
  if (version !== frameVersion) {
    throw new RingsetError('BAD_FRAME', 'unknown frame version', { version })
  }
  if (flags > flagTable) throw new RingsetError('BAD_FRAME', 'unknown frame flags', { flags })
  const to = buffer[start + 22]!
  const from = buffer[start + 23]!
  const header = decodeHeader(buffer, start)
  const kind = kindByNumber[buffer[start + 5]!]
  let at = start + headerBytes
  let table: Buffer | undefined
  if (flags === flagTable) {
    const sizeBytes = end - at < 4 ? -1 : buffer.readUInt32BE(at)
    at += 4
    if (sizeBytes < 0 || sizeBytes > end - at) {
      throw refused('BAD_PACKET', header, to, from, 'the table runs past the end')
    }
    table = buffer.subarray(at, at + sizeBytes)
    at += sizeBytes
  }
  if (kind === undefined) {
    throw refused('UNKNOWN_KIND', header, to, from, undefined, { kind: buffer[start + 5]! })
  }
  try {
    const reader = new OwningReader(buffer, at, end)
    header.payload = kind.payload.read(reader)
    reader.end()
  } catch (error) {
    if (!(error instanceof RingsetError)) throw error
    throw refused(error.code, header, to, from, error.message, { ...error.facts, kind: kind.name })
  }
  header.kind = kind.name
  return { packet: header as Packet, to, from, table }
}

type OpenPacket = PacketHeader & { kind: KindName; payload: unknown }

function decodeHeader(buffer: Buffer, start: number): OpenPacket {
  const hopAndPriority = buffer[start + 7]!
  return {
    hop: hopAndPriority >>> 4,
    priority: hopAndPriority & 0xf,
    bootId: u48(buffer, start + 8),
    sequence: u48(buffer, start + 14),
    deadlineMs: u16(buffer, start + 20),
    clusterTag: u16(buffer, start + 24),
    epoch: u32(buffer, start + 26),
    slot: u16(buffer, start + 30),
    slotEpoch: u32(buffer, start + 32),
    term: u32(buffer, start + 36),
    kind: 'ERROR',
    payload: undefined
  }
}

/** What is left must not read as 0, "none stated", when it is nearly or wholly used up. */
function deadlineOf(deadlineMs: number): number {
  if (deadlineMs < 0) return 1
  return Math.min(Math.ceil(deadlineMs), maxDeadlineMs)
}

// The bounds are checked once per frame, not once per field as Buffer's own methods do.

function putU16(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 8
  buffer[at + 1] = value
}

function putU32(buffer: Buffer, at: number, value: number): void {
  buffer[at] = value >>> 24
  buffer[at + 1] = value >>> 16
  buffer[at + 2] = value >>> 8
  buffer[at + 3] = value
}

function putU48(buffer: Buffer, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  putU16(buffer, at, high)
  putU32(buffer, at + 2, value - high * 0x1_0000_0000)
}

function u16(buffer: Buffer, at: number): number {
  return (buffer[at]! << 8) | buffer[at + 1]!
}

function u32(buffer: Buffer, at: number): number {
  const low = (buffer[at + 1]! << 16) | (buffer[at + 2]! << 8) | buffer[at + 3]!
  return buffer[at]! * 0x100_0000 + low
}

function u48(buffer: Buffer, at: number): number {
  return u16(buffer, at) * 0x1_0000_0000 + u32(buffer, at + 2)
}

function refused(
  code: RingsetError['code'],
  header: PacketHeader,
  to: number,
  from: number,
  text?: string,
  facts: ErrorFacts = {}
): RingsetError {
  const { bootId, sequence, slot, slotEpoch, priority } = header
  return new RingsetError(code, text, {
    ...facts,
    bootId,
    sequence,
    slot,
    slotEpoch,
    priority,
    to,
    from
  })
}

/** Hands out copies of slices that would keep a much larger buffer alive. */
class OwningReader extends ByteReader {
  readonly #ownBelowBytes: number

  constructor(buffer: Buffer, start: number, end: number) {
    super(buffer, start, end)
    this.#ownBelowBytes = buffer.buffer.byteLength >>> 2
  }

  override raw(length: number): Buffer {
    const view = super.raw(length)
    return length < this.#ownBelowBytes ? Buffer.from(view) : view
  }
}

const noBytes = Buffer.alloc(0)

/**
 * Cuts a byte stream into frames: `push` a chunk, then call `next` until it is false; after a true the frame is
 * `buffer[start, end)`. A frame that lies inside one chunk is not copied. Of a frame that does not, no more memory is taken than
 * twice what has arrived. After a throw the stream has lost its meaning: close it.
 */
export class FrameReader {
  /** Largest frame accepted, length field included; may be changed between frames. */
  limitBytes: number
  buffer: Buffer = noBytes
  start = 0
  end = 0
  #chunk: Buffer = noBytes
  #at = 0
  #held: Buffer = noBytes
  #heldBytes = 0

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** Bytes of an unfinished frame. */
  get heldBytes(): number {
    return this.#heldBytes
  }

  /** Memory set aside for it. */
  get capacityBytes(): number {
    return this.#held.length
  }

  /** The chunk before must be used up. */
  push(chunk: Buffer): void {
    this.#chunk = chunk
    this.#at = 0
  }

  /** Throws FRAME_TOO_LARGE or BAD_FRAME from the length field alone. */
  next(): boolean {
    const done = this.#heldBytes === 0 ? this.#inChunk() : this.#acrossChunks()
    if (!done) {
      this.buffer = noBytes
      this.#chunk = noBytes
    }
    return done
  }

  #inChunk(): boolean {
    const rest = this.#chunk.length - this.#at
    if (rest >= lengthBytes) {
      const size = this.#checked(this.#chunk, this.#at)
      if (size <= rest) {
        this.buffer = this.#chunk
        this.start = this.#at
        this.#at += size
        this.end = this.#at
        return true
      }
    }
    if (rest > 0) this.#hold(rest)
    return false
  }

  #acrossChunks(): boolean {
    if (this.#heldBytes < lengthBytes) this.#holdUpTo(lengthBytes)
    if (this.#heldBytes < lengthBytes) return false
    const size = this.#checked(this.#held, 0)
    this.#holdUpTo(size)
    if (this.#heldBytes < size) return false
    this.buffer = this.#held
    this.start = 0
    this.end = size
    this.#held = noBytes
    this.#heldBytes = 0
    return true
  }

  #holdUpTo(totalBytes: number): void {
    const missing = totalBytes - this.#heldBytes
    const rest = this.#chunk.length - this.#at
    this.#hold(Math.min(missing, rest))
  }

  #hold(bytes: number): void {
    const needed = this.#heldBytes + bytes
    if (needed > this.#held.length) {
      const larger = Buffer.allocUnsafe(Math.max(64, needed, this.#held.length * 2))
      this.#held.copy(larger, 0, 0, this.#heldBytes)
      this.#held = larger
    }
    this.#chunk.copy(this.#held, this.#heldBytes, this.#at, this.#at + bytes)
    this.#heldBytes = needed
    this.#at += bytes
  }

  #checked(buffer: Buffer, at: number): number {
    const size = buffer.readUInt32BE(at) + lengthBytes
    if (size > this.limitBytes) {
      const limitBytes = this.limitBytes
      throw new RingsetError('FRAME_TOO_LARGE', undefined, { sizeBytes: size, limitBytes })
    }
    if (size < headerBytes) throw new RingsetError('BAD_FRAME', 'shorter than a header')
    return size
  }
}
