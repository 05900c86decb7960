import { describe, expect, it } from 'vitest'
import { Sweeper } from './sweeper.ts'
import type { Level } from './write-batch.ts'

interface Asked {
  readonly gte: Buffer
  readonly lt: Buffer
  readonly limit: number
}

const keyOf = (index: number): Buffer => {
  const key = Buffer.alloc(4)
  key.writeUInt32BE(index)
  return key
}

/** Knows its keys by number, and where each search of it began. */
class CountingLevel {
  readonly #keys: Set<number>
  readonly begun: number[] = []

  constructor(count: number) {
    this.#keys = new Set(Array.from({ length: count }, (_, index) => index))
  }

  get size(): number {
    return this.#keys.size
  }

  #found({ gte, lt, limit }: Asked): number[] {
    const from = gte.readUInt32BE()
    const to = lt.readUInt32BE()
    this.begun.push(from)
    return [...this.#keys].filter(index => index >= from && index < to).slice(0, limit)
  }

  keys(asked: Asked): { all(): Promise<Buffer[]> } {
    return { all: () => Promise.resolve(this.#found(asked).map(keyOf)) }
  }

  clear(asked: Asked): Promise<void> {
    for (const index of this.#found(asked)) this.#keys.delete(index)
    return Promise.resolve()
  }
}

function sweep(level: CountingLevel, from: number, to: number): Promise<Error | undefined> {
  return new Promise(resolve => {
    const sweeper = new Sweeper(level as unknown as Level, resolve)
    sweeper.add({ gte: keyOf(from), lt: keyOf(to) })
    setImmediate(async () => {
      await sweeper.stop()
      resolve(undefined)
    })
  })
}

describe('Sweeper', () => {
  it('deletes a range, and nothing beside it', async () => {
    const level = new CountingLevel(35_000)
    expect(await sweep(level, 1_000, 34_000)).toBeUndefined()
    expect(level.size).toBe(2_000)
  })

  it('begins no slice before what the last one may have left, where only tombstones are', async () => {
    const level = new CountingLevel(35_000)
    await sweep(level, 0, 35_000)
    expect(level.size).toBe(0)
    const clearedFrom = level.begun.filter((_, at) => at % 2 === 1)
    expect(clearedFrom).toEqual([0, 10_000, 20_000, 30_000])
    // To find what is left takes a walk over the tombstones of one slice at most.
    const soughtFrom = level.begun.filter((_, at) => at % 2 === 0)
    expect(soughtFrom).toEqual([0, 0, 10_000, 20_000, 30_000])
  })
})
