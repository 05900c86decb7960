import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import { tableLimits } from './table-rules.ts'

/**
 * First byte of a delta, which no table begins with. Whoever knows no deltas takes one for a malformed table and asks for the whole one.
 */
const deltaMark = 0x80
/** The end of an encoded table is the hash of all before: it names the content that a delta builds upon. */
const hashBytes = 8
const blockBytes = 8

/** What a delta says of itself. */
export interface DeltaLabel {
  readonly clusterId: number
  readonly epoch: number
  readonly baseEpoch: number
}

/** Whether these bytes are a delta, sound or not. */
export function isDelta(bytes: Buffer): boolean {
  return bytes[0] === deltaMark
}

/**
 * What turns one encoded table into a later one: pieces of the old bytes, by place and length, and new bytes between them. It does not
 * look into the tables, so that it outlives every change of their format.
 */
export function makeDelta(
  base: { readonly epoch: number; readonly encoded: Buffer },
  next: { readonly epoch: number; readonly encoded: Buffer; readonly clusterId: string }
): Buffer {
  const writer = new ByteWriter(512)
  writer.u8(deltaMark)
  writer.u48(Number.parseInt(next.clusterId, 16))
  writer.varint(next.epoch)
  writer.varint(base.epoch)
  writer.raw(base.encoded.subarray(-hashBytes))
  writer.varint(next.encoded.length)
  writePieces(writer, base.encoded, next.encoded)
  return writer.copy()
}

/** Throws BAD_PACKET when there is none. */
export function peekDelta(delta: Buffer): DeltaLabel {
  return readLabel(new ByteReader(delta))
}

/**
 * The later table's bytes, not looked at yet. Undefined when the delta builds upon another content than `base`. Throws BAD_PACKET.
 */
export function applyDelta(base: Buffer, delta: Buffer): Buffer | undefined {
  const reader = new ByteReader(delta)
  readLabel(reader)
  if (!reader.raw(hashBytes).equals(base.subarray(-hashBytes))) return undefined
  const sizeBytes = reader.varint()
  if (sizeBytes > tableLimits.encodedBytes) throw bad('a table is over its limit')
  const next = Buffer.allocUnsafe(sizeBytes)
  let at = 0
  while (reader.remaining > 0) {
    const word = reader.varint()
    const length = Math.floor(word / 2)
    if (length === 0 || length > sizeBytes - at) throw bad('a piece is empty or too long')
    if (word % 2 === 0) {
      at += reader.raw(length).copy(next, at)
      continue
    }
    const from = reader.varint()
    if (from + length > base.length) throw bad('a piece is not in the old table')
    at += base.copy(next, at, from, from + length)
  }
  if (at !== sizeBytes) throw bad('a table is cut short')
  return next
}

function readLabel(reader: ByteReader): DeltaLabel {
  if (reader.u8() !== deltaMark) throw bad('no delta')
  return { clusterId: reader.u48(), epoch: reader.varint(), baseEpoch: reader.varint() }
}

/** As rsync finds them (Tridgell and Mackerras, 1996): blocks of the old bytes, looked for at every place of the new ones. */
function writePieces(writer: ByteWriter, base: Buffer, next: Buffer): void {
  const blocks = new Map<number, number>()
  for (let at = base.length - blockBytes; at >= 0; at -= blockBytes)
    blocks.set(wordAt(base, at), at)
  let written = 0
  let at = 0
  // Most of a table stays in its place, so the place where the last piece ended is tried first.
  let shift = 0
  while (at + blockBytes <= next.length) {
    const from = sourceOf(base, next, at, shift, blocks)
    if (from < 0) {
      at++
      continue
    }
    let start = from
    while (start > 0 && at > written && base[start - 1] === next[at - 1]) {
      start--
      at--
    }
    let length = 0
    while (start + length < base.length && base[start + length] === next[at + length]) length++
    writeLiteral(writer, next.subarray(written, at))
    writer.varint(length * 2 + 1)
    writer.varint(start)
    at += length
    written = at
    shift = start + length - at
  }
  writeLiteral(writer, next.subarray(written))
}

/** Where in the old bytes those at `at` may stand; −1 when they do not. */
function sourceOf(
  base: Buffer,
  next: Buffer,
  at: number,
  shift: number,
  blocks: ReadonlyMap<number, number>
): number {
  for (const from of [at + shift, blocks.get(wordAt(next, at)) ?? -1]) {
    if (from < 0 || from + blockBytes > base.length) continue
    if (next.compare(base, from, from + blockBytes, at, at + blockBytes) === 0) return from
  }
  return -1
}

function writeLiteral(writer: ByteWriter, bytes: Buffer): void {
  if (bytes.length === 0) return
  writer.varint(bytes.length * 2)
  writer.raw(bytes)
}

function wordAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32BE(at) * 0x20_0000 + (bytes.readUInt32BE(at + 4) & 0x1f_ffff)
}

function bad(text: string): RingsetError {
  return new RingsetError('BAD_PACKET', text)
}
