import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Rows } from '../raft/state-machine.ts'
import { groupPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** How much the group holds, for people. */
export interface Counters extends Row {
  /** Users of this set with at least one session. */
  users: number
  sessions: number
}

export class CountersTable {
  readonly #table = new RowTable<Counters>({
    capacity: 2,
    blank: key => ({ key, dirty: false, users: 0, sessions: 0 }),
    read: (row: Counters, reader: ByteReader) => {
      row.users = reader.varint()
      row.sessions = reader.varint()
    },
    write: (row: Counters, writer: ByteWriter) => {
      writer.varint(row.users)
      writer.varint(row.sessions)
    }
  })

  get(rows: RowReader): Counters {
    return (
      this.#table.cached(groupPrefix) ??
      this.#table.load(rows, groupPrefix, `${groupPrefix}/counters`)
    )
  }

  touch(row: Counters): void {
    this.#table.touch(row)
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  reset(): void {
    this.#table.clear()
  }
}
