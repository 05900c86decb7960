/** A row that its owner keeps decoded. Encoded when it is written or read, not each time it changes. */
export interface LiveRow {
  /** The row as of the last applied entry; undefined: it does not exist. */
  encode(): Buffer | undefined
}

/** Rows as seen while applying: the last write wins, reads see writes of the same entry. */
export interface Rows {
  get(key: string): Buffer | undefined
  put(key: string, value: Buffer | LiveRow): void
  /**
   * A row that never changes until it is deleted. It may reach the disk before the other rows of its entry do; applying the entry
   * again after a crash then puts the same value.
   */
  add(key: string, value: Buffer): void
  delete(key: string): void
}

/**
 * A deterministic state machine: entry in, rows and result out. No clock, no randomness, no look-up outside `rows`; what depends
 * on them the leader writes into the entry.
 */
export interface StateMachine {
  /**
   * Applies one committed normal entry. Returns one result per command in it, in order, for the leader that proposed it; a replica
   * that did not propose it drops them. Malformed data is a broken invariant (the proposer validated it) and throws.
   */
  apply(index: number, data: Buffer, rows: Rows): unknown[]
  /** All rows were replaced (snapshot installed): drop every cache. */
  reset(): void
}
