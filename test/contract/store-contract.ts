import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { GroupStore, GroupWrite, SnapshotSource } from '../../src/raft/store.ts'
import type { Entry, HardState, SnapshotMeta } from '../../src/raft/types.ts'
import { type ModelOperation, ModelStore } from './store-model.ts'
import { members } from './store-workload.ts'

/** One process's storage, opened; closed and opened again at will. */
export interface StoreHarness {
  /** A store of the process as it is open now. */
  group(name: string): Promise<GroupStore>
  /** Starts an operation and waits for its callback, driving the disk if it has to be driven. */
  run<T>(start: (done: (value: T) => void) => void): Promise<T>
  /** Stops in order and opens again. */
  reopen(): Promise<void>
  /** Dies and opens again: what was synced and answered is there, anything later may be. */
  crash(): Promise<void>
  dispose(): Promise<void>
}

const hardState: HardState = { term: 3, vote: 2, commit: 0 }

export function entry(index: number, term = 1, text = `entry ${index} of ${term}`): Entry {
  return { index, term, kind: 0, data: Buffer.from(text) }
}

export function entries(from: number, to: number, term = 1): Entry[] {
  return Array.from({ length: to - from }, (_, i) => entry(from + i, term))
}

export function rows(
  ...pairs: readonly (readonly [string, string | undefined])[]
): ReadonlyMap<string, Buffer | undefined> {
  return new Map(
    pairs.map(([key, text]) => [key, text === undefined ? undefined : Buffer.from(text)])
  )
}

export async function writeAll(
  harness: Pick<StoreHarness, 'run'>,
  store: GroupStore,
  write: GroupWrite
): Promise<void> {
  await harness.run<void>(done => store.write(write, () => done()))
}

