import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { LiveRow, Rows } from '../raft/state-machine.ts'

export type RowReader = Pick<Rows, 'get'>

/** A decoded row. Mutable: whoever changes it calls `touch` in the same entry. */
export interface Row {
  readonly key: string
  /** Changed by the entry that is being applied. */
  dirty: boolean
  /** Set by the table. */
  live?: LiveRow
}

export interface RowCodec<T extends Row> {
  /** Rows kept decoded; at most twice as many are held. */
  readonly capacity: number
  blank(key: string): T
  read(row: T, reader: ByteReader): void
  /** Writing nothing deletes the row. */
  write(row: T, writer: ByteWriter): void
}

/**
 * One kind of rows, the busy ones kept decoded. Rows changed while an entry is applied are put by `flush` at its end, as live rows: a busy one is
 * encoded once per write to the disk. The cache is two generations of a map: a look-up costs one probe, and rows untouched for a whole generation leave,
 * only ever between entries.
 */
export class RowTable<T extends Row> {
  readonly #codec: RowCodec<T>
  #young = new Map<string, T>()
  #old = new Map<string, T>()
  #dirty: T[] = []

  constructor(codec: RowCodec<T>) {
    this.#codec = codec
  }

  /** The decoded row called `id` if it is held in memory; `id` is unique in its table. */
  cached(id: string): T | undefined {
    const young = this.#young.get(id)
    if (young !== undefined) return young
    const old = this.#old.get(id)
    if (old !== undefined) this.#young.set(id, old)
    return old
  }

  /** Decodes the row at `key`, or makes a blank one, which exists only once it is touched. */
  load(rows: RowReader, id: string, key: string): T {
    const row = this.#codec.blank(key)
    const bytes = rows.get(key)
    if (bytes !== undefined) this.#codec.read(row, new ByteReader(bytes))
    this.#young.set(id, row)
    return row
  }

  /** What is held of the row called `id` is not true any more. Not for a row that the present entry has touched. */
  forget(id: string): void {
    this.#young.delete(id)
    this.#old.delete(id)
  }

  touch(row: T): void {
    if (row.dirty) return
    row.dirty = true
    this.#dirty.push(row)
  }

  /** Puts every touched row, in the order they were first touched, and lets cold ones go. */
  flush(rows: Rows): void {
    const dirty = this.#dirty
    for (let i = 0; i < dirty.length; i++) {
      const row = dirty[i]!
      row.dirty = false
      row.live ??= new TableRow(this.#codec, row)
      rows.put(row.key, row.live)
    }
    dirty.length = 0
    this.trim()
  }

  /** Between entries: lets the older generation go once the younger is full. */
  trim(): void {
    if (this.#young.size < this.#codec.capacity) return
    this.#old = this.#young
    this.#young = new Map()
  }

  clear(): void {
    this.#young = new Map()
    this.#old = new Map()
    this.#dirty = []
  }
}

const writer = new ByteWriter(4_096)

class TableRow<T extends Row> implements LiveRow {
  readonly #codec: RowCodec<T>
  readonly #row: T

  constructor(codec: RowCodec<T>, row: T) {
    this.#codec = codec
    this.#row = row
  }

  encode(): Buffer | undefined {
    writer.reset()
    this.#codec.write(this.#row, writer)
    return writer.length === 0 ? undefined : writer.copy()
  }
}
