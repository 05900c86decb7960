import type { Clock, Log, Metrics, Random } from '../base/ports.ts'
import type { TableView } from '../table/table-view.ts'
import type { EndpointId } from './endpoint.ts'
import type { Packet } from './packet.ts'

/**
 * What the driver (the host, or the simulator) gives every role. All calls are synchronous and never call back into the role
 * before they return.
 */
export interface RoleEnv extends Clock {
  readonly self: EndpointId
  /** Random per process start; roles of one process share it. */
  readonly bootId: number
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  /**
   * Sends without waiting. False when the packet was certainly dropped (no known address, or the link's bounded queue is
   * full). True promises nothing: whoever needs an answer waits for it with a deadline. The link fills in epoch and clusterTag.
   */
  send(to: EndpointId, packet: Packet): boolean
  /** The process's newest routing table; `epoch` 0 while none is known. */
  table(): TableView
  /** Has the role flushed once more when `delayMs`, which may be less than a tick, are over, even if nothing happens until then. */
  flushIn(delayMs: number): void
}

/**
 * A role: a synchronous state machine. The driver calls one method at a time and, after one or more of them, `flush()` once at
 * the end of the turn, which is where a role does its batched work. A throw is a broken invariant and stops the process, so
 * roles answer bad input with ERROR packets instead.
 */
export interface Role {
  /** Called once before anything else. */
  start(): void
  /** Every tick of the host (20 ms by default), late after stalls, never twice for one instant. */
  tick(): void
  onPacket(from: EndpointId, packet: Packet): void
  /**
   * The peer process of `peer` became reachable or not. `refused`: the connection closed and an immediate reconnect was refused,
   * so the process is certainly gone (evidence for fast failover).
   */
  onPeer(peer: EndpointId, up: boolean, refused: boolean): void
  /** A newer table was adopted; already visible in `env.table()`. */
  onTable(): void
  flush(): void
  /** Begin to leave: hand over leadership, stop accepting. Returns true once nothing is left to do (polled each tick). */
  stopping(): boolean
}