/** Every store must pass these. */
export function describeStore(name: string, open: () => Promise<StoreHarness>): void {
  describe(`${name} as a GroupStore`, () => {
    let harness: StoreHarness
    let store: GroupStore

    beforeEach(async () => {
      harness = await open()
      store = await harness.group('set-1')
    })
    afterEach(() => harness.dispose())

    const write = (it: GroupWrite): Promise<void> => writeAll(harness, store, it)
    const reopen = async (): Promise<void> => {
      await harness.reopen()
      store = await harness.group('set-1')
    }
    const crash = async (): Promise<void> => {
      await harness.crash()
      store = await harness.group('set-1')
    }
    const text = (key: string): string | undefined => store.getState(key)?.toString('utf8')

    describe('fresh', () => {
      it('is empty and knows the term before the first entry', () => {
        expect(store.firstIndex()).toBe(1)
        expect(store.lastIndex()).toBe(0)
        expect(store.term(0)).toBe(0)
        expect(store.term(1)).toBeUndefined()
        expect(store.entries(1, 10, 1000)).toEqual([])
        expect(store.getState('a')).toBeUndefined()
        expect(store.recovered).toEqual({
          hardState: { term: 0, vote: 0, commit: 0 },
          applied: 0,
          membership: undefined,
          quarantine: undefined
        })
      })

      it('stays fresh when it is opened again', async () => {
        await reopen()
        expect(store.recovered.membership).toBeUndefined()
        expect(store.recovered.quarantine).toBeUndefined()
        expect(store.lastIndex()).toBe(0)
      })
    })

    describe('log', () => {
      it('shows appended entries at once, before they are durable', () => {
        store.write({ hardState, entries: entries(1, 4), sync: true }, () => {})
        expect(store.lastIndex()).toBe(3)
        expect(store.entries(1, 4, 1000)).toEqual(entries(1, 4))
        expect(store.term(3)).toBe(1)
      })

      it('keeps index, term, kind and data over a reopening', async () => {
        const log: Entry[] = [
          { index: 1, term: 1, kind: 1, data: Buffer.alloc(0) },
          { index: 2, term: 1, kind: 0, data: Buffer.from([0, 255, 1]) },
          { index: 3, term: 3, kind: 2, data: Buffer.alloc(70_000, 7) }
        ]
        await write({ hardState, entries: log, sync: true })
        await reopen()
        expect(store.entries(1, 4, 1e6)).toEqual(log)
        expect([0, 1, 2, 3, 4].map(i => store.term(i))).toEqual([0, 1, 1, 3, undefined])
      })

      it('gives at least one entry, then as many as fit', async () => {
        const log = Array.from({ length: 5 }, (_, i) => entry(i + 1, 1, 'x'.repeat(10)))
        await write({ hardState, entries: log, sync: true })
        expect(store.entries(2, 6, 0)).toEqual([log[1]])
        expect(store.entries(2, 6, 20)).toHaveLength(2)
        expect(store.entries(2, 6, 29)).toHaveLength(2)
        expect(store.entries(2, 4, 1000)).toHaveLength(2)
        expect(store.entries(4, 99, 1000)).toHaveLength(2)
        expect(store.entries(6, 99, 1000)).toEqual([])
      })

      it('refuses a gap and a term that goes back', async () => {
        await write({ hardState, entries: entries(1, 3, 2), sync: true })
        expect(() => store.write({ entries: entries(4, 5, 2), sync: true }, () => {})).toThrow(
          /contiguous/
        )
        expect(() => store.write({ entries: entries(3, 4, 1), sync: true }, () => {})).toThrow(
          /never go back/
        )
      })

      it('replaces a suffix, whether it was stored together, apart, or is still queued', async () => {
        for (const settle of [true, false]) {
          for (const cut of [1, 2, 3, 4, 5, 6, 7]) {
            const group = `cut-${cut}-${settle}`
            const cutStore = await harness.group(group)
            const first = { hardState, entries: entries(1, 4), sync: true }
            const second = { entries: entries(4, 7), sync: true }
            if (settle) {
              await writeAll(harness, cutStore, first)
              await writeAll(harness, cutStore, second)
            } else {
              cutStore.write(first, () => {})
              cutStore.write(second, () => {})
            }
            const tail = entries(cut, cut + 2, 3)
            await writeAll(harness, cutStore, { truncateFrom: cut, entries: tail, sync: true })
            const expected = [...entries(1, cut), ...tail]
            expect(cutStore.entries(1, 99, 1e6)).toEqual(expected)
            await harness.reopen()
            const again = await harness.group(group)
            expect(again.recovered.quarantine).toBeUndefined()
            expect(again.entries(1, 99, 1e6)).toEqual(expected)
            expect(again.term(cut)).toBe(3)
          }
        }
      })

      it('can end shorter than it was', async () => {
        await write({ hardState, entries: entries(1, 10), sync: true })
        await write({ truncateFrom: 4, sync: true })
        expect(store.lastIndex()).toBe(3)
        await reopen()
        expect(store.lastIndex()).toBe(3)
        await write({ entries: entries(4, 6, 2), sync: true })
        await reopen()
        expect(store.recovered.quarantine).toBeUndefined()
        expect(store.entries(3, 9, 1e6)).toEqual([entry(3), ...entries(4, 6, 2)])
      })

      it('never truncates what is applied', async () => {
        await write({ hardState, entries: entries(1, 4), sync: true })
        await write({ applied: 2, membership: members, sync: false })
        expect(() => store.write({ truncateFrom: 2, sync: true }, () => {})).toThrow(/applied/)
      })
    })

    describe('compaction', () => {
      const fill = async (): Promise<void> => {
        for (let index = 1; index <= 9; index++) {
          await write({ hardState, entries: [entry(index, 1 + (index >> 2))], sync: true })
        }
        await write({ applied: 8, membership: members, sync: false })
      }

      it('drops entries below and keeps the term just before', async () => {
        await fill()
        await write({ compactTo: 6, sync: false })
        expect(store.firstIndex()).toBe(6)
        expect(store.term(5)).toBe(2)
        expect(store.term(4)).toBeUndefined()
        expect(store.entries(1, 99, 1e6)).toEqual([
          entry(6, 2),
          entry(7, 2),
          entry(8, 3),
          entry(9, 3)
        ])
        await reopen()
        expect(store.recovered.quarantine).toBeUndefined()
        expect(store.firstIndex()).toBe(6)
        expect(store.term(5)).toBe(2)
        expect(store.lastIndex()).toBe(9)
      })

      it('goes on from a log compacted as far as it goes', async () => {
        await fill()
        await write({ applied: 9, compactTo: 10, sync: true })
        expect(store.firstIndex()).toBe(10)
        expect(store.lastIndex()).toBe(9)
        expect(store.term(9)).toBe(3)
        await write({ entries: [entry(10, 3)], sync: true })
        await reopen()
        expect(store.recovered.quarantine).toBeUndefined()
        expect(store.entries(1, 99, 1e6)).toEqual([entry(10, 3)])
      })

      it('takes an older point than the start without complaint', async () => {
        await fill()
        await write({ compactTo: 6, sync: false })
        await write({ compactTo: 2, sync: false })
        expect(store.firstIndex()).toBe(6)
      })

      it('refuses to drop what is not applied', async () => {
        await fill()
        expect(() => store.write({ compactTo: 10, sync: false }, () => {})).toThrow(/applied/)
      })
    })

    describe('rows', () => {
      beforeEach(() => write({ hardState, entries: entries(1, 10), sync: true }))

      it('shows writes at once, and the last one wins', () => {
        store.write({ rows: rows(['a', '1'], ['b', '2']), applied: 1, sync: false }, () => {})
        store.write({ rows: rows(['a', undefined], ['b', '3']), applied: 2, sync: false }, () => {})
        expect(text('a')).toBeUndefined()
        expect(text('b')).toBe('3')
      })

      it('shows them while they are being written, too', async () => {
        let written = false
        store.write({ rows: rows(['a', '1'], ['b', '2']), applied: 1, sync: true }, () => {
          written = true
        })
        for (let i = 0; i < 5; i++) await Promise.resolve()
        expect(written).toBe(false)
        expect([text('a'), text('b')]).toEqual(['1', '2'])
        store.write({ rows: rows(['a', undefined]), applied: 2, sync: true }, () => {})
        expect([text('a'), text('b')]).toEqual([undefined, '2'])
        await write({ sync: true })
        expect([text('a'), text('b')]).toEqual([undefined, '2'])
      })

      it('keeps rows and applied index over a reopening', async () => {
        const keys = ['plain', 'ключ', '鍵', '\u0000\u0001', 'x'.repeat(3000)]
        await write({
          rows: new Map(keys.map(key => [key, Buffer.from(`of ${key}`)])),
          applied: 3,
          membership: members,
          sync: false
        })
        await write({ rows: rows(['plain', undefined], ['empty', '']), applied: 4, sync: true })
        await reopen()
        expect(store.recovered.applied).toBe(4)
        expect(store.recovered.membership).toEqual(members)
        expect(text('plain')).toBeUndefined()
        expect(text('empty')).toBe('')
        for (const key of keys.slice(1)) expect(text(key)).toBe(`of ${key}`)
      })

      it('refuses an applied index that goes back or past the log', async () => {
        await write({ applied: 5, sync: false })
        expect(() => store.write({ applied: 4, sync: false }, () => {})).toThrow(/applied/)
        expect(() => store.write({ applied: 10, sync: false }, () => {})).toThrow(/applied/)
      })

      it('restores a commit index that is not below applied', async () => {
        await write({ applied: 5, sync: true })
        await reopen()
        expect(store.recovered.hardState).toEqual({ ...hardState, commit: 5 })
      })
    })

    describe('completion', () => {
      it('runs callbacks later and in the order of the calls, over all groups', async () => {
        const other = await harness.group('set-2')
        const order: number[] = []
        await harness.run<void>(done => {
          store.write({ hardState, entries: entries(1, 2), sync: true }, () => order.push(1))
          other.write({ hardState, entries: entries(1, 2), sync: false }, () => order.push(2))
          store.write({ entries: entries(2, 3), sync: false }, () => order.push(3))
          other.write({ entries: entries(2, 3), sync: true }, () => {
            order.push(4)
            done()
          })
          expect(order).toEqual([])
        })
        expect(order).toEqual([1, 2, 3, 4])
      })

      it('takes writes from a callback', async () => {
        await harness.run<void>(done => {
          store.write({ hardState, entries: entries(1, 2), sync: true }, () => {
            store.write({ entries: entries(2, 3), sync: true }, () => done())
          })
        })
        await reopen()
        expect(store.lastIndex()).toBe(2)
      })

      it('keeps groups apart', async () => {
        const other = await harness.group('set-10')
        await write({ hardState, entries: entries(1, 5), sync: true })
        await writeAll(harness, other, { hardState, entries: entries(1, 3), sync: true })
        await write({ rows: rows(['a', 'mine']), applied: 1, sync: false })
        await writeAll(harness, other, { rows: rows(['a', 'other']), applied: 2, sync: false })
        await reopen()
        const otherAgain = await harness.group('set-10')
        expect(store.lastIndex()).toBe(4)
        expect(otherAgain.lastIndex()).toBe(2)
        expect(text('a')).toBe('mine')
        expect(String(otherAgain.getState('a'))).toBe('other')
      })

      it('has after a crash what was synced', async () => {
        await write({ hardState, entries: entries(1, 5), sync: true })
        store.write({ entries: entries(5, 9), sync: true }, () => {})
        await crash()
        expect(store.recovered.quarantine).toBeUndefined()
        expect(store.recovered.hardState).toEqual(hardState)
        expect([4, 8]).toContain(store.lastIndex())
        expect(store.entries(1, 5, 1e6)).toEqual(entries(1, 5))
      })
    })

    describe('snapshot', () => {
      const fill = async (count: number): Promise<void> => {
        const all = Array.from({ length: count }, (_, i): [string, Buffer] => [
          `key-${String(i).padStart(5, '0')}`,
          Buffer.from(`value ${i} ${'.'.repeat(i % 50)}`)
        ])
        await write({ hardState, entries: entries(1, 11), sync: true })
        await write({ rows: new Map(all), applied: 7, membership: members, sync: false })
      }
      const meta: SnapshotMeta = { index: 20, term: 3, membership: members }
      const drain = (source: SnapshotSource, maxBytes: number): Promise<Buffer[]> =>
        drainSnapshot(harness, source, maxBytes)

      it('is frozen when it is opened, queued writes included', async () => {
        await fill(20)
        store.write(
          {
            rows: rows(['key-00001', 'queued'], ['key-00002', undefined]),
            applied: 8,
            sync: false
          },
          () => {}
        )
        const source = store.openSnapshot()
        store.write(
          { rows: rows(['key-00003', 'late'], ['later', 'late']), applied: 9, sync: false },
          () => {}
        )
        expect(source.meta).toEqual({ index: 8, term: 1, membership: members })
        const chunks = await drain(source, 100)
        source.close()
        store.beginInstall(meta, 5)
        chunks.forEach((chunk, i) => {
          store.installChunk(i, chunk)
        })
        await harness.run<void>(done => store.finishInstall(hardState, () => done()))
        expect(text('key-00001')).toBe('queued')
        expect(text('key-00002')).toBeUndefined()
        expect(text('key-00003')).toBe('value 3 ...')
        expect(text('later')).toBeUndefined()
      })

      it('comes in chunks of about the size asked for, and a large row is one chunk', async () => {
        await fill(500)
        const big = Buffer.alloc(10_000, 'x')
        await write({ rows: new Map([['key-00100x', big]]), applied: 8, sync: false })
        const source = store.openSnapshot()
        const chunks = await drain(source, 1000)
        source.close()
        const large = chunks.filter(chunk => chunk.length > 1100)
        expect(large).toHaveLength(1)
        expect(chunks.length).toBeGreaterThan(10)
      })

      it('of an empty state is one empty last chunk', async () => {
        await write({ hardState, entries: entries(1, 3), sync: true })
        await write({ applied: 1, membership: members, sync: false })
        const source = store.openSnapshot()
        expect(Buffer.concat(await drain(source, 1000))).toHaveLength(0)
        source.close()
      })

      it('replaces rows, log, membership and hard state at once', async () => {
        await fill(300)
        const target = await harness.group('behind')
        await writeAll(harness, target, { hardState, entries: entries(1, 40), sync: true })
        await writeAll(harness, target, {
          rows: rows(['old', 'row'], ['key-00001', 'old']),
          applied: 2,
          membership: { voters: [9], outgoing: [], learners: [] },
          sync: false
        })
        const source = store.openSnapshot()
        const chunks = await drain(source, 2000)
        source.close()
        expect(target.beginInstall(meta, 77)).toBe(0)
        chunks.forEach((chunk, i) => {
          target.installChunk(i, chunk)
        })
        expect(target.getState('old')).toBeDefined()
        const newHard = { term: 4, vote: 0, commit: 20 }
        target.finishInstall(newHard, () => {})
        const check = (it: GroupStore): void => {
          expect(it.getState('old')).toBeUndefined()
          expect(String(it.getState('key-00001'))).toBe('value 1 .')
          expect(String(it.getState('key-00299'))).toBe(`value 299 ${'.'.repeat(49)}`)
          expect(it.firstIndex()).toBe(21)
          expect(it.lastIndex()).toBe(20)
          expect(it.term(20)).toBe(3)
          expect(it.term(19)).toBeUndefined()
        }
        check(target)
        await writeAll(harness, target, { entries: entries(21, 23, 4), sync: true })
        await writeAll(harness, target, { rows: rows(['new', '1']), applied: 21, sync: true })
        await harness.reopen()
        const again = await harness.group('behind')
        expect(again.recovered).toEqual({
          hardState: { ...newHard, commit: 21 },
          applied: 21,
          membership: members,
          quarantine: undefined
        })
        expect(again.entries(1, 99, 1e6)).toEqual(entries(21, 23, 4))
        expect(String(again.getState('new'))).toBe('1')
        expect(String(again.getState('key-00001'))).toBe('value 1 .')
        expect(again.getState('old')).toBeUndefined()
      })

      it('resumes the very same one, also after a reopening, and no other', async () => {
        await fill(100)
        const source = store.openSnapshot()
        const chunks = await drain(source, 500)
        source.close()
        expect(store.beginInstall(meta, 1)).toBe(0)
        store.installChunk(0, chunks[0]!)
        store.installChunk(1, chunks[1]!)
        expect(store.beginInstall(meta, 1)).toBe(2)
        expect(store.beginInstall({ ...meta, index: 21 }, 1)).toBe(0)
        expect(store.beginInstall(meta, 1)).toBe(0)
        store.installChunk(0, chunks[0]!)
        store.installChunk(1, chunks[1]!)
        store.installChunk(2, chunks[2]!)
        await write({ applied: 8, sync: true })
        await reopen()
        expect(store.recovered.applied).toBe(8)
        expect(store.beginInstall(meta, 1)).toBe(3)
        for (let i = 3; i < chunks.length; i++) store.installChunk(i, chunks[i]!)
        await harness.run<void>(done => store.finishInstall(hardState, () => done()))
        for (let i = 0; i < 100; i++) {
          expect(text(`key-${String(i).padStart(5, '0')}`)).toBe(`value ${i} ${'.'.repeat(i % 50)}`)
        }
        expect(store.beginInstall({ ...meta, index: 30 }, 2)).toBe(0)
      })

      it('refuses chunks out of order and malformed ones, and is no worse for it', async () => {
        await fill(10)
        const source = store.openSnapshot()
        const [chunk] = await drain(source, 100_000)
        source.close()
        store.beginInstall(meta, 1)
        expect(() => store.installChunk(1, chunk!)).toThrow(/in order/)
        const malformed = chunk!.subarray(0, chunk!.length - 1)
        expect(() => store.installChunk(0, malformed)).toThrow(
          expect.objectContaining({ code: 'DATA_DAMAGED' })
        )
        store.installChunk(0, chunk!)
        await harness.run<void>(done => store.finishInstall(hardState, () => done()))
        expect(text('key-00009')).toBe('value 9 .........')
      })

      it('leaves old or new state whole when the process dies at any step', async () => {
        const chunkCount = 4
        for (let step = 0; step <= chunkCount + 2; step++) {
          const group = `install-${step}`
          let target = await harness.group(group)
          await writeAll(harness, target, { hardState, entries: entries(1, 30), sync: true })
          await writeAll(harness, target, {
            rows: rows(['a', 'old'], ['b', 'old']),
            applied: 9,
            membership: members,
            sync: true
          })
          const chunks = Array.from({ length: chunkCount }, (_, i) =>
            Buffer.from([1, 97 + i, 3, 110, 101, 119])
          )
          if (step > 0) target.beginInstall(meta, 3)
          for (let i = 0; i < Math.min(step - 1, chunkCount); i++) {
            target.installChunk(i, chunks[i]!)
          }
          const finishing = step === chunkCount + 2
          if (finishing) await harness.run<void>(done => target.finishInstall(hardState, done))
          else await writeAll(harness, target, { applied: 10, sync: step % 2 === 0 })
          await harness.crash()
          target = await harness.group(group)
          expect(target.recovered.quarantine).toBeUndefined()
          const state = ['a', 'b', 'c', 'd'].map(key => target.getState(key)?.toString())
          if (finishing) {
            expect(state).toEqual(['new', 'new', 'new', 'new'])
            expect([target.firstIndex(), target.lastIndex()]).toEqual([21, 20])
          } else {
            expect(state).toEqual(['old', 'old', undefined, undefined])
            expect([target.firstIndex(), target.lastIndex()]).toEqual([1, 29])
          }
        }
      })

      it('can be closed while a chunk is being read', async () => {
        await fill(50)
        const source = store.openSnapshot()
        let called = false
        source.next(100, () => {
          called = true
        })
        source.close()
        source.close()
        await write({ applied: 8, sync: true })
        expect(called).toBe(false)
      })
    })

    it('behaves like the model under any sequence of operations', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(operation, { maxLength: 40 }), async operations => {
          const fresh = await open()
          try {
            await runAgainstModel(fresh, operations)
          } finally {
            await fresh.dispose()
          }
        }),
        { numRuns: 30 }
      )
    }, 60_000)
  })
}

