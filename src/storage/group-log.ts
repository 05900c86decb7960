import { ByteArena } from '../base/byte-arena.ts'
import { assert } from '../base/errors.ts'
import type { Entry } from '../raft/types.ts'
import { chainOf, encodeRecord, type LogRecord, packedBytes } from './log-record.ts'
import type { LogStart } from './state-codec.ts'

/** A log record that was handed to the database. */
interface StoredRecord {
  readonly first: number
  readonly last: number
  readonly chain: number
}

/** Entries of one term that follow each other; a log has few. */
interface TermRun {
  readonly first: number
  readonly term: number
}

/** What the next batch must do to the log's keys: first the deletions, then the records. */
export interface StagedRecords {
  readonly deletes: readonly number[]
  readonly records: readonly { readonly first: number; readonly value: Buffer }[]
}

/** Entries of one record at most, so that reading one of them never unpacks megabytes. */
const recordLimitBytes = 1024 * 1024
const entryOverheadBytes = 64

/**
 * The log of one group as it will be once everything queued is written: where each entry stands, the term of each, and the newest
 * entries themselves. Entries are packed only when a batch is built, so appends that wait for the disk become one record.
 *
 *     start │ stored records (written, or in the batch under way) │ entries still to be packed │
 *                                            └──────────── tail, in memory ───────────────────┘
 */
export class GroupLog {
  #start: LogStart
  #records: StoredRecord[] = []
  #runs: TermRun[] = []
  #tail: Entry[] = []
  #tailFirst: number
  #tailBytes = 0
  /** Entries stay for hours where little happens. */
  readonly #arena = new ByteArena()
  #last: number
  /** The first entry that is in no record yet. */
  #packFrom: number
  /** Everything up to here can be read back from the database. */
  #written: number
  #deletes: number[] = []
  #unpacked: LogRecord | undefined
  readonly #tailLimitBytes: number
  readonly #load: (first: number) => LogRecord

  /** @param load reads a stored record back, throwing when it is damaged. */
  constructor(start: LogStart, tailLimitBytes: number, load: (first: number) => LogRecord) {
    this.#start = start
    this.#last = start.index
    this.#packFrom = start.index + 1
    this.#written = start.index
    this.#tailFirst = start.index + 1
    this.#tailLimitBytes = tailLimitBytes
    this.#load = load
  }

  get start(): LogStart {
    return this.#start
  }

  /** Of the newest record. */
  get chain(): number {
    return this.#records.at(-1)?.chain ?? this.#start.chain
  }

  /** Whether `staged` has something to do. */
  get dirty(): boolean {
    return this.#packFrom <= this.#last || this.#deletes.length > 0
  }

  firstIndex(): number {
    return this.#start.index + 1
  }

  lastIndex(): number {
    return this.#last
  }

