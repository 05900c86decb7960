import type { Iterator } from 'classic-level'
import type { SnapshotSource } from '../raft/store.ts'
import type { SnapshotMeta } from '../raft/types.ts'
import type { KeyRange } from './keys.ts'
import { deletedRow } from './row-overlay.ts'
import { rowDamaged, unseal } from './seal.ts'
import { ChunkWriter } from './snapshot-chunk.ts'
import type { Level } from './write-batch.ts'

/** Rows taken at once: a slice costs a millisecond or two. */
const sliceRows = 256
const sliceBytes = 128 * 1024

export interface LevelSnapshotParts {
  readonly level: Level
  readonly meta: SnapshotMeta
  readonly range: KeyRange
  readonly prefixBytes: number
  /** Rows that were not in the database yet when the snapshot was opened; they hide what the database has. */
  readonly waiting: ReadonlyMap<string, Buffer>
  /** Rows cannot be read back; stops the process. */
  unreadable(error: Error): void
  closed(): void
}

type Row = readonly [key: Buffer, value: Buffer]

/** The rows as they were when it was opened: a LevelDB iterator, which sees one moment, plus what was still queued then. */
export class LevelSnapshotSource implements SnapshotSource {
  readonly meta: SnapshotMeta
  readonly #parts: LevelSnapshotParts
  readonly #iterator: Iterator<Level, Buffer, Buffer>
  #rows: Row[] = []
  #at = 0
  #storedLeft = true
  #waitingLeft = true
  #closed = false

  constructor(parts: LevelSnapshotParts) {
    this.meta = parts.meta
    this.#parts = parts
    this.#iterator = parts.level.iterator({
      ...parts.range,
      fillCache: false,
      highWaterMarkBytes: sliceBytes
    })
  }

  next(maxBytes: number, done: (chunk: { data: Buffer; last: boolean }) => void): void {
    const writer = new ChunkWriter(maxBytes)
    this.#fill(writer, maxBytes).then(
      last => {
        if (!this.#closed) done({ data: writer.finish(), last })
      },
      error => {
        if (!this.#closed) this.#parts.unreadable(error)
      }
    )
  }

  close(): void {
    void this.release()
  }

  async release(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#parts.closed()
    await this.#iterator.close()
  }

  /** True when there is nothing left. A row larger than `maxBytes` is a chunk of its own. */
  async #fill(writer: ChunkWriter, maxBytes: number): Promise<boolean> {
    for (;;) {
      while (this.#at < this.#rows.length) {
        const [key, value] = this.#rows[this.#at]!
        if (writer.sizeBytes > 0 && writer.sizeBytes + key.length + value.length > maxBytes) {
          return false
        }
        writer.add(key, value)
        this.#at++
      }
      if (!(await this.#slice())) return true
    }
  }

  /** Fetches the next rows; false when there are none. */
  async #slice(): Promise<boolean> {
    this.#rows = []
    this.#at = 0
    if (this.#storedLeft) {
      const stored = await this.#iterator.nextv(sliceRows)
      this.#storedLeft = stored.length > 0
      for (const [key, value] of stored) this.#addStored(key, value)
      return true
    }
    if (!this.#waitingLeft) return false
    this.#waitingLeft = false
    for (const [key, value] of this.#parts.waiting) {
      if (value !== deletedRow) this.#rows.push([Buffer.from(key, 'utf8'), value])
    }
    return true
  }

  #addStored(rowKey: Buffer, sealed: Buffer): void {
    const key = rowKey.subarray(this.#parts.prefixBytes)
    if (this.#parts.waiting.size > 0 && this.#parts.waiting.has(key.toString('utf8'))) return
    const value = unseal(rowKey, sealed)
    if (value === undefined) throw rowDamaged(key.toString('utf8'))
    this.#rows.push([key, value])
  }
}
