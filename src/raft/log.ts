import { assert } from '../base/errors.ts'
import type { AppendAck, LogReader } from './raft-api.ts'
import type { Entry } from './types.ts'

const entryOverheadBytes = 16
const noEntries: readonly Entry[] = []

/** What an entry costs in a message or in memory, about. */
export function entryBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes
}

/** What `take` hands to the disk. */
interface LogWrite {
  readonly truncateFrom: number
  readonly entries: readonly Entry[]
}

/**
 * The store's log plus the tail that has not been handed to it yet. Three marks run over it:
 * `stableIndex` (durable here), `commit`, and `handed` (given out to be applied); handed ≤
 * min(commit, stableIndex).
 */
export class RaftLog {
  readonly #reader: LogReader
  #unstable: Entry[] = []
  /** Lowest index whose stored entries are replaced by the next `take`; 0 = none. */
  #truncateFrom = 0
  #lastIndex: number
  #lastTerm: number
  #stableIndex: number
  #sequence = 0
  /** Acks of writes before this one speak of entries that have been replaced since. */
  #trustedFrom = 0
  #commit: number
  #handed: number
  #applied: number

  constructor(reader: LogReader, commit: number, applied: number) {
    this.#reader = reader
    this.#lastIndex = reader.lastIndex()
    const lastTerm = this.#lastIndex === 0 ? 0 : reader.term(this.#lastIndex)
    assert(lastTerm !== undefined, 'the term of the last entry is unknown')
    this.#lastTerm = lastTerm
    this.#stableIndex = this.#lastIndex
    this.#commit = commit
    this.#handed = applied
    this.#applied = applied
  }

  get lastIndex(): number {
    return this.#lastIndex
  }

  get lastTerm(): number {
    return this.#lastTerm
  }

  get stableIndex(): number {
    return this.#stableIndex
  }

  get commit(): number {
    return this.#commit
  }

  get handed(): number {
    return this.#handed
  }

  get applied(): number {
    return this.#applied
  }

  get sequence(): number {
    return this.#sequence
  }

  firstIndex(): number {
    return this.#reader.firstIndex()
  }

