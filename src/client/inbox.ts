import { isNext, nextEra } from '../protocol/eras.ts'
import type { Cursor, Message, Page } from '../protocol/kinds.ts'

/**
 * Hands a message to the application. `done`: it was dealt with. `pending`: `settled` will be
 * called. `failed`: not dealt with, to be offered again by `retry`.
 */
export type Deliver = (session: string, message: Message) => 'done' | 'pending' | 'failed'

export interface InboxOptions {
  /**
   * Messages kept that arrived before their turn, for one session and for all. What does not fit is
   * fetched again.
   */
  readonly aheadPerSession: number
  readonly ahead: number
}

export const defaultInboxOptions: InboxOptions = { aheadPerSession: 512, ahead: 10_000 }

class SessionState {
  readonly session: string
  /** Everything up to here was dealt with. */
  cursor: number
  /** The highest msgid received. */
  seen: number
  /** The highest msgid heard of. */
  latest: number
  readonly ahead = new Map<number, Message>()
  /** The message that the listener has; undefined = none. */
  offered: number | undefined
  failed = false

  constructor(session: string, cursor: number) {
    this.session = session
    this.cursor = cursor
    this.seen = cursor
    this.latest = cursor
  }
}

/**
 * Puts what arrives — pushes and catch-up pages, doubled, reordered, with holes — into the order of
 * each session: every message once, by msgid, without a gap. A cursor moves only when its message
 * was dealt with.
 */
export class Inbox {
  readonly #deliver: Deliver
  readonly #options: InboxOptions
  readonly #sessions = new Map<string, SessionState>()
  readonly #gaps = new Set<SessionState>()
  readonly #failed = new Set<SessionState>()
  #unreported = new Set<SessionState>()
  #changed = new Set<SessionState>()
  #aheadCount = 0
  #ranDry = 0

  constructor(
    deliver: Deliver,
    cursors: Iterable<Cursor> = [],
    options: InboxOptions = defaultInboxOptions
  ) {
    this.#deliver = deliver
    this.#options = options
    for (const { session, msgid } of cursors) {
      this.#sessions.set(session, new SessionState(session, msgid))
    }
  }

  get sessions(): number {
    return this.#sessions.size
  }

  /** True while a session misses a message before one that has arrived. */
  get hasGaps(): boolean {
    return this.#gaps.size > 0
  }

  /**
   * How often the listener came to the end of what is here of a session that has more: what did not
   * fit before will fit now.
   */
  get ranDry(): number {
    return this.#ranDry
  }

  get hasFailed(): boolean {
    return this.#failed.size > 0
  }

  cursor(session: string): number {
    return this.#sessions.get(session)?.cursor ?? 0
  }

  /** False when nothing of it was new, or what was new did not fit. */
  accept(page: Page): boolean {
    let state = this.#sessions.get(page.session)
    if (!state) {
      state = new SessionState(page.session, 0)
      this.#sessions.set(page.session, state)
    }
    const before = state.cursor
    state.latest = Math.max(state.latest, page.latest)
    // What is older than `first` is kept nowhere any more, so there is nothing to wait for.
    if (page.first > state.cursor + 1 && state.offered === undefined)
      this.#moveTo(state, page.first - 1)
    let kept = false
    for (const message of page.messages) kept = this.#take(state, message) || kept
    this.#drain(state)
    this.#unreported.add(state)
    return kept || state.cursor > before
  }

  /** The end of a `pending` delivery. */
  settled(session: string, dealtWith: boolean): void {
    const state = this.#sessions.get(session)
    const { offered } = state ?? {}
    if (state === undefined || offered === undefined) return
    state.offered = undefined
    if (dealtWith) {
      this.#aheadCount -= state.ahead.delete(offered) ? 1 : 0
      this.#moveTo(state, offered)
      this.#resume(state)
    } else {
      state.failed = true
      this.#failed.add(state)
    }
  }

