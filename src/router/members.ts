import { parseSession } from '../protocol/session.ts'
import type { Rows } from '../raft/state-machine.ts'
import { type SlotSpace, slotOfKey } from '../table/slot-of.ts'
import type { RouterMachine } from './router-machine.ts'
import type { SessionRow } from './sessions.ts'

type Tables = Pick<RouterMachine, 'ownership' | 'sessions' | 'users' | 'counters'>

/** Which members of a session live in this set, and have it in their index. One part of the router's state machine. */
export class Members {
  readonly #tables: Tables

  constructor(tables: Tables) {
    this.#tables = tables
  }

  /** Enters the session into the index of those of `localMembers` to whom it is new. */
  index(rows: Rows, row: SessionRow, localMembers: number, space: SlotSpace): void {
    if ((localMembers & ~row.localMembers) === 0) return
    const { sessions, users, counters } = this.#tables
    sessions.touch(row)
    const parts = parseSession(row.session)
    const members = parts.type === 'p2p' ? parts.members : []
    for (const [i, uid] of members.entries()) {
      const bit = 1 << i
      if ((localMembers & bit) === 0 || (row.localMembers & bit) !== 0) continue
      row.localMembers |= bit
      // A conversation with oneself has one member twice.
      if (i > 0 && members[0] === uid && (row.localMembers & 1) !== 0) continue
      if (!users.add(rows, slotOfKey(uid, space), uid, row.session)) continue
      const counted = counters.get(rows)
      counted.users++
      counters.touch(counted)
    }
  }

  /** A member to whom the session is new is on the way to another set: the index has been copied already. */
  leaving(rows: Rows, row: SessionRow, localMembers: number, space: SlotSpace): boolean {
    const { ownership } = this.#tables
    const fresh = localMembers & ~row.localMembers
    if (fresh === 0 || ownership.count(rows, 'sealed') === 0) return false
    const parts = parseSession(row.session)
    if (parts.type !== 'p2p') return false
    return parts.members.some((uid, i) => {
      const sealed = ownership.state(rows, slotOfKey(uid, space)) === 'sealed'
      return sealed && (fresh & (1 << i)) !== 0
    })
  }
}

/** Bit i = member i of the session lives in the slot. */
export function membersIn(session: string, slot: number, space: SlotSpace): number {
  const parts = parseSession(session)
  let bits = 0
  if (parts.type !== 'p2p') return bits
  for (const [i, uid] of parts.members.entries()) {
    if (slotOfKey(uid, space) === slot) bits |= 1 << i
  }
  return bits
}
