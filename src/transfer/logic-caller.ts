import { type ErrorCode, errorCodeOf, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { type PendingEntry, PendingTable } from '../base/pending-table.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import { parseSession, routingKey } from '../protocol/session.ts'
import { type SetLane, SetLanes } from '../route/set-lanes.ts'
import { LogicPicker } from './logic-picker.ts'

export type LogicRequest = 'OPEN' | 'CLOSE' | 'SUBMIT' | 'CATCH_UP' | 'READ_PAGE'
export type LogicResult<K extends LogicRequest> = Packet<`${K}_OK`> | RingsetError

export interface LogicCallerOptions {
  readonly setId: string
  readonly nodeId: string
  readonly maxPending: number
  /** First attempt; doubles up to four times that. */
  readonly attemptMs: number
}

const answerKinds = {
  OPEN: 'OPEN_OK',
  CLOSE: 'CLOSE_OK',
  SUBMIT: 'SUBMIT_OK',
  CATCH_UP: 'CATCH_UP_OK',
  READ_PAGE: 'READ_PAGE_OK'
} as const satisfies Record<LogicRequest, string>

const minBackoffMs = 20
const maxBackoffMs = 1_000

/** One entry of the retry queue. */
class Call implements PendingEntry {
  wakeAtMs = 0
  wakeTick = -1
  readonly sequence: number
  readonly lane: SetLane
  readonly kind: LogicRequest
  readonly payload: Packet['payload']
  readonly deadlineAtMs: number
  readonly onDone: (result: LogicResult<LogicRequest>) => void
  /** Empty while backing off. */
  sentTo: EndpointId = ''
  avoid: EndpointId = ''
  failures = 0
  maybeDone = false
  code: ErrorCode = 'UNREACHABLE'

  constructor(
    sequence: number,
    lane: SetLane,
    kind: LogicRequest,
    payload: Packet['payload'],
    deadlineAtMs: number,
    onDone: (result: LogicResult<LogicRequest>) => void
  ) {
    this.sequence = sequence
    this.lane = lane
    this.kind = kind
    this.payload = payload
    this.deadlineAtMs = deadlineAtMs
    this.onDone = onDone
  }
}

/**
 * The transfer's bounded retry queue towards logic: every request is repeated with the same
 * idempotency id and payload, at another logic where there is one, until an answer, a final error
 * or its deadline.
 */
export class LogicCaller {
  readonly #env: RoleEnv
  readonly #options: LogicCallerOptions
  readonly #picker: LogicPicker
  readonly #calls: PendingTable<Call>
  readonly #lanes = new SetLanes({ retryShare: 0.1, retryFloorPerSecond: 50, retryBurst: 2_000 })
  #sequence = 0

  constructor(env: RoleEnv, options: LogicCallerOptions) {
    this.#env = env
    this.#options = options
    this.#picker = new LogicPicker(env, options.setId, options.nodeId)
    this.#calls = new PendingTable<Call>(env.nowMs(), options.attemptMs)
  }

  get pending(): number {
    return this.#calls.size
  }

  /** @param onDone runs exactly once; inside this call only when the queue is full (OVERLOADED). */
  request<K extends LogicRequest>(
    kind: K,
    payload: PayloadOf<K>,
    deadlineMs: number,
    onDone: (result: LogicResult<K>) => void
  ): void {
    const nowMs = this.#env.nowMs()
    const lane = this.#lanes.of(this.#homeSet(kind, payload), nowMs)
    const { maxPending } = this.#options
    if (this.#calls.size >= maxPending || lane.pending >= maxPending / 4) {
      onDone(new RingsetError('OVERLOADED', undefined, { retryAfterMs: 200 }))
      return
    }
    const call = new Call(
      ++this.#sequence,
      lane,
      kind,
      payload,
      nowMs + deadlineMs,
      onDone as (result: LogicResult<LogicRequest>) => void
    )
    this.#calls.add(call)
    lane.pending++
    lane.budget.sent()
    this.#attempt(call)
  }

  /** False when the packet answers nothing that is pending here. */
  onPacket(from: EndpointId, received: Packet): boolean {
    if (received.bootId !== this.#env.bootId) return false
    const call = this.#calls.get(received.sequence)
    if (!call) return false
    if (received.kind === 'ERROR') this.#onError(call, from, received)
    else if (received.kind === answerKinds[call.kind]) {
      this.#picker.answered(from)
      this.#finish(call, received as LogicResult<LogicRequest>)
    } else return false
    return true
  }

  onPeer(peer: EndpointId, up: boolean): void {
    this.#picker.onPeer(peer, up)
    if (up) return
    for (const call of this.#calls.values()) {
      if (call.sentTo !== peer) continue
      call.maybeDone = true
      call.code = 'TIMEOUT'
      call.avoid = peer
      this.#attempt(call)
    }
  }

  onTable(): void {
    this.#picker.onTable()
  }

  tick(): void {
    this.#calls.advance(this.#env.nowMs(), this.#due)
  }

  readonly #due = (call: Call): void => {
    const now = this.#env.nowMs()
    if (call.sentTo !== '') {
      call.maybeDone = true
      call.code = 'TIMEOUT'
      call.failures++
      call.avoid = call.sentTo
      this.#picker.failed(call.sentTo)
      call.sentTo = ''
    }
    if (now < call.deadlineAtMs && !call.lane.budget.take(now)) this.#wake(call, now + 50)
    else this.#attempt(call)
  }

  #attempt(call: Call): void {
    const now = this.#env.nowMs()
    call.sentTo = ''
    if (now >= call.deadlineAtMs) {
      this.#finish(call, new RingsetError(call.maybeDone ? 'TIMEOUT' : call.code))
      return
    }
    const { uid } = call.payload as PayloadOf<LogicRequest>
    const to = this.#picker.pick(uid, call.avoid)
    const { attemptMs } = this.#options
    const patienceMs = Math.min(
      attemptMs * 2 ** Math.min(call.failures, 2),
      call.deadlineAtMs - now
    )
    const sent = packet(call.kind, call.payload as PayloadOf<LogicRequest>, {
      bootId: this.#env.bootId,
      sequence: call.sequence,
      // The logic gives up when this attempt does, so that attempts at two logics do not overlap
      // for long.
      deadlineMs: Math.max(Math.floor(patienceMs), 1)
    })
    if (to === undefined || !this.#env.send(to, sent)) {
      if (to !== undefined) this.#picker.failed(to)
      call.avoid = to ?? ''
      this.#backOff(call, 0)
      return
    }
    if (call.failures > 0) this.#env.metrics.count('transfer_logic_retries_total')
    if (this.#picker.isStandIn(uid, to)) this.#env.metrics.count('transfer_grey_stand_ins_total')
    call.sentTo = to
    if (patienceMs === attemptMs) this.#calls.wakeFirst(call, now)
    else this.#wake(call, now + patienceMs)
  }

  #onError(call: Call, from: EndpointId, received: Packet<'ERROR'>): void {
    const { code: number, text, retryAfterMs } = received.payload
    const code = errorCodeOf(number)
    this.#picker.answered(from)
    if (!errorCodes[code].retry) {
      this.#finish(call, new RingsetError(code, text, { retryAfterMs }))
      return
    }
    if (call.sentTo !== from) return
    call.code = code
    if (errorCodes[code].outcome === 'unknown') call.maybeDone = true
    call.avoid = from
    this.#backOff(call, retryAfterMs)
  }

  #backOff(call: Call, retryAfterMs: number): void {
    call.sentTo = ''
    const exponential = minBackoffMs * 2 ** Math.min(call.failures++, 16)
    const delayMs = Math.max(Math.min(exponential, maxBackoffMs), retryAfterMs * 2)
    this.#wake(call, this.#env.nowMs() + delayMs * (0.5 + this.#env.random.float() / 2))
  }

  #wake(call: Call, atMs: number): void {
    this.#calls.wake(call, Math.min(atMs, call.deadlineAtMs))
  }

  #finish(call: Call, result: LogicResult<LogicRequest>): void {
    if (!this.#calls.delete(call)) return
    call.lane.pending--
    call.onDone(result)
  }

  /** The set whose routers the request will need: what it may hold up is only what needs them too. */
  #homeSet(kind: LogicRequest, payload: PayloadOf<LogicRequest>): string {
    if (kind !== 'SUBMIT') return this.#options.setId
    const { session } = payload as PayloadOf<'SUBMIT'>
    try {
      const view = this.#env.table()
      return view.owner(view.slotOf(routingKey(session, parseSession(session))))?.setId ?? ''
    } catch (error) {
      // A malformed session is for logic to refuse.
      if (error instanceof RingsetError) return ''
      throw error
    }
  }
}
