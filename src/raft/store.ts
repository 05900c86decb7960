import type { Entry, HardState, Membership, SnapshotMeta, StandingRecord } from './types.ts'

/**
 * What a replica asks of its disk. One store serves one group; stores of one process share a database and its synced writes.
 * Reads are synchronous and see every write already handed in, durable or not.
 */
export interface GroupStore {
  /** What the disk held when the store was opened. */
  readonly recovered: RecoveredGroup

  // Log
  /** Oldest index still in the log; `lastIndex + 1` when it is empty. */
  firstIndex(): number
  lastIndex(): number
  /** Term of an entry; also of `firstIndex − 1` (kept at compaction). Undefined when unknown. */
  term(index: number): number | undefined
  /** Entries from ≤ index < to, at least one if there is one, then as many as fit `maxBytes`. */
  entries(from: number, to: number, maxBytes: number): Entry[]

  // State machine rows. Keys compare by their UTF-8 bytes.
  getState(key: string): Buffer | undefined
  /** Rows in order, as they were at the call; `done` runs in a later turn, not if the process ends before. */
  readRange(range: RowRange, done: (page: RowPage) => void): void

  /**
   * Queues one atomic write; writes take effect in the order of the calls. `done` runs in a later turn, once the write and all
   * before it are durable (`sync`) or at least in the database (not `sync`). A failure never calls `done`: it stops the process.
   */
  write(write: GroupWrite, done: () => void): void

  // Snapshots out: a frozen view of all rows, at the applied index when it was opened.
  openSnapshot(): SnapshotSource

  // Snapshots in. Rows go to a fresh generation beside the live one; `finishInstall` switches to it, sets applied index and membership
  // and resets the log to the snapshot point in ONE synced atomic write. A crash before leaves the old state whole.
  /** Starts receiving, dropping any unfinished other snapshot. Returns the number of chunks already held of this very snapshot. */
  beginInstall(meta: SnapshotMeta, snapshotId: number): number
  /**
   * Stores chunk number `chunk` (they come in order). `data` is as `SnapshotSource.next` made it; throws DATA_DAMAGED if malformed.
   * `done` runs in a later turn, once there is room for the next one; not if the install ends before.
   */
  installChunk(chunk: number, data: Buffer, done?: () => void): void
  finishInstall(hardState: HardState, done: () => void): void
}

/** Rows with `after` < key < `before`. */
export interface RowRange {
  readonly after: string
  readonly before: string
  /** A page holds about as much, and at least one row if there is any. */
  readonly maxBytes: number
}

/** Ascending by key. `more`: there may be others behind the last one; then there is at least one here. */
export interface RowPage {
  readonly rows: readonly (readonly [key: string, value: Buffer])[]
  readonly more: boolean
}

export interface RecoveredGroup {
  readonly hardState: HardState
  /** Index of the last entry whose effects are in the rows. */
  readonly applied: number
  /** As of `applied`; undefined for a group that has never been started here. */
  readonly membership: Membership | undefined
  /**
   * Set when the log or rows failed their checks: the replica must not vote, campaign, or count as an ack until it has caught
   * up from a leader. Why, for the operator.
   */
  readonly quarantine: string | undefined
  /** As written last; undefined: never. */
  readonly standing?: StandingRecord | undefined
}

export interface GroupWrite {
  readonly hardState?: HardState
  /** Drop every entry with this index or a higher one, before `entries` are added. */
  readonly truncateFrom?: number
  /** Contiguous, following what is left. */
  readonly entries?: readonly Entry[]
  /** Rows that never change. They may stand before the index that made them is `applied`: the entry will put them again. */
  readonly added?: ReadonlyMap<string, Buffer>
  /** Changed rows; `undefined` deletes. */
  readonly rows?: ReadonlyMap<string, Buffer | undefined>
  /** The rows now hold the effects of all entries up to here. Always given with `rows`. */
  readonly applied?: number
  readonly membership?: Membership
  /** Entries below this index may be dropped (they are applied and durable). */
  readonly compactTo?: number
  /** The replica has caught up from a leader: the quarantine it was opened with ends with this write. */
  readonly healed?: boolean
  readonly standing?: StandingRecord
  /** `done` waits for the disk. */
  readonly sync: boolean
}

export interface SnapshotSource {
  readonly meta: SnapshotMeta
  /** The next chunk of at most about `maxBytes`, empty and `last` at the end; called one at a time. Work is sliced so that no call blocks long. */
  next(maxBytes: number, done: (chunk: { data: Buffer; last: boolean }) => void): void
  close(): void
}