  term(index: number): number | undefined {
    if (index === this.#start.index) return this.#start.term
    if (index < this.#start.index || index > this.#last) return undefined
    let low = 0
    let high = this.#runs.length - 1
    if (this.#runs[high]!.first <= index) return this.#runs[high]!.term
    while (low < high) {
      const middle = (low + high + 1) >>> 1
      if (this.#runs[middle]!.first <= index) low = middle
      else high = middle - 1
    }
    return this.#runs[low]!.term
  }

  /** Entries from ≤ index < to, at least one, then as many as fit `maxBytes` of data. */
  entries(from: number, to: number, maxBytes: number): Entry[] {
    const end = Math.min(to, this.#last + 1)
    const found: Entry[] = []
    let bytes = 0
    for (let index = Math.max(from, this.firstIndex()); index < end; index++) {
      const entry = this.#entry(index)
      bytes += entry.data.length
      if (bytes > maxBytes && found.length > 0) break
      found.push(entry)
    }
    return found
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.#last + 1, 'appended entries are contiguous', {
        index: entry.index,
        last: this.#last
      })
      this.#push(entry)
    }
    this.#trimTail()
  }

  /** Takes over a record found in the database at opening. */
  restore(record: LogRecord): void {
    const first = record.entries[0]!.index
    for (const entry of record.entries) this.#push(entry)
    this.#records.push({ first, last: this.#last, chain: record.chain })
    this.#packFrom = this.#last + 1
    this.#written = this.#last
    this.#trimTail()
  }

  /** Damaged records at and after the end of what was restored: to be deleted before anything is appended. */
  discard(firsts: readonly number[]): void {
    this.#deletes.push(...firsts)
  }

  /** Drops every entry with this index or a higher one. The record that straddles it is packed again. */
  truncate(from: number): void {
    if (from > this.#last) return
    assert(from > this.#start.index, 'truncation stays above the start of the log', {
      from,
      start: this.#start.index
    })
    if (from < this.#packFrom) this.#unpack(from)
    this.#tail.length = Math.max(0, from - this.#tailFirst)
    this.#tailBytes = this.#tail.reduce((sum, entry) => sum + heldBytes(entry), 0)
    this.#last = from - 1
    while (this.#runs.length > 0 && this.#runs.at(-1)!.first >= from) this.#runs.pop()
  }

  /** Drops the whole records below `index`; returns how many. */
  compact(index: number): number {
    let dropped = 0
    while (dropped < this.#records.length && this.#records[dropped]!.last < index) dropped++
    const newest = this.#records[dropped - 1]
    if (newest === undefined) return 0
    const term = this.term(newest.last)
    assert(term !== undefined, 'a stored record has a term')
    this.#start = { index: newest.last, term, chain: newest.chain }
    this.#records.splice(0, dropped)
    // Dropping from the front of an array costs its length, so a few dead entries wait for more.
    const dead = newest.last - this.#tailFirst + 1
    if (dead * 4 >= this.#tail.length) this.#dropTail(dead)
    let runs = 0
    while (runs + 1 < this.#runs.length && this.#runs[runs + 1]!.first <= newest.last + 1) runs++
    this.#runs.splice(0, runs)
    if (this.#last === newest.last) this.#runs = []
    return dropped
  }

  /** An empty log that starts after `index`. */
  reset(index: number, term: number): void {
    for (const record of this.#records) {
      if (record.first > index) this.#deletes.push(record.first)
    }
    this.#start = { index, term, chain: 0 }
    this.#records = []
    this.#runs = []
    this.#tail = []
    this.#tailBytes = 0
    this.#tailFirst = index + 1
    this.#last = index
    this.#packFrom = index + 1
    this.#written = index
    this.#unpacked = undefined
  }

  /** Packs what is not packed yet. The records count as stored from now on, but can be read back only after `wrote`. */
  stage(): StagedRecords {
    const deletes = this.#deletes
    const records: { first: number; value: Buffer }[] = []
    this.#deletes = []
    const end = this.#tail.length
    let from = this.#packFrom - this.#tailFirst
    while (from < end) {
      let to = from + 1
      let bytes = packedBytes(this.#tail[from]!)
      while (to < end && bytes + packedBytes(this.#tail[to]!) <= recordLimitBytes) {
        bytes += packedBytes(this.#tail[to]!)
        to++
      }
      const first = this.#tailFirst + from
      const value = encodeRecord(this.#tail, from, to, this.chain)
      records.push({ first, value })
      this.#records.push({ first, last: this.#tailFirst + to - 1, chain: chainOf(value) })
      from = to
    }
    this.#packFrom = this.#last + 1
    return { deletes, records }
  }

  /** The staged records are in the database. What was truncated meanwhile is to be packed again and so not among them. */
  wrote(): void {
    this.#written = this.#packFrom - 1
    this.#trimTail()
  }

  #push(entry: Entry): void {
    const run = this.#runs.at(-1)
    const before = run?.term ?? this.#start.term
    assert(entry.term >= before, 'terms in the log never go back', { term: entry.term, before })
    if (run === undefined || run.term !== entry.term) {
      this.#runs.push({ first: entry.index, term: entry.term })
    }
    const { index, term, kind } = entry
    this.#tail.push({ index, term, kind, data: this.#arena.keep(entry.data) })
    this.#tailBytes += heldBytes(entry)
    this.#last = entry.index
  }

  /** Gives up the records that hold `from` and later; entries below it in the first of them go back to the tail. */
  #unpack(from: number): void {
    const at = this.#recordOf(from)
    const first = this.#records[at]!.first
    if (first < this.#tailFirst) {
      this.#tail = this.entries(first, from, Number.POSITIVE_INFINITY)
      this.#tailFirst = first
    }
    for (let i = at; i < this.#records.length; i++) this.#deletes.push(this.#records[i]!.first)
    this.#records.length = at
    this.#packFrom = first
    this.#written = Math.min(this.#written, first - 1)
    this.#unpacked = undefined
  }

  #entry(index: number): Entry {
    if (index >= this.#tailFirst) return this.#tail[index - this.#tailFirst]!
    const { first, last } = this.#records[this.#recordOf(index)]!
    if (this.#unpacked?.entries[0]?.index !== first) this.#unpacked = this.#load(first)
    const { entries } = this.#unpacked
    assert(entries.length > last - first, 'a stored record holds the entries it should', { first })
    return entries[index - first]!
  }

  /** Position of the record that holds a stored entry. */
  #recordOf(index: number): number {
    let low = 0
    let high = this.#records.length - 1
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#records[middle]!.last < index) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Lets go of the oldest entries over the limit, but never of one that cannot be read back; a quarter at once. */
  #trimTail(): void {
    if (this.#tailBytes <= this.#tailLimitBytes) return
    let bytes = this.#tailBytes
    let count = 0
    while (
      bytes > this.#tailLimitBytes * 0.75 &&
      this.#tailFirst + count <= this.#written &&
      count < this.#tail.length
    ) {
      bytes -= heldBytes(this.#tail[count]!)
      count++
    }
    this.#dropTail(count)
  }

  #dropTail(count: number): void {
    if (count <= 0) return
    for (const entry of this.#tail.splice(0, count)) this.#tailBytes -= heldBytes(entry)
    this.#tailFirst += count
  }
}

function heldBytes(entry: Entry): number {
  return entry.data.length + entryOverheadBytes
}
