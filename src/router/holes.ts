import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { hardLimits } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { groupPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** A copy that knows of messages at home which it does not hold: they are pulled from the home set. */
export interface Hole {
  readonly slot: number
  readonly session: string
  /** Newest msgid known to exist at home. */
  wanted: number
  localMembers: number
}

interface HolesRow extends Row {
  readonly holes: Map<string, Hole>
}

/** With so many sessions to pull, the channels wait until some are filled. */
export const holesMax = 4_096

/** Copies with a gap, in one row: there are only any after a slot moved or a channel was re-targeted. */
export class Holes {
  readonly #table = new RowTable<HolesRow>({
    capacity: 2,
    blank: key => ({ key, dirty: false, holes: new Map() }),
    read: readHoles,
    write: writeHoles
  })

  all(rows: RowReader): ReadonlyMap<string, Hole> {
    return this.#row(rows).holes
  }

  /** False: there is no room for another hole. */
  open(
    rows: RowReader,
    slot: number,
    session: string,
    wanted: number,
    localMembers: number
  ): boolean {
    const row = this.#row(rows)
    const known = row.holes.get(session)
    if (known === undefined) {
      if (row.holes.size >= holesMax) return false
      row.holes.set(session, { slot, session, wanted, localMembers })
    } else {
      known.wanted = Math.max(known.wanted, wanted)
      known.localMembers |= localMembers
    }
    this.#table.touch(row)
    return true
  }

  /** The copy now holds everything up to `latest`. */
  filled(rows: RowReader, session: string, latest: number): void {
    const row = this.#row(rows)
    const known = row.holes.get(session)
    if (known === undefined || known.wanted > latest) return
    row.holes.delete(session)
    this.#table.touch(row)
  }

  /** Nobody wants the copy any more. */
  close(rows: RowReader, session: string): void {
    const row = this.#row(rows)
    if (!row.holes.delete(session)) return
    this.#table.touch(row)
  }

  /** The sessions that live in `slot` are at home here now: what is missing of them nobody has. */
  closeHome(rows: RowReader, slot: number): void {
    const row = this.#row(rows)
    for (const [session, hole] of row.holes) {
      if (hole.slot !== slot) continue
      row.holes.delete(session)
      this.#table.touch(row)
    }
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  reset(): void {
    this.#table.clear()
  }

  #row(rows: RowReader): HolesRow {
    return (
      this.#table.cached(groupPrefix) ?? this.#table.load(rows, groupPrefix, `${groupPrefix}/holes`)
    )
  }
}

function readHoles(row: HolesRow, reader: ByteReader): void {
  const count = reader.varint()
  for (let i = 0; i < count; i++) {
    const slot = reader.u16()
    const session = reader.string(hardLimits.sessionBytes)
    const wanted = reader.varint()
    row.holes.set(session, { slot, session, wanted, localMembers: reader.varint() })
  }
}

function writeHoles(row: HolesRow, writer: ByteWriter): void {
  if (row.holes.size === 0) return
  writer.varint(row.holes.size)
  for (const hole of row.holes.values()) {
    writer.u16(hole.slot)
    writer.string(hole.session)
    writer.varint(hole.wanted)
    writer.varint(hole.localMembers)
  }
}
