import { type ErrorCode, errorCodeOf, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { PendingTable } from '../base/pending-table.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { LeaderHint, PayloadOf } from '../protocol/kinds.ts'
import { noSlot, type Packet, packet } from '../protocol/packet.ts'
import type { RouterEntry } from '../table/table.ts'
import { LeaderCache } from './leader-cache.ts'
import { Pending } from './pending.ts'
import { answerKinds, leaderOnly, waitsForLeader, waitsForTable } from './route-rules.ts'
import {
  defaultRouteOptions,
  type RequestKind,
  type RequestOptions,
  type RouteCounters,
  type RouteEnv,
  type RouteOptions,
  type RouteResult,
  type RouteTarget
} from './route-types.ts'
import { SetLanes } from './set-lanes.ts'

/**
 * Routes requests straight to the router that can answer them, by the embedded table and cached
 * leader hints: no proxy, no look-up call. Retries carry one idempotency id, stay inside the
 * deadline and inside a budget; see docs/architecture.md. Pure and synchronous: the driver feeds it
 * packets, ticks (every ~10 ms), link and table events.
 */
export class RouteClient {
  readonly #env: RouteEnv
  readonly #options: RouteOptions
  readonly #pending: PendingTable<Pending>
  readonly #leaders = new LeaderCache()
  readonly #lanes: SetLanes
  readonly #down = new Set<EndpointId>()
  #sequence = 0
  #requests = 0
  #sends = 0
  #extraHops = 0

  constructor(env: RouteEnv, options: Partial<RouteOptions> = {}) {
    this.#env = env
    this.#options = { ...defaultRouteOptions, ...options }
    this.#pending = new PendingTable<Pending>(env.nowMs(), this.#options.firstAttemptMs)
    this.#lanes = new SetLanes(this.#options)
  }

  get counters(): RouteCounters {
    return {
      requests: this.#requests,
      sends: this.#sends,
      extraHops: this.#extraHops,
      pending: this.#pending.size
    }
  }

  /**
   * Sends `payload` to the leader of the target's set and retries until an answer, a final error or
   * the deadline.
   */
  request<K extends RequestKind>(
    target: RouteTarget,
    kind: K,
    payload: PayloadOf<K>,
    options: RequestOptions<K>
  ): void {
    this.#requests++
    const place =
      'slot' in target
        ? { slot: target.slot, setId: undefined }
        : { slot: noSlot, setId: target.setId }
    const nowMs = this.#env.nowMs()
    const { maxPending, maxPendingPerSet } = this.#options
    const setId = place.setId ?? this.#env.table().owner(place.slot)?.setId ?? ''
    const lane = this.#lanes.of(setId, nowMs)
    if (this.#pending.size >= maxPending || lane.pending >= maxPendingPerSet) {
      options.onDone(new RingsetError('OVERLOADED', undefined, { retryAfterMs: 100 }))
      return
    }
    const pending = new Pending(
      ++this.#sequence,
      place,
      lane,
      kind,
      payload,
      options.priority ?? 8,
      nowMs + options.deadlineMs,
      options.onDone as (result: RouteResult<RequestKind>) => void
    )
    this.#pending.add(pending)
    lane.pending++
    lane.budget.sent()
    this.#attempt(pending)
  }

  /** Feeds an answer (or a WELCOME with leader hints). False when it is not for this client. */
  onPacket(from: EndpointId, received: Packet): boolean {
    if (received.kind === 'WELCOME') {
      for (const hint of received.payload.hints) this.learn(hint)
      return true
    }
    if (received.bootId !== this.#env.bootId) return false
    const pending = this.#pending.get(received.sequence)
    if (!pending) return false
    if (received.kind === 'ERROR') this.#onError(pending, from, received)
    else if (received.kind === answerKinds[pending.kind]) this.#onAnswer(pending, from, received)
    else return false
    return true
  }

  /**
   * A leader hint from anywhere; newest term wins. True when it was news: requests that wait for a
   * leader went there at once.
   */
  learn(hint: LeaderHint): boolean {
    const { term } = this.#leaders.of(hint.setId)
    const gone = this.#down.has(this.#leaders.endpoint(hint.setId, hint.replicaId))
    if ((gone && hint.term <= term) || !this.#leaders.learn(hint)) return false
    this.#guide(hint.setId, hint.replicaId, hint.term)
    return true
  }

  /** The replica that leads `setId` as far as known; 0 = unknown. */
  leaderOf(setId: string): number {
    return this.#leaders.of(setId).replicaId
  }

  onPeer(peer: EndpointId, up: boolean): void {
    if (up) {
      this.#down.delete(peer)
      return
    }
    if (!peer.startsWith('router/')) return
    this.#down.add(peer)
    for (const pending of this.#pending.values()) {
      if (pending.phase !== 'sent' || pending.sentTo !== peer) continue
      this.#leaders.forget(pending.sentSet, pending.sentReplica)
      pending.maybeDone = true
      pending.code = 'TIMEOUT'
      pending.avoid = pending.sentReplica
      this.#hop(pending)
    }
  }

  /** Call after a newer table was adopted. */
  onTable(): void {
    const view = this.#env.table()
    for (const pending of this.#pending.values()) {
      if (pending.phase !== 'waiting' || pending.sentEpoch >= view.epoch) continue
      const moved =
        pending.setId === undefined && view.owner(pending.slot)?.setId !== pending.sentSet
      if (moved || waitsForTable.has(pending.code)) this.#attempt(pending)
    }
  }

  tick(): void {
    this.#pending.advance(this.#env.nowMs(), this.#due)
  }

  /** Ends everything with CANCELLED (outcome unknown). */
  cancelAll(): void {
    for (const pending of this.#pending.values()) {
      this.#finish(pending, new RingsetError('CANCELLED'))
    }
  }

  readonly #due = (pending: Pending): void => {
    const now = this.#env.nowMs()
    if (pending.phase === 'sent') {
      pending.maybeDone = true
      pending.code = 'TIMEOUT'
      if (now < pending.deadlineAtMs) {
        pending.failures++
        pending.avoid = pending.sentReplica
        const leader = this.#leaders.of(pending.sentSet)
        if (leader.lastAnswerMs < pending.sentAtMs) {
          this.#leaders.forget(pending.sentSet, pending.sentReplica)
        }
        pending.phase = 'waiting'
      }
    }
    if (now < pending.deadlineAtMs && !pending.lane.budget.take(now)) {
      this.#wake(pending, now + this.#jitter(2_000 / this.#options.retryFloorPerSecond))
      return
    }
    pending.hops = 0
    this.#attempt(pending)
  }

  #attempt(pending: Pending): void {
    const now = this.#env.nowMs()
    pending.phase = 'waiting'
    if (now >= pending.deadlineAtMs) {
      const code = pending.maybeDone ? 'TIMEOUT' : pending.code
      const facts = { sends: pending.sends, lastCode: pending.code }
      this.#finish(pending, new RingsetError(code, undefined, facts))
      return
    }
    const view = this.#env.table()
    const owner = pending.setId === undefined ? view.owner(pending.slot) : undefined
    const setId = owner?.setId ?? pending.setId
    pending.sentEpoch = view.epoch
    if (setId === undefined || view.epoch === 0) {
      this.#backOff(pending, 'NO_TABLE', 0)
      return
    }
    const routers = view.set(setId)?.routers
    pending.sentSet = setId
    if (!routers || routers.length === 0) this.#backOff(pending, 'SET_UNAVAILABLE', 0)
    else if (!this.#dispatch(pending, routers, owner?.slotEpoch ?? 0, now)) {
      this.#backOff(pending, 'UNREACHABLE', 0)
    }
  }

  /** To the known leader, else to the voters in turn, those believed to be down last. */
  #dispatch(
    pending: Pending,
    routers: readonly RouterEntry[],
    slotEpoch: number,
    now: number
  ): boolean {
    const setId = pending.sentSet
    const leader = this.#leaders.of(setId)
    const avoid = pending.avoid
    pending.avoid = 0
    const known = leader.replicaId
    if (known !== 0 && known !== avoid && this.#post(pending, known, slotEpoch, now, false)) {
      return true
    }
    const start = leader.nextProbe++
    for (const last of [false, true]) {
      for (let i = 0; i < routers.length; i++) {
        const router = routers[(start + i) % routers.length]!
        if (router.role !== 'voter' || (router.replicaId === avoid) !== last) continue
        if (this.#post(pending, router.replicaId, slotEpoch, now, false)) return true
      }
    }
    for (let i = 0; i < routers.length; i++) {
      const router = routers[(start + i) % routers.length]!
      if (router.role === 'voter' && this.#post(pending, router.replicaId, slotEpoch, now, true)) {
        return true
      }
    }
    return false
  }

  /** @param evenDown tries the links believed to be down, and only those. */
  #post(
    pending: Pending,
    replicaId: number,
    slotEpoch: number,
    now: number,
    evenDown: boolean
  ): boolean {
    const to = this.#leaders.endpoint(pending.sentSet, replicaId)
    if (this.#down.has(to) !== evenDown) return false
    const term = this.#leaders.of(pending.sentSet).term
    const left = pending.deadlineAtMs - now
    const sent = packet(pending.kind, pending.payload as PayloadOf<RequestKind>, {
      priority: pending.priority,
      bootId: this.#env.bootId,
      sequence: pending.sequence,
      deadlineMs: Math.min(Math.max(Math.floor(left), 1), 0xffff),
      slot: pending.slot,
      slotEpoch,
      term
    })
    if (!this.#env.send(to, sent)) return false
    this.#sends++
    if (++pending.sends > 1) {
      this.#extraHops++
      this.#env.metrics?.count('route_extra_hops_total')
    }
    pending.phase = 'sent'
    pending.sentTo = to
    pending.sentReplica = replicaId
    pending.sentAtMs = now
    pending.sentTerm = term
    const { firstAttemptMs, maxAttemptMs } = this.#options
    const patienceMs = firstAttemptMs * 2 ** Math.min(pending.failures, 16)
    if (pending.failures === 0 && left > firstAttemptMs) this.#pending.wakeFirst(pending, now)
    else this.#wake(pending, now + Math.min(patienceMs, maxAttemptMs))
    return true
  }

  #onAnswer(pending: Pending, from: EndpointId, received: Packet): void {
    if (from === pending.sentTo && leaderOnly.has(pending.kind)) {
      const set = this.#leaders.of(pending.sentSet)
      if (set.replicaId === pending.sentReplica) {
        set.term = Math.max(set.term, received.term)
      } else {
        const term = received.term === 0 ? set.term : received.term
        this.learn({ setId: pending.sentSet, replicaId: pending.sentReplica, term })
      }
      set.lastAnswerMs = this.#env.nowMs()
    }
    this.#finish(pending, received as RouteResult<RequestKind>)
  }

  #onError(pending: Pending, from: EndpointId, received: Packet<'ERROR'>): void {
    const { code: number, text, retryAfterMs, hint } = received.payload
    const code = errorCodeOf(number)
    const { retry, outcome } = errorCodes[code]
    if (!retry) {
      this.#finish(pending, new RingsetError(code, text, { retryAfterMs }))
      return
    }
    if (pending.phase !== 'sent' || from !== pending.sentTo) {
      // A late word on an attempt that was given up already.
      if (hint) this.learn(hint)
      return
    }
    pending.code = code
    if (outcome === 'unknown') pending.maybeDone = true
    if (code === 'NOT_LEADER' || code === 'NO_LEADER') {
      this.#leaders.forget(pending.sentSet, pending.sentReplica)
      pending.avoid = pending.sentReplica
    }
    this.#backOff(pending, code, retryAfterMs)
    const guided = hint !== undefined && this.learn(hint)
    const moved = code === 'STALE_SLOT' || code === 'MOVED'
    if (moved && this.#env.table().epoch > pending.sentEpoch) this.#attempt(pending)
    else if (code === 'NOT_LEADER' && !guided && this.#worthAHop(pending)) this.#hop(pending)
  }

  /** A known leader, or a replica that was not asked in this round. */
  #worthAHop(pending: Pending): boolean {
    const voters = this.#env.table().set(pending.sentSet)?.routers.length ?? 0
    return pending.hops < voters
  }

  /**
   * On to another replica without waiting; the first hop of a round is free, as something was
   * learnt by it.
   */
  #hop(pending: Pending): void {
    if (pending.hops++ > 0 && !pending.lane.budget.take(this.#env.nowMs())) {
      this.#backOff(pending, pending.code, 0)
      return
    }
    this.#attempt(pending)
  }

  /**
   * A new leader is known: whoever waits for one or hangs at an older one goes there, once per
   * term, outside the budget.
   */
  #guide(setId: string, replicaId: number, term: number): void {
    for (const pending of this.#pending.values()) {
      if (pending.sentSet !== setId) continue
      if (pending.phase === 'waiting') {
        if (!waitsForLeader.has(pending.code)) continue
      } else {
        if (pending.sentReplica === replicaId || pending.sentTerm >= term) continue
        pending.maybeDone = true
        pending.code = 'TIMEOUT'
      }
      pending.avoid = 0
      this.#attempt(pending)
    }
  }

  #backOff(pending: Pending, code: ErrorCode, retryAfterMs: number): void {
    const { minBackoffMs, maxBackoffMs } = this.#options
    pending.code = code
    pending.phase = 'waiting'
    const exponential = minBackoffMs * 2 ** Math.min(pending.failures++, 16)
    // The jitter halves at most, so `retryAfterMs` is kept; the deadline bounds what a confused
    // peer may ask for.
    const delayMs = Math.max(Math.min(exponential, maxBackoffMs), retryAfterMs * 2)
    this.#wake(pending, this.#env.nowMs() + this.#jitter(delayMs))
  }

  #jitter(delayMs: number): number {
    return delayMs * (0.5 + this.#env.random.float() / 2)
  }

  #wake(pending: Pending, atMs: number): void {
    this.#pending.wake(pending, Math.min(atMs, pending.deadlineAtMs))
  }

  #finish(pending: Pending, result: RouteResult<RequestKind>): void {
    if (!this.#pending.delete(pending)) return
    pending.lane.pending--
    pending.onDone(result)
  }
}
