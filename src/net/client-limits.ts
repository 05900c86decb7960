import { hardLimits } from '../protocol/kinds.ts'

/** Bounds of a `ClientListener`; all have defaults. */
export interface ClientLimits {
  /** Largest frame sent to, or accepted from, an authenticated client. */
  readonly frameBytes: number
  /** Largest frame, and bytes in all, accepted before that. */
  readonly greetingFrameBytes: number
  readonly greetingBytes: number
  /** Connections, and how many of them may be unauthenticated; one more is answered with TOO_MANY_CONNECTIONS. */
  readonly connections: number
  readonly greetings: number
  /** From accept to `authenticated`; then HANDSHAKE_TIMEOUT. */
  readonly greetingTimeoutMs: number
  /** Unsent bytes per connection over which PUSH is dropped; the client's cursors bring it back. */
  readonly softBacklogBytes: number
  /** Unsent bytes over which the connection is closed with SLOW_CONSUMER; so is one that stays over the soft bound for `slowMs`. */
  readonly hardBacklogBytes: number
  readonly slowMs: number
  /** How long a connection that is being closed may take to read what is queued for it. */
  readonly closingMs: number
}

export const defaultClientLimits: ClientLimits = {
  frameBytes: hardLimits.bodyBytes + 64 * 1024,
  greetingFrameBytes: 4 * 1024,
  greetingBytes: 16 * 1024,
  connections: 100_000,
  greetings: 10_000,
  greetingTimeoutMs: 5_000,
  softBacklogBytes: 256 * 1024,
  hardBacklogBytes: 2 * 1024 * 1024,
  slowMs: 10_000,
  closingMs: 1_000
}
