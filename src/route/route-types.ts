import type { RingsetError } from '../base/errors.ts'
import type { Metrics, Random } from '../base/ports.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { KindName } from '../protocol/kinds.ts'
import type { Packet } from '../protocol/packet.ts'
import type { TableView } from '../table/table-view.ts'

/** What a route client needs of its process; every `RoleEnv` fits. */
export interface RouteEnv {
  /** Monotonic milliseconds. */
  nowMs(): number
  readonly random: Random
  /** Random per process start; first half of every idempotency id. */
  readonly bootId: number
  /** False when the packet was certainly dropped. Must not call back before it returns. */
  send(to: EndpointId, packet: Packet): boolean
  table(): TableView
  readonly metrics?: Metrics
}

export type RequestKind =
  | 'APPEND'
  | 'REGISTER'
  | 'UNREGISTER'
  | 'LOOKUP'
  | 'LATEST'
  | 'HISTORY_READ'
  | 'SYNC'
  | 'SEQUENCE'
  | 'RENEW'

export type AnswerKind<K extends RequestKind> = Extract<`${K}_OK`, KindName>

/**
 * By slot: the set that owns it, which may change on the way. By set: that set's group, for what
 * belongs to no slot.
 */
export type RouteTarget = { readonly slot: number } | { readonly setId: string }

/**
 * The answer packet, or why there is none: `error.outcome` says whether the request may still take
 * effect.
 */
export type RouteResult<K extends RequestKind> = Packet<AnswerKind<K>> | RingsetError

export interface RequestOptions<K extends RequestKind> {
  /** Budget for all attempts together. */
  readonly deadlineMs: number
  /** 0 most urgent … 15; default 8. */
  readonly priority?: number
  /**
   * Runs exactly once, at the latest one tick after the deadline; inside `request` only when
   * refused at once (OVERLOADED).
   */
  readonly onDone: (result: RouteResult<K>) => void
}

export interface RouteOptions {
  /** Requests in flight or waiting; more are refused with OVERLOADED. */
  readonly maxPending: number
  /** Of them, for one set: a set that does not answer must leave room for the others. */
  readonly maxPendingPerSet: number
  /** How long the first attempt may stay unanswered; doubles with every further one. */
  readonly firstAttemptMs: number
  readonly maxAttemptMs: number
  readonly minBackoffMs: number
  readonly maxBackoffMs: number
  /** Blind retries allowed per first send, see `RetryBudget`. */
  readonly retryShare: number
  readonly retryFloorPerSecond: number
  readonly retryBurst: number
}

export const defaultRouteOptions: RouteOptions = {
  maxPending: 100_000,
  maxPendingPerSet: 25_000,
  firstAttemptMs: 300,
  maxAttemptMs: 3_000,
  minBackoffMs: 10,
  maxBackoffMs: 250,
  retryShare: 0.1,
  retryFloorPerSecond: 50,
  retryBurst: 1_000
}

/** Counted since the start. */
export interface RouteCounters {
  readonly requests: number
  /** Packets sent. */
  readonly sends: number
  /** Sends beyond the first of a request: what stale knowledge and faults have cost. */
  readonly extraHops: number
  readonly pending: number
}