export async function drainSnapshot(
  harness: Pick<StoreHarness, 'run'>,
  source: SnapshotSource,
  maxBytes: number
): Promise<Buffer[]> {
  const chunks: Buffer[] = []
  for (;;) {
    const chunk = await harness.run<{ data: Buffer; last: boolean }>(done =>
      source.next(maxBytes, done)
    )
    chunks.push(chunk.data)
    if (chunk.last) return chunks
  }
}

type Operation = ModelOperation | { do: 'settle' | 'reopen' }

const operation: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    do: fc.constant('append' as const),
    count: fc.integer({ min: 1, max: 6 }),
    bytes: fc.integer({ min: 0, max: 60 }),
    newTerm: fc.boolean()
  }),
  fc.record({ do: fc.constant('truncate' as const), back: fc.integer({ min: 0, max: 8 }) }),
  fc.record({
    do: fc.constant('apply' as const),
    count: fc.integer({ min: 0, max: 4 }),
    key: fc.integer({ min: 0, max: 5 }),
    delete: fc.boolean()
  }),
  fc.record({ do: fc.constant('compact' as const), keep: fc.integer({ min: 0, max: 4 }) }),
  fc.record({ do: fc.constantFrom('settle' as const, 'reopen' as const) })
)

async function runAgainstModel(
  harness: StoreHarness,
  operations: readonly Operation[]
): Promise<void> {
  let store = await harness.group('g')
  const model = new ModelStore()
  for (const it of operations) {
    switch (it.do) {
      case 'settle':
        await writeAll(harness, store, { sync: true })
        break
      case 'reopen':
        await writeAll(harness, store, { sync: true })
        await harness.reopen()
        store = await harness.group('g')
        model.checkRecovered(store)
        break
      default: {
        const write = model.next(it)
        if (write !== undefined) store.write(write, () => {})
      }
    }
    model.check(store)
  }
}
