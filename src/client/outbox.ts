import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { TimerWheel, type WheelEntry } from '../base/timer-wheel.ts'
import type { PayloadOf } from '../protocol/kinds.ts'

/** What became of a message: where it stands in its session for ever, or why it was given up. */
export type SendResult = PayloadOf<'ACK'> | RingsetError

export interface OutboxOptions {
  /** Unacknowledged at once in one session; the router remembers 64 ids per device and session. */
  readonly perSession: number
  /** Unacknowledged at once in all. */
  readonly total: number
  /** Waiting for their turn; more are refused. */
  readonly queued: number
  /** Silence after which a message is repeated on the same connection. */
  readonly repeatMs: number
}

export const defaultOutboxOptions: OutboxOptions = {
  perSession: 32,
  total: 1_000,
  queued: 100_000,
  repeatMs: 8_000
}

/**
 * An unacknowledged id may be so far behind the newest of its session: safely inside the router's
 * window of 64.
 */
const idWindow = 48
const minBackoffMs = 100
const maxBackoffMs = 5_000

export class Outgoing implements WheelEntry {
  wakeAtMs = 0
  wakeTick = -1
  readonly session: string
  readonly type: number
  readonly body: Buffer
  readonly deadlineAtMs: number
  readonly onDone: (result: SendResult) => void
  /** Given when it is sent first, kept by every repetition. */
  clientMsgId = 0
  sequence = 0
  /**
   * `waiting`: for its turn. `due`: to be (re)sent now. `sent`: for its ACK. `backoff`: to be sent
   * again later.
   */
  phase: 'waiting' | 'due' | 'sent' | 'backoff' = 'waiting'
  failures = 0
  everSent = false
  /**
   * How often it was sent without an answer that it was not done. While this is above 0 the message
   * may stand in its session, so it must not end with a code that denies that.
   */
  inDoubt = 0

  constructor(
    session: string,
    type: number,
    body: Buffer,
    deadlineAtMs: number,
    onDone: (result: SendResult) => void
  ) {
    this.session = session
    this.type = type
    this.body = body
    this.deadlineAtMs = deadlineAtMs
    this.onDone = onDone
  }
}

interface Lane {
  readonly waiting: Outgoing[]
  /** Index of the first one in `waiting` that is still there. */
  head: number
  readonly unacked: Outgoing[]
  nextId: number
}

/**
 * The messages on their way out: repeats each with the same id until it is acknowledged, refused
 * for good, or past its deadline, over any number of connections. Ids are dense within a session,
 * and within the window that the router remembers.
 */
export class Outbox {
  readonly #options: OutboxOptions
  readonly #wheel: TimerWheel<Outgoing>
  readonly #lanes = new Map<string, Lane>()
  readonly #bySequence = new Map<number, Outgoing>()
  /** Lanes that may have something to send for the first time. */
  readonly #ready = new Set<Lane>()
  #due: Outgoing[] = []
  #queued = 0
  /** First id of a lane that begins now. */
  #baseId: number
  #highestId: number
  /** Ids from here on may not be used yet. */
  #idCeiling: number

  /**
   * @param firstId no id below it is used.
   * @param idCeiling nor any from it on, until `raiseCeiling`.
   */
  constructor(nowMs: number, firstId: number, idCeiling: number, options: OutboxOptions) {
    this.#options = options
    this.#wheel = new TimerWheel<Outgoing>(nowMs, 50, 64)
    this.#baseId = firstId
    this.#highestId = firstId - 1
    this.#idCeiling = idCeiling
  }

  get unacked(): number {
    return this.#bySequence.size
  }

  get queued(): number {
    return this.#queued
  }

  /** Ids left before the ceiling. */
  get idsLeft(): number {
    return this.#idCeiling - 1 - this.#highestId
  }

  get idCeiling(): number {
    return this.#idCeiling
  }

