import type { ClassicLevel } from 'classic-level'

export type Level = ClassicLevel<Buffer, Buffer>

/**
 * One atomic write to the database. Keys and values are copied as they are added, so the caller may re-use its buffers at once.
 */
export class WriteBatch {
  readonly #chained: ReturnType<Level['batch']> & object
  readonly #startMs = performance.now()
  sizeBytes = 0
  operations = 0
  /** A term or vote in it differs from the meta file, which must be written first. */
  metaFirst = false

  constructor(level: Level) {
    this.#chained = level.batch()
  }

  /** How long it has been in the making. */
  get ageMs(): number {
    return performance.now() - this.#startMs
  }

  put(key: Buffer, value: Buffer): void {
    this.#chained.put(key, value)
    this.#added(key.length + value.length)
  }

  delete(key: Buffer): void {
    this.#chained.del(key)
    this.#added(key.length)
  }

  write(sync: boolean): Promise<void> {
    return this.#chained.write({ sync })
  }

  /** Gives it up. */
  drop(): Promise<void> {
    return this.#chained.close()
  }

  #added(sizeBytes: number): void {
    this.sizeBytes += sizeBytes + operationOverheadBytes
    this.operations++
  }
}

/** What LevelDB's write-ahead log adds to each operation: type and two lengths. */
const operationOverheadBytes = 7
