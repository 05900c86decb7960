import { crc32 } from 'node:zlib'
import type { WriteBatch } from './write-batch.ts'

/** Looking at the clock costs as much as a row or two. */
const rowsBetweenLooks = 32

/** Stands for a deleted row; compared by identity. */
export const deletedRow = Buffer.alloc(0)

/**
 * Rows of one generation that are handed in but not yet in the database. A row written twice while the disk is busy is written
 * once.
 */
export class RowOverlay {
  readonly generation: number
  readonly #prefix: Buffer
  #queued = new Map<string, Buffer>()
  #writing = new Map<string, Buffer>()
  #scratch = Buffer.allocUnsafe(4096)

  /** @param prefix what the keys of this generation's rows begin with. */
  constructor(generation: number, prefix: Buffer) {
    this.generation = generation
    this.#prefix = prefix
    this.#scratch.set(prefix)
  }

  /** Undefined: ask the database. */
  get(key: string): Buffer | undefined {
    return this.#queued.get(key) ?? this.#writing.get(key)
  }

  put(key: string, value: Buffer | undefined): void {
    this.#queued.set(key, value ?? deletedRow)
  }

  /** All rows, the newest value of each. */
  copy(): Map<string, Buffer> {
    const rows = new Map(this.#writing)
    for (const [key, value] of this.#queued) rows.set(key, value)
    return rows
  }

  /** The database key of a row: a view that is good until the next call. */
  key(key: string): Buffer {
    const limit = this.#prefix.length + key.length * 3
    this.#reserve(limit)
    const end = this.#prefix.length + this.#scratch.write(key, this.#prefix.length, 'utf8')
    return this.#scratch.subarray(0, end)
  }

  /** Rows that `stage` has not taken yet. */
  get waiting(): number {
    return this.#queued.size
  }

  /** Takes all rows. */
  stage(batch: WriteBatch): void {
    const spare = this.#writing
    this.#writing = this.#queued
    this.#queued = spare
    for (const [key, value] of this.#writing) this.#stageRow(batch, key, value)
  }

  /** Takes the oldest rows until the batch is of that age, a few in any case: for those that need not be written in one batch. */
  stageSome(batch: WriteBatch, ageMs: number): void {
    let taken = 0
    for (const [key, value] of this.#queued) {
      this.#writing.set(key, value)
      this.#queued.delete(key)
      this.#stageRow(batch, key, value)
      if (++taken % rowsBetweenLooks === 0 && batch.ageMs >= ageMs) return
    }
  }

  wrote(): void {
    this.#writing.clear()
  }

  /** Lays key, value and the checksum over both one after the other: one CRC call a row. */
  #stageRow(batch: WriteBatch, key: string, value: Buffer): void {
    if (value === deletedRow) {
      batch.delete(this.key(key))
      return
    }
    const keyStart = this.#prefix.length
    this.#reserve(keyStart + key.length * 3 + value.length + 4)
    const scratch = this.#scratch
    const valueStart = keyStart + scratch.write(key, keyStart, 'utf8')
    const end = valueStart + value.length
    scratch.set(value, valueStart)
    scratch.writeUInt32BE(crc32(scratch.subarray(0, end)), end)
    batch.put(scratch.subarray(0, valueStart), scratch.subarray(valueStart, end + 4))
  }

  #reserve(sizeBytes: number): void {
    if (sizeBytes <= this.#scratch.length) return
    this.#scratch = Buffer.allocUnsafe(sizeBytes * 2)
    this.#scratch.set(this.#prefix)
  }
}
