import { rmSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { GroupWrite } from '../../src/raft/store.ts'
import { GroupKeys } from '../../src/storage/keys.ts'
import { flipBit, judge, newestLog, work, zeroPage } from './level-damage.ts'
import { openAt, runAsync, TestFolder } from './level-harness.ts'
import { rows } from './store-contract.ts'
import { liesOf, workloadEntry, workloadHardState } from './store-workload.ts'

/** Cases under way together: they spend most of their time on fsync. */
const atOnce = 4

const folder = new TestFolder()
afterAll(() => folder.remove())

describe('a damaged write-ahead log', () => {
  let original: string
  let end: number

  beforeAll(async () => {
    original = folder.sub()
    const database = await openAt(original)
    end = await work(database, 120)
    await database.close()
  })

  it('is whole when nothing is damaged', async () => {
    expect(await judge(folder.copy(original), end)).toBe('whole')
  })

  const damages: [string, (file: string, offset: number) => void][] = [
    ['a flipped bit', flipBit],
    ['a zeroed page', zeroPage],
    ['a lost tail', truncateSync]
  ]
  for (const [what, damage] of damages) {
    it(`${what} at every 1 % quarantines`, async () => {
      const sizeBytes = statSync(newestLog(original)).size
      const outcomes = new Map<number, string>()
      const percents = Array.from({ length: 100 }, (_, percent) => percent)
      const hurt = async (percent: number): Promise<void> => {
        const directory = folder.copy(original)
        damage(newestLog(directory), Math.floor((sizeBytes * percent) / 100))
        outcomes.set(percent, await judge(directory, end))
        rmSync(directory, { recursive: true })
      }
      const worker = async (): Promise<void> => {
        for (let next = percents.shift(); next !== undefined; next = percents.shift()) {
          await hurt(next)
        }
      }
      await Promise.all(Array.from({ length: atOnce }, worker))
      expect(outcomes.size).toBe(100)
      expect([...outcomes].filter(([, outcome]) => outcome !== 'quarantined')).toEqual([])
    }, 120_000)
  }

  it('a hole where there are rows only does not go unnoticed', async () => {
    const directory = folder.sub()
    const database = await openAt(directory)
    const store = await database.group('set-1')
    const count = 1000
    const log = Array.from({ length: count }, (_, i) => workloadEntry('set-1', i + 1))
    const hardState = workloadHardState(count, 0)
    const write = (it: GroupWrite): Promise<unknown> =>
      runAsync(done => store.write(it, () => done(true)))
    await write({ hardState, entries: log, sync: true })
    const rowsFrom = statSync(newestLog(directory)).size
    for (let index = 1; index <= count; index++) {
      const row = `row ${index % 7}`
      await write({ rows: rows([row, `as of ${index}`]), applied: index, sync: false })
    }
    await database.close()
    const rowsTo = statSync(newestLog(directory)).size
    expect(rowsTo - rowsFrom).toBeGreaterThan(3 * 32 * 1024)
    flipBit(newestLog(directory), Math.floor((rowsFrom + rowsTo) / 2))
    const again = await openAt(directory)
    const damaged = await again.group('set-1')
    expect(damaged.recovered.quarantine).toMatch(/missing/)
    expect(damaged.recovered.applied).toBe(0)
    expect(damaged.lastIndex()).toBe(count)
    expect(liesOf('set-1', damaged)).toEqual([])
    await again.close()
  })

  it('an unapplied log record that vanished without a trace shows in the digest', async () => {
    const directory = folder.copy(original)
    let database = await openAt(directory)
    const store = await database.group('set-1')
    const log = [workloadEntry('set-1', end + 1)]
    await runAsync(done => store.write({ entries: log, sync: true }, () => done(true)))
    await database.close()
    const level = new ClassicLevel<Buffer, Buffer>(join(directory, 'level'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer'
    })
    await level.del(new GroupKeys('set-1').log(end + 1), { sync: true })
    await level.close()
    database = await openAt(directory)
    const damaged = await database.group('set-1')
    expect(damaged.lastIndex()).toBe(end)
    expect(damaged.recovered.quarantine).toMatch(/add up/)
    expect(liesOf('set-1', damaged)).toEqual([])
    await database.close()
  })

  it('a lost newest log file quarantines', async () => {
    const directory = folder.copy(original)
    rmSync(newestLog(directory))
    expect(await judge(directory, end)).toBe('quarantined')
  })

  it('a lost last byte quarantines', async () => {
    const directory = folder.copy(original)
    const log = newestLog(directory)
    truncateSync(log, statSync(log).size - 1)
    expect(await judge(directory, end)).toBe('quarantined')
  })
})
