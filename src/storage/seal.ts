import { crc32 } from 'node:zlib'
import { RingsetError } from '../base/errors.ts'

const sealBytes = 4

/** `body` followed by a CRC-32 over key and body: a value that is damaged, or stands at another key, does not open. */
export function seal(key: Buffer, body: Buffer): Buffer {
  const value = Buffer.allocUnsafe(body.length + sealBytes)
  value.set(body)
  value.writeUInt32BE(crc32(body, crc32(key)), body.length)
  return value
}

/** The body of a sealed value as a view; undefined when the checksum says no. */
export function unseal(key: Buffer, value: Buffer): Buffer | undefined {
  const end = value.length - sealBytes
  if (end < 0) return undefined
  const body = value.subarray(0, end)
  return crc32(body, crc32(key)) === value.readUInt32BE(end) ? body : undefined
}

export function rowDamaged(key: string): RingsetError {
  return new RingsetError('DATA_DAMAGED', 'a row of the database fails its checksum', { key })
}