  raiseCeiling(idCeiling: number): void {
    this.#idCeiling = Math.max(this.#idCeiling, idCeiling)
    for (const lane of this.#lanes.values()) if (lane.waiting.length > 0) this.#ready.add(lane)
  }

  /** Refuses with OVERLOADED when too many wait; else `onDone` follows later, exactly once. */
  add(item: Outgoing): void {
    if (this.#queued >= this.#options.queued) {
      item.onDone(new RingsetError('OVERLOADED', 'too many messages wait to be sent'))
      return
    }
    let lane = this.#lanes.get(item.session)
    if (!lane) {
      lane = { waiting: [], head: 0, unacked: [], nextId: this.#baseId }
      this.#lanes.set(item.session, lane)
    }
    lane.waiting.push(item)
    this.#queued++
    this.#ready.add(lane)
    this.#wheel.schedule(item, item.deadlineAtMs)
  }

  /**
   * Sends what may be sent now.
   * @param send false when the connection takes no more at the moment.
   */
  pump(nowMs: number, newSequence: () => number, send: (item: Outgoing) => boolean): void {
    if (this.#due.length > 0) {
      const due = this.#due
      this.#due = []
      for (const item of due) {
        if (item.phase === 'due') this.#transmit(item, nowMs, send)
      }
    }
    for (const lane of this.#ready) {
      while (this.#bySequence.size < this.#options.total && this.#open(lane)) {
        const item = lane.waiting[lane.head++]!
        this.#queued--
        item.clientMsgId = lane.nextId++
        item.sequence = newSequence()
        this.#highestId = Math.max(this.#highestId, item.clientMsgId)
        lane.unacked.push(item)
        this.#bySequence.set(item.sequence, item)
        this.#transmit(item, nowMs, send)
      }
      // What closed the lane will open it: an end of one of its messages, or a higher ceiling.
      if (!this.#open(lane)) this.#ready.delete(lane)
      this.#tidy(lane)
      if (this.#bySequence.size >= this.#options.total) break
    }
  }

  acked(sequence: number, ack: PayloadOf<'ACK'>): void {
    const item = this.#bySequence.get(sequence)
    if (item && ack.clientMsgId === item.clientMsgId) this.#finish(item, ack)
  }

  /** An ERROR on the message's sequence. False when it is none of ours. */
  refused(
    nowMs: number,
    sequence: number,
    code: ErrorCode,
    text: string,
    retryAfterMs: number
  ): boolean {
    const item = this.#bySequence.get(sequence)
    if (!item) return false
    const { outcome, retry } = errorCodes[code]
    // It answers one of the transmissions; what became of the others it does not tell.
    if (outcome === 'not-done' && item.inDoubt > 0) item.inDoubt--
    if (!retry) {
      this.#giveUp(item, new RingsetError(code, text))
      return true
    }
    const backoffMs = Math.min(minBackoffMs * 2 ** Math.min(item.failures++, 10), maxBackoffMs)
    item.phase = 'backoff'
    const atMs = nowMs + Math.max(backoffMs, retryAfterMs)
    this.#wheel.schedule(item, Math.min(atMs, item.deadlineAtMs))
    return true
  }

  /** A new connection: everything unacknowledged is sent again, in the order of the ids. */
  reconnected(): void {
    this.#due = [...this.#bySequence.values()]
    for (const item of this.#due) item.phase = 'due'
  }

  /** Deadlines and repetitions. True when `pump` has something to do. */
  tick(nowMs: number): boolean {
    this.#wheel.advance(nowMs, item => {
      if (nowMs >= item.deadlineAtMs) {
        const code = item.everSent ? 'TIMEOUT' : 'UNREACHABLE'
        this.#finish(item, new RingsetError(code, 'not acknowledged before its deadline'))
      } else {
        item.phase = 'due'
        this.#due.push(item)
        // There may be no connection to send it on before its deadline.
        this.#wheel.schedule(item, item.deadlineAtMs)
      }
    })
    return this.#due.length > 0 || this.#ready.size > 0
  }

  /** Gives up everything. */
  cancelAll(error: RingsetError): void {
    for (const lane of [...this.#lanes.values()]) {
      for (const item of [...lane.unacked, ...lane.waiting.slice(lane.head)]) {
        this.#giveUp(item, error)
      }
    }
  }

  #giveUp(item: Outgoing, error: RingsetError): void {
    const denies = error.outcome === 'not-done' && item.inDoubt > 0
    this.#finish(item, denies ? doubtful(error) : error)
  }

  #open(lane: Lane): boolean {
    if (lane.head >= lane.waiting.length || lane.nextId >= this.#idCeiling) return false
    if (lane.unacked.length >= this.#options.perSession) return false
    const oldest = lane.unacked[0]
    return !oldest || lane.nextId < oldest.clientMsgId + idWindow
  }

  #transmit(item: Outgoing, nowMs: number, send: (item: Outgoing) => boolean): void {
    item.phase = 'sent'
    const sent = send(item)
    if (sent) {
      item.everSent = true
      item.inDoubt++
    }
    const repeatAtMs = nowMs + (sent ? this.#options.repeatMs : minBackoffMs)
    this.#wheel.schedule(item, Math.min(repeatAtMs, item.deadlineAtMs))
  }

  #finish(item: Outgoing, result: SendResult): void {
    const lane = this.#lanes.get(item.session)
    this.#wheel.cancel(item)
    if (lane && item.sequence === 0) {
      const at = lane.waiting.indexOf(item, lane.head)
      if (at < 0) return
      lane.waiting.splice(at, 1)
      this.#queued--
    } else if (lane) {
      if (!this.#bySequence.delete(item.sequence)) return
      lane.unacked.splice(lane.unacked.indexOf(item), 1)
    }
    item.sequence = 0
    item.phase = 'sent'
    if (lane) {
      if (lane.head < lane.waiting.length) this.#ready.add(lane)
      this.#tidy(lane, item.session)
    }
    item.onDone(result)
  }

  /**
   * Keeps lanes small, and forgets those that are empty: ids of a session may jump, only not go
   * back.
   */
  #tidy(lane: Lane, session?: string): void {
    if (lane.head === lane.waiting.length) {
      lane.waiting.length = 0
      lane.head = 0
      this.#ready.delete(lane)
    } else if (lane.head > 1_024) {
      lane.waiting.splice(0, lane.head)
      lane.head = 0
    }
    if (session === undefined || lane.waiting.length > 0 || lane.unacked.length > 0) return
    if (this.#lanes.size <= this.#options.total) return
    this.#lanes.delete(session)
    this.#baseId = Math.max(this.#baseId, lane.nextId)
  }
}

/** Whoever takes a message that may be done for not done sends it again, and it stands twice. */
function doubtful(error: RingsetError): RingsetError {
  const text = `given up while it may be done: ${error.message}`
  return new RingsetError('CANCELLED', text, { reason: error.code }, error)
}
