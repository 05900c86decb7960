import { afterAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import { DiskFaults } from '../../src/storage/disk-faults.ts'
import { until } from '../support/until.ts'
import { LevelHarness, openAt, runAsync, TestFolder } from './level-harness.ts'
import { describeStore, entries, writeAll } from './store-contract.ts'

const slowDisk = (): DiskFaults => {
  const faults = new DiskFaults({ float: () => 0.5 })
  faults.set({ delayMs: 1, jitterMs: 1, failure: 'none' })
  return faults
}

describeStore('the LevelDB store on a slow disk', () =>
  new LevelHarness({ faults: slowDisk() }).open()
)

describe('a database whose disk fails', () => {
  const folder = new TestFolder()
  afterAll(() => folder.remove())
  const hardState = { term: 1, vote: 1, commit: 0 }

  it.each([
    ['full', true, 1],
    ['sync', false, 2]
  ] as const)(
    'by %s stops at that write, says so, and has kept all it told of',
    async (failure, full, lastIndex) => {
      const directory = folder.sub()
      const faults = new DiskFaults({ float: () => 0 })
      const failures: RingsetError[] = []
      const onFatal = (error: RingsetError) => void failures.push(error)
      const database = await openAt(directory, { faults, onFatal })
      const group = await database.group('g')
      await writeAll({ run: runAsync }, group, {
        hardState,
        entries: entries(1, 2),
        sync: true
      })
      faults.set({ delayMs: 0, jitterMs: 0, failure })
      let told = 0
      group.write({ entries: entries(2, 3), sync: true }, () => told++)
      await until('it gives up', () => failures.length > 0)
      faults.set(undefined)
      group.write({ entries: entries(3, 4), sync: true }, () => told++)
      expect(failures[0]).toMatchObject({ code: 'DISK_FAILED', facts: { full } })
      await database.close()
      expect([failures.length, told]).toEqual([1, 0])

      const again = await openAt(directory)
      const store = await again.group('g')
      expect(store.recovered.quarantine).toBeUndefined()
      expect(store.lastIndex()).toBe(lastIndex)
      await again.close()
    }
  )
})
