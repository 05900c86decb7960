import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'

/** A chunk of a snapshot: rows one after the other, each a varint length and the key, a varint length and the value. */
export class ChunkWriter {
  readonly #writer: ByteWriter

  constructor(sizeBytes: number) {
    this.#writer = new ByteWriter(sizeBytes)
  }

  get sizeBytes(): number {
    return this.#writer.length
  }

  add(key: Buffer, value: Buffer): void {
    this.#writer.bytes(key)
    this.#writer.bytes(value)
  }

  finish(): Buffer {
    return this.#writer.finish()
  }
}

/** All rows of a chunk, their values views of `data`. Throws DATA_DAMAGED when it is malformed. */
export function readChunk(data: Buffer): [key: string, value: Buffer][] {
  const rows: [string, Buffer][] = []
  const reader = new ByteReader(data)
  try {
    while (reader.remaining > 0) {
      const raw = reader.bytes(data.length)
      const key = raw.toString('utf8')
      if (Buffer.byteLength(key, 'utf8') !== raw.length) throw new Error('a key is not UTF-8')
      rows.push([key, reader.bytes(data.length)])
    }
  } catch (cause) {
    throw new RingsetError('DATA_DAMAGED', 'a snapshot chunk is malformed', {}, cause)
  }
  return rows
}
