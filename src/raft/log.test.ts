import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RaftLog } from './log.ts'
import type { LogReader } from './raft-api.ts'
import type { Entry } from './types.ts'

/** A store that takes over what the log hands out. */
class Store implements LogReader {
  list: Entry[] = []

  firstIndex(): number {
    return 1
  }

  lastIndex(): number {
    return this.list.length
  }

  term(index: number): number | undefined {
    return this.list[index - 1]?.term
  }

  entries(from: number, to: number): Entry[] {
    return this.list.slice(from - 1, to - 1)
  }

  take(log: RaftLog): void {
    const { truncateFrom, entries } = log.take()
    if (truncateFrom > 0) this.list.length = truncateFrom - 1
    for (const entry of entries) {
      expect(entry.index).toBe(this.list.length + 1)
      this.list.push(entry)
    }
  }
}

function entriesOf(first: number, terms: readonly number[]): Entry[] {
  return terms.map((term, at) => ({
    index: first + at,
    term,
    kind: 0,
    data: Buffer.from(`${term}`)
  }))
}

function logOf(terms: readonly number[], commit = 0): { log: RaftLog; store: Store } {
  const store = new Store()
  store.list = entriesOf(1, terms)
  return { log: new RaftLog(store, commit, 0), store }
}

function termsOf(log: RaftLog): number[] {
  return Array.from({ length: log.lastIndex }, (_, at) => log.term(at + 1) ?? -1)
}

describe('Raft log', () => {
  it('finds where two logs can agree at best, like a walk back by hand (18, 29)', () => {
    const terms = fc.array(fc.nat(5), { maxLength: 20 }).map(list => list.sort((a, b) => a - b))
    fc.assert(
      fc.property(terms, fc.nat(25), fc.nat(6), (list, index, term) => {
        const { log } = logOf(list)
        let expected = Math.min(index, list.length)
        while (expected > 0 && list[expected - 1]! > term) expected--
        expect(log.lastIndexAtTerm(index, term)).toBe(expected)
      }),
      { numRuns: 5_000 }
    )
  })

  it('merges like the paper: only a conflict truncates (19, 20)', () => {
    const sorted = fc.array(fc.integer({ min: 1, max: 4 }), { maxLength: 8 })
    fc.assert(
      fc.property(sorted, sorted, fc.nat(8), fc.boolean(), (a, b, at, handed) => {
        const mine = [...a].sort((x, y) => x - y)
        const { log, store } = logOf(handed ? mine : [])
        if (!handed) for (const entry of entriesOf(1, mine)) log.push(entry)
        const prev = Math.min(at, mine.length)
        const prevTerm = mine[prev - 1] ?? 0
        const theirs = [...b].sort((x, y) => x - y).map(term => Math.max(term, prevTerm))
        log.merge(entriesOf(prev + 1, theirs))
        let conflict = 0
        while (conflict < theirs.length && mine[prev + conflict] === theirs[conflict]) conflict++
        const expected =
          conflict === theirs.length
            ? mine
            : [...mine.slice(0, prev + conflict), ...theirs.slice(conflict)]
        expect(termsOf(log)).toEqual(expected)
        store.take(log)
        expect(store.list.map(entry => entry.term)).toEqual(expected)
      }),
      { numRuns: 5_000 }
    )
  })

  it('refuses to replace a committed entry (20)', () => {
    const { log } = logOf([1, 1, 1], 2)
    expect(() => log.merge(entriesOf(2, [2]))).toThrow('a committed entry would be replaced')
    log.merge(entriesOf(3, [2]))
    expect(termsOf(log)).toEqual([1, 1, 2])
  })

  it('refuses gaps, falling terms and a commit beyond its end', () => {
    const { log } = logOf([2])
    expect(() => log.push(entriesOf(3, [2])[0]!)).toThrow('a gap')
    expect(() => log.push(entriesOf(2, [1])[0]!)).toThrow('a term falls')
    expect(() => log.commitTo(2)).toThrow('commit beyond')
  })

  it('believes only acks of writes that nothing has truncated since (33, 34)', () => {
    const { log, store } = logOf([1])
    const acks = []
    for (const terms of [[1], [2], [2, 2]]) {
      log.merge(entriesOf(2, terms))
      store.take(log)
      acks.push(log.ack(2))
    }
    log.stableTo(acks[0]!)
    expect(log.stableIndex).toBe(1)
    // Not the last write, but the last that truncated: entry 2 is safe.
    log.stableTo(acks[1]!)
    expect(log.stableIndex).toBe(2)
    log.stableTo(acks[2]!)
    expect(log.stableIndex).toBe(3)
  })

  it('does not believe an ack about entries that are about to be truncated', () => {
    const { log, store } = logOf([1])
    log.merge(entriesOf(2, [1, 1]))
    store.take(log)
    const ack = log.ack(1)
    log.merge(entriesOf(3, [2]))
    log.stableTo(ack)
    expect(log.stableIndex).toBe(2)
  })

  it('hands out committed entries once, and only durable ones (35)', () => {
    const { log, store } = logOf([])
    for (const entry of entriesOf(1, [1, 1, 1])) log.push(entry)
    store.take(log)
    const ack = log.ack(1)
    log.commitTo(2)
    expect(log.takeCommitted(1_000)).toEqual([])
    log.stableTo(ack)
    expect(log.takeCommitted(1_000).map(entry => entry.index)).toEqual([1, 2])
    expect(log.takeCommitted(1_000)).toEqual([])
    log.commitTo(3)
    expect(log.takeCommitted(1_000).map(entry => entry.index)).toEqual([3])
  })

  it('does not let a handed-out list grow', () => {
    const { log, store } = logOf([])
    const write = log.take()
    log.push(entriesOf(1, [1])[0]!)
    expect(write.entries).toEqual([])
    const sent = log.entries(1, 1_000)
    store.take(log)
    log.push(entriesOf(2, [1])[0]!)
    expect(sent).toHaveLength(1)
  })
})
