import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** A session as this group knows it: at home the one that assigns msgids, elsewhere a copy. Lives under its home slot in both. */
export interface SessionRow extends Row {
  readonly session: string
  readonly slot: number
  /** Newest msgid here; 0 = no message yet. */
  latest: number
  /** Oldest msgid still kept; 0 = no message yet. */
  first: number
  /** Bit i = member i of the session id lives in this set and has the session in its index. */
  localMembers: number
  /** Other sets that get every message, as the leader knew them at the last append. */
  targetSets: readonly string[]
}

const none: readonly string[] = []

export class Sessions {
  readonly #table: RowTable<SessionRow>

  constructor(capacity: number) {
    this.#table = new RowTable<SessionRow>({
      capacity,
      blank: key => ({
        key,
        dirty: false,
        session: key.slice(key.indexOf('/', 5) + 1),
        slot: Number.parseInt(key.slice(0, 4), 16),
        latest: 0,
        first: 0,
        localMembers: 0,
        targetSets: none
      }),
      read: readSession,
      write: writeSession
    })
  }

  get(rows: RowReader, slot: number, session: string): SessionRow {
    return (
      this.#table.cached(session) ??
      this.#table.load(rows, session, `${slotPrefix(slot)}/session/${session}`)
    )
  }

  /** Nobody here has a share in the session any more. */
  clear(row: SessionRow): void {
    row.latest = 0
    row.first = 0
    row.localMembers = 0
    row.targetSets = none
    this.#table.touch(row)
  }

  touch(row: SessionRow): void {
    this.#table.touch(row)
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  trim(): void {
    this.#table.trim()
  }

  reset(): void {
    this.#table.clear()
  }
}

function readSession(row: SessionRow, reader: ByteReader): void {
  row.latest = reader.varint()
  row.first = reader.varint()
  row.localMembers = reader.varint()
  const count = reader.u8()
  if (count === 0) return
  const targetSets: string[] = []
  for (let i = 0; i < count; i++) targetSets.push(reader.string(255))
  row.targetSets = targetSets
}

function writeSession(row: SessionRow, writer: ByteWriter): void {
  // Nobody here has a share in it.
  if (row.latest === 0 && row.localMembers === 0) return
  writer.varint(row.latest)
  writer.varint(row.first)
  writer.varint(row.localMembers)
  writer.u8(row.targetSets.length)
  for (const setId of row.targetSets) writer.string(setId)
}
