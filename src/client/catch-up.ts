import type { Random } from '../base/ports.ts'
import { hardLimits, type PayloadOf } from '../protocol/kinds.ts'
import { Heartbeat } from './heartbeat.ts'
import type { Inbox } from './inbox.ts'

const answerTimeoutMs = 10_000
/** More than the 5 s after which a gateway gives up a read and says so. */
const suspicionMs = 5_500
const minPauseMs = 200
const maxPauseMs = 10_000

/**
 * When to send PING and with which cursors. One is under way at a time: after connecting, at every
 * heartbeat, at once when a message arrived before its turn or a request meets silence, and again
 * while the answer says that there is more. Answers without progress slow it down, until the
 * listener has made room.
 */
export class CatchUp {
  readonly #random: Random
  readonly #inbox: Inbox
  readonly #send: (ping: PayloadOf<'PING'>) => number
  readonly #heartbeat = new Heartbeat()
  #nextAtMs = Number.POSITIVE_INFINITY
  /** A gap is not asked about before. */
  #gapAtMs = 0
  #pauseMs = minPauseMs
  /** The PING under way; 0 = none. */
  #sequence = 0
  #sentAtMs = 0
  #heardAtMs = 0
  /** When the first request went out after the other end was heard last; infinite = none. */
  #askedAtMs = Number.POSITIVE_INFINITY
  #wholeInterval = false
  #progress = 0
  #progressAtPing = 0
  #ranDryAtPing = 0
  /** The last answer said that there is more. */
  #more = false

  /** @param send returns the sequence of the PING, 0 when it was dropped. */
  constructor(
    env: { readonly random: Random },
    inbox: Inbox,
    send: (ping: PayloadOf<'PING'>) => number
  ) {
    this.#random = env.random
    this.#inbox = inbox
    this.#send = send
  }

  connected(nowMs: number, minMs: number, maxMs: number): void {
    this.#heartbeat.bounds(minMs, maxMs)
    this.#pauseMs = minPauseMs
    this.#gapAtMs = nowMs
    this.#heardAtMs = nowMs
    this.#ping(nowMs, true)
    this.#wholeInterval = false
    this.#more = false
  }

  disconnected(): void {
    this.#sequence = 0
    this.#nextAtMs = Number.POSITIVE_INFINITY
    this.#askedAtMs = Number.POSITIVE_INFINITY
  }

  heard(nowMs: number): void {
    this.#heardAtMs = nowMs
    this.#askedAtMs = Number.POSITIVE_INFINITY
  }

  /** A request other than PING went out, so an answer should come. */
  asked(nowMs: number): void {
    this.#askedAtMs = Math.min(this.#askedAtMs, nowMs)
  }

  /**
   * Messages have arrived.
   * @param anythingNew false when all of them were here already or did not fit.
   */
  pushed(nowMs: number, anythingNew: boolean): void {
    if (anythingNew) this.#progress++
    if (this.#inbox.hasGaps && this.#sequence === 0 && nowMs >= this.#gapAtMs) {
      this.#ping(nowMs, false)
    }
  }

  pong(nowMs: number, sequence: number, more: boolean): void {
    if (sequence !== this.#sequence || sequence === 0) return
    this.#sequence = 0
    if (this.#wholeInterval) this.#heartbeat.survived()
    this.#wholeInterval = false
    this.#more = more
    const unfinished = more || this.#inbox.hasGaps
    if (!unfinished || this.#progress > this.#progressAtPing) this.#pauseMs = minPauseMs
    if (!unfinished) this.#nextAtMs = nowMs + this.#heartbeat.intervalMs
    else if (more && this.#progress > this.#progressAtPing) this.#ping(nowMs, true)
    else this.#pause(nowMs, 0)
  }

  /** An ERROR; true when it answers the PING under way. */
  refused(nowMs: number, sequence: number, retryAfterMs: number): boolean {
    if (sequence !== this.#sequence || sequence === 0) return false
    this.#sequence = 0
    this.#pause(nowMs, retryAfterMs)
    return true
  }

  /** Sends what is due. False when the other end is silent: the connection is dead. */
  tick(nowMs: number): boolean {
    if (this.#sequence !== 0) {
      if (nowMs < this.#sentAtMs + answerTimeoutMs) return true
      if (this.#heardAtMs < this.#sentAtMs) {
        this.#heartbeat.failed()
        return false
      }
      // The connection lives and only the answer was lost.
      this.#sequence = 0
      this.#pause(nowMs, 0)
    } else if (nowMs >= this.#nextAtMs) {
      const full = this.#inbox.sessions <= hardLimits.listItems
      this.#wholeInterval = nowMs - this.#heardAtMs >= this.#heartbeat.intervalMs * 0.9
      this.#ping(nowMs, full)
    } else if (this.#inbox.ranDry > this.#ranDryAtPing && (this.#more || this.#inbox.hasGaps)) {
      this.#ping(nowMs, this.#more)
    } else if (nowMs >= this.#askedAtMs + suspicionMs) {
      // A machine that died tells nobody, and the next heartbeat may be minutes away.
      this.#wholeInterval = false
      this.#ping(nowMs, false)
      this.#askedAtMs = Number.POSITIVE_INFINITY
    }
    return true
  }

  /**
   * @param full all cursors, so that sessions nobody has told us of come too; else those with gaps.
   */
  #ping(nowMs: number, full: boolean): void {
    const { listItems } = hardLimits
    const everything = full && this.#inbox.sessions <= listItems
    const cursors = full ? this.#inbox.cursors(listItems) : this.#inbox.gapCursors(listItems)
    const { intervalMs } = this.#heartbeat
    this.#progressAtPing = this.#progress
    this.#ranDryAtPing = this.#inbox.ranDry
    this.#sentAtMs = nowMs
    this.#nextAtMs = nowMs + intervalMs
    this.#sequence = this.#send({ intervalMs, full: everything, cursors })
    if (this.#sequence === 0) this.#pause(nowMs, 0)
  }

  #pause(nowMs: number, retryAfterMs: number): void {
    const delayMs = Math.max(this.#pauseMs * (0.5 + this.#random.float()), retryAfterMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, maxPauseMs)
    this.#nextAtMs = Math.min(this.#nextAtMs, nowMs + delayMs)
    this.#gapAtMs = nowMs + delayMs
  }
}
