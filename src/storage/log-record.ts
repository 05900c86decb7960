import { crc32 } from 'node:zlib'
import { assert } from '../base/errors.ts'
import type { Entry, EntryKind } from '../raft/types.ts'

/**
 * One append of one group, packed: format u8 · first index u48 · count u32 · chain before u32 · entries (term u48, kind u8, length
 * u32, data) · CRC-32 of all that. The CRC covers the chain before it and is the chain after it: no record can be missing,
 * replaced or moved without the next one showing it.
 */
const format = 1
const headerBytes = 15
const entryHeaderBytes = 11
const trailerBytes = 4
const maxKind = 2

export interface LogRecord {
  readonly entries: Entry[]
  readonly chainBefore: number
  readonly chain: number
}

/** Bytes an entry takes in a record. */
export function packedBytes(entry: Entry): number {
  return entryHeaderBytes + entry.data.length
}

/** Packs entries[from … to). */
export function encodeRecord(
  entries: readonly Entry[],
  from: number,
  to: number,
  chainBefore: number
): Buffer {
  let sizeBytes = headerBytes + trailerBytes
  for (let i = from; i < to; i++) sizeBytes += packedBytes(entries[i]!)
  const value = Buffer.allocUnsafe(sizeBytes)
  value[0] = format
  value.writeUIntBE(entries[from]!.index, 1, 6)
  value.writeUInt32BE(to - from, 7)
  value.writeUInt32BE(chainBefore, 11)
  let at = headerBytes
  for (let i = from; i < to; i++) {
    const entry = entries[i]!
    value.writeUIntBE(entry.term, at, 6)
    value[at + 6] = entry.kind
    value.writeUInt32BE(entry.data.length, at + 7)
    value.set(entry.data, at + entryHeaderBytes)
    at += packedBytes(entry)
  }
  assert(at === sizeBytes - trailerBytes, 'a log record has the size that was reckoned')
  value.writeUInt32BE(crc32(value.subarray(0, at)), at)
  return value
}

/** The chain after an encoded record. */
export function chainOf(value: Buffer): number {
  return value.readUInt32BE(value.length - trailerBytes)
}

/** Undefined when it is damaged. The entries' data are views of `value`. */
export function decodeRecord(value: Buffer): LogRecord | undefined {
  const end = value.length - trailerBytes
  if (end < headerBytes || value[0] !== format) return undefined
  const chain = value.readUInt32BE(end)
  if (crc32(value.subarray(0, end)) !== chain) return undefined
  const first = value.readUIntBE(1, 6)
  const count = value.readUInt32BE(7)
  const entries: Entry[] = []
  let at = headerBytes
  for (let i = 0; i < count; i++) {
    if (at + entryHeaderBytes > end) return undefined
    const from = at + entryHeaderBytes
    const to = from + value.readUInt32BE(at + 7)
    const kind = value[at + 6]!
    if (to > end || kind > maxKind) return undefined
    entries.push({
      index: first + i,
      term: value.readUIntBE(at, 6),
      kind: kind as EntryKind,
      data: value.subarray(from, to)
    })
    at = to
  }
  if (at !== end || count === 0) return undefined
  return { entries, chainBefore: value.readUInt32BE(11), chain }
}