  /** 0 for index 0; undefined when compacted or beyond the end. */
  term(index: number): number | undefined {
    if (index === this.#lastIndex) return this.#lastTerm
    if (index === 0) return 0
    if (index > this.#lastIndex) return undefined
    const offset = index - this.#unstableFirst()
    return offset >= 0 ? this.#unstable[offset]!.term : this.#reader.term(index)
  }

  #unstableFirst(): number {
    return this.#lastIndex - this.#unstable.length + 1
  }

  /** Is a log that ends in (index, term) at least as new as this one (§3.6.1)? */
  isUpToDate(lastIndex: number, lastTerm: number): boolean {
    return (
      lastTerm > this.#lastTerm || (lastTerm === this.#lastTerm && lastIndex >= this.#lastIndex)
    )
  }

  /**
   * The largest index ≤ `index` whose term is ≤ `term`: where a log that ends so can agree with
   * this one at best. Terms never fall along a log, hence the binary search. Stops at the
   * compaction point.
   */
  lastIndexAtTerm(index: number, term: number): number {
    let low = Math.max(this.firstIndex() - 1, 0)
    let high = Math.min(index, this.#lastIndex)
    if (high < low) return index
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((this.term(middle) ?? 0) <= term) low = middle
      else high = middle - 1
    }
    return low
  }

  /**
   * Entries from ≤ index ≤ last, at least one if there is one; may stop early at the hand-over
   * point.
   */
  entries(from: number, maxBytes: number): readonly Entry[] {
    if (from > this.#lastIndex) return []
    const unstableFirst = this.#unstableFirst()
    if (from < unstableFirst) return this.#reader.entries(from, unstableFirst, maxBytes)
    const start = from - unstableFirst
    let bytes = 0
    let end = start
    while (end < this.#unstable.length) {
      bytes += entryBytes(this.#unstable[end]!)
      if (bytes > maxBytes && end > start) break
      end++
    }
    return start === 0 && end === this.#unstable.length
      ? this.#unstable
      : this.#unstable.slice(start, end)
  }

  /** Adds an entry of the leader's own; it follows the last one. */
  push(entry: Entry): void {
    assert(entry.index === this.#lastIndex + 1, 'a gap in the log', { index: entry.index })
    assert(entry.term >= this.#lastTerm, 'a term falls along the log', { term: entry.term })
    this.#unstable.push(entry)
    this.#lastIndex = entry.index
    this.#lastTerm = entry.term
  }

  /**
   * Takes over a leader's entries; the first follows a matching one. What is here already stays:
   * only a conflict truncates (§3.5), for a late or repeated append must not remove newer entries.
   */
  merge(entries: readonly Entry[]): void {
    let at = 0
    while (at < entries.length) {
      const entry = entries[at]!
      if (entry.index > this.#lastIndex) break
      if (this.term(entry.index) !== entry.term) {
        this.#truncate(entry.index)
        break
      }
      at++
    }
    for (; at < entries.length; at++) this.push(entries[at]!)
  }

  #truncate(from: number): void {
    assert(from > this.#commit, 'a committed entry would be replaced', {
      index: from,
      commit: this.#commit
    })
    const unstableFirst = this.#unstableFirst()
    const lastTerm = this.term(from - 1)
    assert(lastTerm !== undefined, 'truncated to a compacted index', { index: from })
    if (from >= unstableFirst) {
      this.#unstable.length = from - unstableFirst
    } else {
      this.#unstable.length = 0
      this.#truncateFrom = this.#truncateFrom === 0 ? from : Math.min(this.#truncateFrom, from)
    }
    this.#lastIndex = from - 1
    this.#lastTerm = lastTerm
    this.#stableIndex = Math.min(this.#stableIndex, from - 1)
  }

  hasWrite(): boolean {
    return this.#unstable.length > 0 || this.#truncateFrom > 0
  }

  /** Does the next `take` replace entries that the store has? */
  get replaces(): boolean {
    return this.#truncateFrom > 0
  }

  /**
   * Hands the tail over; from here on the store's reads see it. Every call is one write with its
   * own sequence number.
   */
  take(): LogWrite {
    const truncateFrom = this.#truncateFrom
    let entries = noEntries
    this.#sequence++
    if (truncateFrom > 0) this.#trustedFrom = this.#sequence
    this.#truncateFrom = 0
    if (this.#unstable.length > 0) {
      entries = this.#unstable
      this.#unstable = []
    }
    return { truncateFrom, entries }
  }

  /** Names the write that `take` has just handed over. */
  ack(term: number): AppendAck {
    return {
      term,
      sequence: this.#sequence,
      lastIndex: this.#lastIndex,
      lastTerm: this.#lastTerm
    }
  }

  /**
   * A write and all before it are durable. An ack of a write that a later one truncated tells
   * nothing about the present log (the same index and term may be under way a second time): the
   * later write's ack will.
   */
  stableTo(ack: AppendAck): void {
    assert(ack.sequence <= this.#sequence, 'an ack of a write that was never handed over')
    if (ack.sequence < this.#trustedFrom) return
    const index =
      this.#truncateFrom > 0 ? Math.min(ack.lastIndex, this.#truncateFrom - 1) : ack.lastIndex
    if (index <= this.#stableIndex) return
    assert(index <= this.#lastIndex, 'stable beyond the end of the log', { index })
    this.#stableIndex = index
  }

  commitTo(index: number): boolean {
    if (index <= this.#commit) return false
    assert(index <= this.#lastIndex, 'commit beyond the end of the log', {
      commit: index,
      lastIndex: this.#lastIndex
    })
    this.#commit = index
    return true
  }

  hasCommitted(): boolean {
    return Math.min(this.#commit, this.#stableIndex) > this.#handed
  }

  /** The next committed and locally durable entries, in order, each exactly once. */
  takeCommitted(maxBytes: number): readonly Entry[] {
    const to = Math.min(this.#commit, this.#stableIndex)
    if (to <= this.#handed) return []
    const entries = this.#reader.entries(this.#handed + 1, to + 1, maxBytes)
    assert(entries.length > 0, 'a committed entry is not in the log', { index: this.#handed + 1 })
    this.#handed += entries.length
    return entries
  }

  appliedTo(index: number): void {
    assert(index <= this.#handed, 'applied before it was handed out', { index })
    if (index > this.#applied) this.#applied = index
  }

  /** The whole log was replaced by a snapshot. */
  restore(index: number, term: number): void {
    assert(index >= this.#commit, 'a snapshot went back', { index, commit: this.#commit })
    this.#unstable = []
    this.#truncateFrom = 0
    this.#trustedFrom = this.#sequence + 1
    this.#lastIndex = index
    this.#lastTerm = term
    this.#stableIndex = index
    this.#commit = index
    this.#handed = index
    this.#applied = index
  }
}
