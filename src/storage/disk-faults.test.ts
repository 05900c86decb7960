import { describe, expect, it } from 'vitest'
import { until } from '../../test/support/until.ts'
import { DiskFaults } from './disk-faults.ts'
import { diskFailed } from './disk-writer.ts'
import type { WriteBatch } from './write-batch.ts'

/** What became of a batch. */
class FakeBatch {
  readonly told: string[] = []
  error: Error | undefined

  write(sync: boolean): Promise<void> {
    this.told.push(sync ? 'synced' : 'written')
    return Promise.resolve()
  }

  drop(): Promise<void> {
    this.told.push('dropped')
    return Promise.resolve()
  }
}

const setUp = () => {
  const faults = new DiskFaults({ float: () => 0.5 })
  const start = (sync = true): FakeBatch => {
    const batch = new FakeBatch()
    faults.write(batch as unknown as WriteBatch, sync).then(
      () => batch.told.push('done'),
      error => {
        batch.error = error
      }
    )
    return batch
  }
  return { faults, start }
}
const settled = () => new Promise(resolve => setImmediate(resolve))

describe('a disk that may be disturbed', () => {
  it('writes as it is told while nothing is wrong', async () => {
    const { start } = setUp()
    const [synced, loose] = [start(), start(false)]
    await settled()
    expect([synced.told, loose.told]).toEqual([
      ['synced', 'done'],
      ['written', 'done']
    ])
  })

  it('is slow, and lets go at once what waits when it is healed', async () => {
    const { faults, start } = setUp()
    faults.set({ delayMs: 4, jitterMs: 4, failure: 'none' })
    const late = start()
    await settled()
    expect(late.told).toEqual([])
    await until('it is written', () => late.told.length === 2)
    faults.set({ delayMs: 60_000, jitterMs: 0, failure: 'none' })
    const stuck = start()
    faults.set({ delayMs: 60_000, jitterMs: 0, failure: 'none' })
    await settled()
    expect(stuck.told).toEqual([])
    faults.set(undefined)
    await settled()
    expect(stuck.told).toEqual(['synced', 'done'])
  })

  it('that is full writes nothing, and is known as full', async () => {
    const { faults, start } = setUp()
    faults.set({ delayMs: 0, jitterMs: 0, failure: 'full' })
    const batch = start()
    await settled()
    expect(batch.told).toEqual(['dropped'])
    expect(diskFailed(batch.error!)).toMatchObject({ code: 'DISK_FAILED', facts: { full: true } })
  })

  it('that cannot sync has written, and is not known as full', async () => {
    const { faults, start } = setUp()
    faults.set({ delayMs: 0, jitterMs: 0, failure: 'sync' })
    const batch = start()
    await settled()
    expect(batch.told).toEqual(['written'])
    expect(diskFailed(batch.error!)).toMatchObject({ code: 'DISK_FAILED', facts: { full: false } })
  })

  it('that fills up while a write waits fails it', async () => {
    const { faults, start } = setUp()
    faults.set({ delayMs: 60_000, jitterMs: 0, failure: 'none' })
    const batch = start()
    faults.set({ delayMs: 0, jitterMs: 0, failure: 'full' })
    await settled()
    expect(batch.told).toEqual(['dropped'])
  })
})
