import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RowPage, RowRange } from '../../src/raft/store.ts'
import { entries, rows, type StoreHarness, writeAll } from './store-contract.ts'
import { members } from './store-workload.ts'

const everything = { after: '', before: '\u{10ffff}' }

/** What a store must give that is asked for a range of rows. */
export function describeRanges(name: string, open: () => Promise<StoreHarness>): void {
  describe(`ranges of rows in ${name}`, () => {
    let harness: StoreHarness
    beforeEach(async () => {
      harness = await open()
    })
    afterEach(() => harness.dispose())

    let applied = 0
    const put = async (
      group: string,
      pairs: readonly (readonly [string, string | undefined])[]
    ): Promise<void> => {
      const store = await harness.group(group)
      const first = store.lastIndex() + 1
      applied = first
      await writeAll(harness, store, {
        hardState: { term: 1, vote: 1, commit: 0 },
        entries: entries(first, first + 1),
        rows: rows(...pairs),
        applied,
        membership: members,
        sync: true
      })
    }
    const read = async (group: string, range: RowRange): Promise<RowPage> => {
      const store = await harness.group(group)
      return harness.run<RowPage>(done => store.readRange(range, done))
    }
    const all = async (group: string, maxBytes: number): Promise<[string, string][]> => {
      const found: [string, string][] = []
      for (let after = ''; ; ) {
        const page = await read(group, { ...everything, after, maxBytes })
        for (const [key, value] of page.rows) found.push([key, value.toString()])
        if (!page.more) return found
        after = page.rows.at(-1)![0]
      }
    }

    it('gives rows strictly between two keys, in the order of their bytes', async () => {
      await put('g', [
        ['b/2', 'two'],
        ['a', 'a'],
        ['b/10', 'ten'],
        ['b0', 'behind'],
        ['b/ü', 'late']
      ])
      const page = await read('g', { after: 'b/', before: 'b0', maxBytes: 1_000 })
      expect(page.rows.map(([key]) => key)).toEqual(['b/10', 'b/2', 'b/ü'])
      expect(page.more).toBe(false)
      const rest = await read('g', { after: 'b/10', before: 'b/2', maxBytes: 1_000 })
      expect(rest).toEqual({ rows: [], more: false })
    })

    it('sees what was just handed in, and deletions, whether or not it is on the disk', async () => {
      await put('g', [
        ['a', 'old'],
        ['b', 'gone'],
        ['c', 'stays']
      ])
      await harness.reopen()
      const store = await harness.group('g')
      const first = store.lastIndex() + 1
      store.write(
        {
          entries: entries(first, first + 1),
          rows: rows(['a', 'new'], ['b', undefined], ['bb', 'fresh']),
          applied: first,
          sync: false
        },
        () => {}
      )
      expect(await all('g', 1_000)).toEqual([
        ['a', 'new'],
        ['bb', 'fresh'],
        ['c', 'stays']
      ])
    })

    it('does not mix groups', async () => {
      await put('g', [['a', 'g']])
      await put('h', [['a', 'h']])
      expect(await all('g', 1_000)).toEqual([['a', 'g']])
    })

    it('pages give every row once, whatever their size, and a page with more has a row', async () => {
      const key = fc.stringMatching(/^[a-c/]{1,3}$/)
      const pairs = fc.uniqueArray(fc.tuple(key, fc.string({ maxLength: 40 })), {
        maxLength: 30,
        selector: ([name]) => name
      })
      let group = 0
      await fc.assert(
        fc.asyncProperty(pairs, pairs, fc.integer({ min: 1, max: 90 }), async (a, b, maxBytes) => {
          const own = `g${group++}`
          await put(own, a)
          await put(own, [...b, ...a.slice(0, 3).map(([name]) => [name, undefined] as const)])
          const expected = new Map<string, string>([...a, ...b])
          for (const [name] of a.slice(0, 3)) expected.delete(name)
          const sorted = [...expected].sort(([x], [y]) => (x < y ? -1 : 1))
          expect(await all(own, maxBytes)).toEqual(sorted)
        }),
        { numRuns: 25 }
      )
    })
  })
}
