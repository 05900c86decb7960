import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** More than a sequence hands out in all its life. */
const eraNumbers = 2 ** 40

export interface SequenceRow extends Row {
  /** Nothing above it was ever handed out. */
  ceiling: number
}

/** Name → ceiling. Numbers below it are handed out from the leader's memory, so they may jump but never repeat. */
export class Sequences {
  readonly #table: RowTable<SequenceRow>

  constructor(capacity: number) {
    this.#table = new RowTable<SequenceRow>({
      capacity,
      blank: key => ({ key, dirty: false, ceiling: 0 }),
      read: (row: SequenceRow, reader: ByteReader) => {
        row.ceiling = reader.varint()
      },
      write: (row: SequenceRow, writer: ByteWriter) => writer.varint(row.ceiling)
    })
  }

  /**
   * Raises the ceiling; the caller owns the numbers `first` … `last`, and nobody else ever will.
   * @param era how often the slot was recovered from a lost set: what the lost replicas had handed out nobody knows, so it goes on far above.
   */
  raise(
    rows: RowReader,
    slot: number,
    name: string,
    step: number,
    era: number
  ): { first: number; last: number } {
    const row =
      this.#table.cached(name) ??
      this.#table.load(rows, name, `${slotPrefix(slot)}/sequence/${name}`)
    row.ceiling = Math.max(row.ceiling, era * eraNumbers)
    const first = row.ceiling + 1
    row.ceiling += step
    this.#table.touch(row)
    return { first, last: row.ceiling }
  }

  forget(id: string): void {
    this.#table.forget(id)
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  reset(): void {
    this.#table.clear()
  }
}
