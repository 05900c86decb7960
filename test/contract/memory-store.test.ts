import { describe, expect, it } from 'vitest'
import { MemoryDisk } from '../../src/storage/memory-store.ts'
import { describeRanges } from './range-contract.ts'
import { describeStore, entries, rows, type StoreHarness } from './store-contract.ts'
import { members } from './store-workload.ts'

class MemoryHarness implements StoreHarness {
  #disk = new MemoryDisk()

  async group(name: string) {
    return this.#disk.group(name)
  }

  async run<T>(start: (done: (value: T) => void) => void): Promise<T> {
    const values: T[] = []
    start(value => values.push(value))
    this.#disk.completeAll()
    expect(values).toHaveLength(1)
    return values[0]!
  }

  async reopen(): Promise<void> {
    this.#disk.completeAll()
    this.#disk = this.#disk.crash(Number.POSITIVE_INFINITY)
  }

  async crash(): Promise<void> {
    this.#disk = this.#disk.crash(0)
  }

  async dispose(): Promise<void> {}
}

describeStore('the memory store', async () => new MemoryHarness())
describeRanges('the memory store', async () => new MemoryHarness())

describe('the memory disk', () => {
  const hardState = { term: 1, vote: 1, commit: 0 }

  it('keeps after a crash any prefix of the writes that is not shorter than what was synced', () => {
    const lastIndexAfter = (completed: number, keepUnsynced: number): number => {
      const disk = new MemoryDisk()
      const store = disk.group('g')
      store.write({ hardState, entries: entries(1, 2), sync: true }, () => {})
      store.write({ entries: entries(2, 3), sync: false }, () => {})
      store.write({ entries: entries(3, 4), sync: false }, () => {})
      store.write({ entries: entries(4, 5), sync: true }, () => {})
      for (let i = 0; i < completed; i++) disk.complete()
      return disk.crash(keepUnsynced).group('g').lastIndex()
    }
    expect(lastIndexAfter(0, 0)).toBe(0)
    expect(lastIndexAfter(1, 0)).toBe(1)
    expect(lastIndexAfter(3, 0)).toBe(1)
    expect(lastIndexAfter(3, 1)).toBe(2)
    expect(lastIndexAfter(3, 9)).toBe(4)
    expect(lastIndexAfter(4, 0)).toBe(4)
  })

  it('runs no callback after a crash', () => {
    const disk = new MemoryDisk()
    const store = disk.group('g')
    let called = false
    store.write({ hardState, sync: true }, () => {
      called = true
    })
    disk.crash(1)
    store.write({ hardState, sync: true }, () => {
      called = true
    })
    disk.completeAll()
    expect(called).toBe(false)
  })

  it('keeps term and vote of a wiped disk, in quarantine until the replica says it has healed', () => {
    const disk = new MemoryDisk()
    const store = disk.group('g')
    store.write({ hardState, entries: entries(1, 5), sync: true }, () => {})
    store.write({ rows: rows(['a', '1']), applied: 2, membership: members, sync: true }, () => {})
    disk.completeAll()
    const wiped = disk.wipe('gone').group('g')
    expect(wiped.recovered).toEqual({
      hardState,
      applied: 0,
      membership: undefined,
      quarantine: 'gone'
    })
    expect(wiped.lastIndex()).toBe(0)
    expect(wiped.getState('a')).toBeUndefined()
  })

  it('ends a quarantine with the write that says so, and not before it is durable', () => {
    const disk = new MemoryDisk()
    disk.group('g').write({ hardState, sync: true }, () => {})
    disk.completeAll()
    const wiped = disk.wipe('gone')
    wiped.group('g').write({ healed: true, sync: true }, () => {})
    const again = wiped.crash(0)
    expect(again.group('g').recovered.quarantine).toBe('gone')
    again.group('g').write({ healed: true, sync: true }, () => {})
    again.completeAll()
    expect(again.crash(0).group('g').recovered.quarantine).toBeUndefined()
    expect(disk.wipe('gone').group('never used').recovered.quarantine).toBeUndefined()
  })
})
