import type { ErrorCode } from '../base/error-codes.ts'
import type { PendingEntry } from '../base/pending-table.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { RequestKind, RouteResult } from './route-types.ts'
import type { SetLane } from './set-lanes.ts'

/** One request of a route client, from `request` to `onDone`. */
export class Pending implements PendingEntry {
  wakeAtMs = 0
  wakeTick = -1
  readonly sequence: number
  readonly slot: number
  /** Set for a request to a set's group rather than to a slot's owner. */
  readonly setId: string | undefined
  /** Of the set it was for when it was made. */
  readonly lane: SetLane
  readonly kind: RequestKind
  readonly payload: Packet['payload']
  readonly priority: number
  readonly deadlineAtMs: number
  readonly onDone: (result: RouteResult<RequestKind>) => void

  /** `sent`: an answer may come. `waiting`: backing off. */
  phase: 'sent' | 'waiting' = 'waiting'
  sends = 0
  /** Attempts that ended without an answer; drives timeouts and backoff. */
  failures = 0
  /** Hops since the last backoff. */
  hops = 0
  sentTo: EndpointId = ''
  sentSet = ''
  sentReplica = 0
  sentAtMs = 0
  sentEpoch = 0
  sentTerm = 0
  /** A replica that just failed this request; 0 = none. */
  avoid = 0
  /** An attempt's outcome is unknown, so the whole request's is. */
  maybeDone = false
  /** The last failure. */
  code: ErrorCode = 'NO_TABLE'

  constructor(
    sequence: number,
    target: { slot: number; setId: string | undefined },
    lane: SetLane,
    kind: RequestKind,
    payload: Packet['payload'],
    priority: number,
    deadlineAtMs: number,
    onDone: (result: RouteResult<RequestKind>) => void
  ) {
    this.sequence = sequence
    this.slot = target.slot
    this.setId = target.setId
    this.lane = lane
    this.kind = kind
    this.payload = payload
    this.priority = priority
    this.deadlineAtMs = deadlineAtMs
    this.onDone = onDone
  }
}
