import { describe, expect, it } from 'vitest'
import type { RingsetError } from '../base/errors.ts'
import { noMetrics, silentLog } from '../base/ports.ts'
import { type BatchSource, DiskWriter } from './disk-writer.ts'
import type { MetaFile } from './meta-file.ts'
import type { Sweeper } from './sweeper.ts'
import type { Level, WriteBatch } from './write-batch.ts'

interface FakeWrite {
  readonly keys: string[]
  readonly sync: boolean
  finish(): void
  fail(error: Error): void
}

/** A LevelDB whose writes complete when the test says so. */
class FakeLevel {
  readonly writes: FakeWrite[] = []

  batch() {
    const keys: string[] = []
    return {
      put: (key: Buffer) => void (key[0] !== 2 && keys.push(key.toString())),
      del: (key: Buffer) => void keys.push(`-${key}`),
      write: ({ sync }: { sync: boolean }) =>
        new Promise<void>((finish, fail) => this.writes.push({ keys, sync, finish, fail }))
    }
  }
}

class Source implements BatchSource {
  #queued: string[] = []
  metaFirst = false
  wroteCount = 0

  add(key: string): this {
    this.#queued.push(key)
    return this
  }

  stage(batch: WriteBatch): void {
    for (const key of this.#queued.splice(0)) batch.put(Buffer.from(key), Buffer.alloc(1))
    if (this.metaFirst) batch.metaFirst = true
  }

  wrote(): void {
    this.wroteCount++
  }

  digest(): number {
    return 0
  }
}

function setUp() {
  const level = new FakeLevel()
  const metaWrites: (() => void)[] = []
  const failures: RingsetError[] = []
  const meta = { write: (done: () => void) => metaWrites.push(done) } as unknown as MetaFile
  const writer = new DiskWriter(
    {
      level: level as unknown as Level,
      meta,
      sweeper: { add() {} } as unknown as Sweeper,
      log: silentLog,
      metrics: noMetrics,
      superWindowBytes: 1000,
      fail: error => failures.push(error)
    },
    0
  )
  return { level, writer, failures, metaWrites }
}

/** Lets promises that are settled run their callbacks. */
async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await Promise.resolve()
}

describe('the disk writer', () => {
  it('writes what is queued in one go as one batch', async () => {
    const { level, writer } = setUp()
    const a = new Source()
    const b = new Source()
    writer.enqueue(a.add('a1'), false, () => {})
    writer.enqueue(b.add('b1'), true, () => {})
    writer.enqueue(a.add('a2'), false, () => {})
    expect(level.writes).toHaveLength(0)
    await turn()
    expect(level.writes.map(it => [it.keys, it.sync])).toEqual([[['a1', 'a2', 'b1'], true]])
  })

  it('keeps one batch under way and makes the next of all that came meanwhile', async () => {
    const { level, writer } = setUp()
    const source = new Source()
    const order: string[] = []
    writer.enqueue(source.add('1'), true, () => order.push('1'))
    await turn()
    writer.enqueue(source.add('2'), false, () => order.push('2'))
    writer.enqueue(source.add('3'), false, () => order.push('3'))
    await turn()
    expect(level.writes).toHaveLength(1)
    level.writes[0]!.finish()
    await turn()
    expect(order).toEqual(['1'])
    expect(level.writes.map(it => [it.keys, it.sync])).toEqual([
      [['1'], true],
      [['2', '3'], false]
    ])
    level.writes[1]!.finish()
    await turn()
    expect(order).toEqual(['1', '2', '3'])
    expect(source.wroteCount).toBe(2)
    expect(writer.durableSequence).toBe(1)
  })

  it('writes the meta file before a batch that changes term or vote', async () => {
    const { level, writer, metaWrites } = setUp()
    const source = new Source()
    source.metaFirst = true
    writer.enqueue(source.add('vote'), true, () => {})
    await turn()
    expect(level.writes).toHaveLength(0)
    source.metaFirst = false
    writer.enqueue(source.add('later'), true, () => {})
    metaWrites[0]!()
    await turn()
    expect(level.writes.map(it => it.keys)).toEqual([['vote']])
  })

  it('stops at the first failure: no callback, no second try', async () => {
    const { level, writer, failures } = setUp()
    const source = new Source()
    const called: number[] = []
    writer.enqueue(source.add('1'), true, () => called.push(1))
    await turn()
    writer.enqueue(source.add('2'), true, () => called.push(2))
    level.writes[0]!.fail(new Error('IO error: 000003.log: Input/output error'))
    await turn()
    writer.enqueue(source.add('3'), true, () => called.push(3))
    await turn()
    expect(failures.map(error => [error.code, error.facts.full])).toEqual([['DISK_FAILED', false]])
    expect(called).toEqual([])
    expect(level.writes).toHaveLength(1)
    await writer.settled()
  })

  it('says so when the disk is full, and when LevelDB finds its files damaged', async () => {
    const meant: [Error, string, RegExp][] = [
      [new Error('IO error: 000003.log: No space left on device'), 'DISK_FAILED', /full/],
      [
        Object.assign(new Error('Corruption: block'), { code: 'LEVEL_CORRUPTION' }),
        'DATA_DAMAGED',
        /damaged/
      ]
    ]
    for (const [error, code, text] of meant) {
      const { level, writer, failures } = setUp()
      writer.enqueue(new Source().add('1'), true, () => {})
      await turn()
      level.writes[0]!.fail(error)
      await turn()
      expect(failures).toHaveLength(1)
      expect(failures[0]!.code).toBe(code)
      expect(failures[0]!.message).toMatch(text)
    }
  })
})
