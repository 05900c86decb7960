/** Bounds of a router; see docs/limits.md. */
export interface RouterLimits {
  /** Longest message body, in bytes. */
  readonly bodyBytes: number
  /** One log entry holds at most so many commands and, past so many bytes, takes no more. */
  readonly entryCommands: number
  readonly entryBytes: number
  /** Under load an entry waits until the last one is this old, in milliseconds, while that brings in more commands. */
  readonly gatherMs: number
  /** Commands and their bytes that wait for their outcome; above it requests get OVERLOADED. */
  readonly pendingCommands: number
  readonly pendingBytes: number
  /** Reads that wait for their confirmation. */
  readonly pendingReads: number
  /** One answer to SYNC or HISTORY_READ holds at most so many bytes of messages (one message at least). */
  readonly pageBytes: number
  readonly pageMessages: number
  /** Items and bytes of one channel batch, and batches in flight per target set. */
  readonly channelItems: number
  readonly channelBytes: number
  readonly channelWindow: number
}

export const defaultRouterLimits: RouterLimits = {
  bodyBytes: 64 * 1024,
  entryCommands: 1_024,
  entryBytes: 512 * 1024,
  gatherMs: 8,
  pendingCommands: 16_384,
  pendingBytes: 32 * 1024 * 1024,
  pendingReads: 8_192,
  pageBytes: 256 * 1024,
  pageMessages: 1_000,
  channelItems: 512,
  channelBytes: 512 * 1024,
  channelWindow: 4
}
