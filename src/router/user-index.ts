import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { hardLimits } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

const sessionsPerRow = 32

interface UserRow extends Row {
  sessionCount: number
}

interface UserPageRow extends Row {
  sessions: string[]
}

/** uid → sessions, in the order they became known. Paged, so that a new session of a busy account writes one small row. */
export class UserIndex {
  readonly #users: RowTable<UserRow>
  readonly #pages: RowTable<UserPageRow>

  constructor(capacity: number) {
    this.#users = new RowTable<UserRow>({
      capacity,
      blank: key => ({ key, dirty: false, sessionCount: 0 }),
      read: (row: UserRow, reader: ByteReader) => {
        row.sessionCount = reader.varint()
      },
      write: (row: UserRow, writer: ByteWriter) => writer.varint(row.sessionCount)
    })
    this.#pages = new RowTable<UserPageRow>({
      capacity,
      blank: key => ({ key, dirty: false, sessions: [] }),
      read: (row: UserPageRow, reader: ByteReader) => {
        const count = reader.u8()
        for (let i = 0; i < count; i++) row.sessions.push(reader.string(hardLimits.sessionBytes))
      },
      write: (row: UserPageRow, writer: ByteWriter) => {
        writer.u8(row.sessions.length)
        for (const session of row.sessions) writer.string(session)
      }
    })
  }

  /** The caller knows that the session is not in the index yet. True when it is the user's first. */
  add(rows: RowReader, slot: number, uid: string, session: string): boolean {
    const user = this.#user(rows, slot, uid)
    const page = this.#page(rows, slot, uid, Math.floor(user.sessionCount / sessionsPerRow))
    page.sessions.push(session)
    user.sessionCount++
    this.#pages.touch(page)
    this.#users.touch(user)
    return user.sessionCount === 1
  }

  /** Calls `each` until it returns false; true when it saw every session. */
  every(rows: RowReader, slot: number, uid: string, each: (session: string) => boolean): boolean {
    const { sessionCount } = this.#user(rows, slot, uid)
    for (let page = 0; page * sessionsPerRow < sessionCount; page++) {
      for (const session of this.#page(rows, slot, uid, page).sessions) {
        if (!each(session)) return false
      }
    }
    return true
  }

  /** @param user the user's row; else a page of sessions. */
  forget(user: boolean, id: string): void {
    if (user) this.#users.forget(id)
    else this.#pages.forget(id)
  }

  flush(rows: Rows): void {
    this.#users.flush(rows)
    this.#pages.flush(rows)
  }

  trim(): void {
    this.#users.trim()
    this.#pages.trim()
  }

  reset(): void {
    this.#users.clear()
    this.#pages.clear()
  }

  #user(rows: RowReader, slot: number, uid: string): UserRow {
    return this.#users.cached(uid) ?? this.#users.load(rows, uid, `${slotPrefix(slot)}/user/${uid}`)
  }

  #page(rows: RowReader, slot: number, uid: string, page: number): UserPageRow {
    const id = `${page}/${uid}`
    return (
      this.#pages.cached(id) ?? this.#pages.load(rows, id, `${slotPrefix(slot)}/user-page/${id}`)
    )
  }
}
