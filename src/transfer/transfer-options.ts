import type { ErrorCode } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'

/** Checks a connect token: whose it is, or why it is refused. */
export type VerifyToken = (token: string) => { readonly uid: string } | ErrorCode

export interface TransferLimits {
  readonly connections: number
  /** Connections that have not sent a valid CONNECT yet. */
  readonly unauthenticated: number
  readonly handshakeTimeoutMs: number
  /** Requests of one connection that are not answered yet. */
  readonly unackedPerConnection: number
  /** SEND packets of one connection, with a burst of one second's worth; 0 = no limit. */
  readonly sendsPerSecond: number
  readonly bodyBytes: number
  /** Requests to logic in flight or waiting, all connections together. */
  readonly pending: number
  /** Bytes of messages that are not answered yet, all connections together. */
  readonly heldBytes: number
  /** The same of one connection. */
  readonly heldBytesPerConnection: number
  /** Payload bytes after which a PUSH is closed and another one begun. */
  readonly pushBytes: number
  /** Sessions of one connection whose pushes are watched for an acknowledgement. */
  readonly watchedSessions: number
}

export interface TransferTimes {
  readonly heartbeatMinMs: number
  readonly heartbeatMaxMs: number
  /** How long SUBMIT is retried before the client hears TIMEOUT. */
  readonly submitDeadlineMs: number
  /** OPEN, CATCH_UP, READ_PAGE. */
  readonly requestDeadlineMs: number
  /**
   * How long CLOSE is retried; after that the route lives until its lease or a newer route ends it.
   */
  readonly closeDeadlineMs: number
  /** How long the first attempt at one logic may stay unanswered; doubles up to four times that. */
  readonly attemptMs: number
  readonly renewMs: number
  readonly announceMs: number
  /** Clients are asked to leave within this window when the transfer stops. */
  readonly drainMs: number
}

export interface TransferOptions {
  readonly id: string
  readonly setId: string
  readonly nodeId: string
  /** `host:port` of the node's peer listener. */
  readonly address: string
  /** `tcp://host:port` of each client listener. */
  readonly clientAddresses: readonly string[]
  readonly version: string
  /** Where to announce before a table names the arbiters. */
  readonly arbiters: readonly EndpointId[]
  readonly limits: TransferLimits
  readonly times: TransferTimes
}

export const defaultTransferLimits: TransferLimits = {
  connections: 50_000,
  unauthenticated: 5_000,
  handshakeTimeoutMs: 5_000,
  unackedPerConnection: 1_000,
  sendsPerSecond: 10_000,
  bodyBytes: 64 * 1024,
  pending: 100_000,
  heldBytes: 256 * 1024 * 1024,
  heldBytesPerConnection: 8 * 1024 * 1024,
  pushBytes: 256 * 1024,
  watchedSessions: 32
}

export const defaultTransferTimes: TransferTimes = {
  heartbeatMinMs: 10_000,
  heartbeatMaxMs: 300_000,
  submitDeadlineMs: 20_000,
  requestDeadlineMs: 5_000,
  closeDeadlineMs: 60_000,
  attemptMs: 2_000,
  renewMs: 1_000,
  announceMs: 1_000,
  drainMs: 2_000
}
