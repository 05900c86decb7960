import type { WheelEntry } from '../base/timer-wheel.ts'
import type { Page, Route } from '../protocol/kinds.ts'

/**
 * Messages of one session that were pushed and not acknowledged: `from` … `upTo`, without the
 * bodies.
 */
export interface Unacked {
  from: number
  upTo: number
  repeats: number
  dueAtMs: number
  /** A read for a repeat is under way. */
  reading: boolean
}

/** What a transfer keeps of one client connection. */
export class Connection implements WheelEntry {
  wakeAtMs = 0
  wakeTick = -1
  readonly connId: number
  /**
   * `new`: no valid CONNECT yet. `opening`: its route is being registered. `closed`: only late
   * answers know it still.
   */
  phase: 'new' | 'opening' | 'open' | 'closed' = 'new'
  uid = ''
  slot = -1
  route: Route | undefined
  heardAtMs: number
  /** Silence after which the connection is dropped. */
  idleMs: number
  /** Requests not answered yet. */
  inFlight = 0
  /** Of these, bytes of messages. */
  heldBytes = 0
  pinging = false
  /** It was asked to leave and is closed then; 0 = it may stay. */
  leaveByMs = 0
  sendTokens: number
  tokensAtMs: number
  /** Pages to push at the end of the turn. */
  readonly turnPages: Page[] = []
  unacked: Map<string, Unacked> | undefined

  constructor(connId: number, nowMs: number, idleMs: number, sendTokens: number) {
    this.connId = connId
    this.heardAtMs = nowMs
    this.idleMs = idleMs
    this.sendTokens = sendTokens
    this.tokensAtMs = nowMs
  }

  /** Takes one token of the send rate; false = too fast. */
  mayBeSent(nowMs: number, perSecond: number): boolean {
    if (perSecond === 0) return true
    const earned = ((nowMs - this.tokensAtMs) * perSecond) / 1_000
    this.sendTokens = Math.min(this.sendTokens + earned, perSecond)
    this.tokensAtMs = nowMs
    if (this.sendTokens < 1) return false
    this.sendTokens -= 1
    return true
  }

  /**
   * @returns whether the session is watched: beyond `limit` sessions the heartbeat alone repairs.
   */
  pushed(session: string, first: number, last: number, dueAtMs: number, limit: number): boolean {
    this.unacked ??= new Map()
    const known = this.unacked.get(session)
    if (known) {
      known.upTo = Math.max(known.upTo, last)
      known.from = Math.min(known.from, first)
      return true
    }
    if (this.unacked.size >= limit) return false
    this.unacked.set(session, { from: first, upTo: last, repeats: 0, dueAtMs, reading: false })
    return true
  }

  acked(session: string, msgid: number, dueAtMs: number): void {
    const known = this.unacked?.get(session)
    if (!known || msgid < known.from) return
    if (msgid >= known.upTo) {
      this.unacked!.delete(session)
      return
    }
    known.from = msgid + 1
    known.repeats = 0
    known.dueAtMs = dueAtMs
  }
}