  /** Offers again what the listener has failed on. */
  retry(): void {
    for (const state of [...this.#failed]) {
      state.failed = false
      this.#failed.delete(state)
      this.#resume(state)
    }
  }

  /**
   * Cursors to acknowledge: of every session something arrived for or moved in since the last call.
   */
  takeAcks(limit: number): Cursor[] {
    const cursors: Cursor[] = []
    for (const state of this.#unreported) {
      if (cursors.length === limit) break
      this.#unreported.delete(state)
      if (state.cursor > 0) cursors.push({ session: state.session, msgid: state.cursor })
    }
    return cursors
  }

  /** Cursors that moved since the last call, for the store. */
  takeChanged(): Cursor[] {
    if (this.#changed.size === 0) return []
    const cursors = [...this.#changed].map(state => ({
      session: state.session,
      msgid: state.cursor
    }))
    this.#changed = new Set()
    return cursors
  }

  /** Cursors of the sessions that miss something. */
  gapCursors(limit: number): Cursor[] {
    const cursors: Cursor[] = []
    for (const { session, cursor } of this.#gaps) {
      if (cursors.length === limit) break
      cursors.push({ session, msgid: cursor })
    }
    return cursors
  }

  /** All cursors, the sessions heard of first in front. */
  cursors(limit: number): Cursor[] {
    const cursors: Cursor[] = []
    for (const { session, cursor } of this.#sessions.values()) {
      if (cursors.length === limit) break
      cursors.push({ session, msgid: cursor })
    }
    return cursors
  }

  /** The listener can take more. */
  #resume(state: SessionState): void {
    this.#drain(state)
    if (state.offered !== undefined || state.failed) return
    if (Math.max(state.seen, state.latest) > state.cursor) this.#ranDry++
  }

  /** False when it is here already or did not fit. */
  #take(state: SessionState, message: Message): boolean {
    const { msgid } = message
    if (msgid <= state.cursor) return false
    if (msgid > state.seen) state.seen = msgid
    if (state.ahead.has(msgid)) return false
    const next = isNext(message, state.cursor)
    if (next && state.offered === undefined && !state.failed) {
      this.#offer(state, message)
      if (state.ahead.size > 0) this.#drain(state)
      return true
    }
    const { aheadPerSession, ahead } = this.#options
    // The next one is always kept: it is what everything else waits for.
    const full = state.ahead.size >= aheadPerSession || this.#aheadCount >= ahead
    if (full && !next) return false
    state.ahead.set(msgid, message)
    this.#aheadCount++
    return true
  }

  #drain(state: SessionState): void {
    while (state.offered === undefined && !state.failed) {
      const next = nextAhead(state)
      if (!next) break
      state.ahead.delete(next.msgid)
      this.#aheadCount--
      this.#offer(state, next)
    }
    const gap = state.seen > state.cursor && state.offered === undefined && !state.failed
    if (gap) this.#gaps.add(state)
    else this.#gaps.delete(state)
  }

  /**
   * @param message the one after the cursor; in `ahead` while it is pending or failed, so that
   * nobody delivers it twice.
   */
  #offer(state: SessionState, message: Message): void {
    state.offered = message.msgid
    const outcome = this.#deliver(state.session, message)
    if (outcome === 'pending') {
      this.#keep(state, message)
      return
    }
    state.offered = undefined
    if (outcome === 'done') this.#moveTo(state, message.msgid)
    else {
      this.#keep(state, message)
      state.failed = true
      this.#failed.add(state)
    }
  }

  #keep(state: SessionState, message: Message): void {
    state.ahead.set(message.msgid, message)
    this.#aheadCount++
  }

  #moveTo(state: SessionState, cursor: number): void {
    if (state.ahead.size > 0 && cursor > state.cursor + 1) {
      for (const msgid of [...state.ahead.keys()]) {
        if (msgid <= cursor && state.ahead.delete(msgid)) this.#aheadCount--
      }
    }
    state.cursor = cursor
    if (state.seen < cursor) state.seen = cursor
    this.#unreported.add(state)
    this.#changed.add(state)
  }
}

function nextAhead({ ahead, cursor, seen }: SessionState): Message | undefined {
  const next = ahead.get(cursor + 1)
  if (next !== undefined || seen < nextEra(cursor)) return next
  for (const message of ahead.values()) if (isNext(message, cursor)) return message
  return undefined
}
