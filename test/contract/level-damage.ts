import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { expect } from 'vitest'
import type { Database } from '../../src/storage/database.ts'
import { openAt, runAsync } from './level-harness.ts'
import {
  liesOf,
  Workload,
  workloadEntry,
  workloadGroups,
  workloadHardState
} from './store-workload.ts'

/** Returns the last index, which is the same in both groups. */
export async function work(database: Database, steps: number, keep?: number): Promise<number> {
  const [last] = await (await Workload.on(database, keep)).run(steps)
  return last!
}

/** Files of the LevelDB directory, the newest last. */
export function levelFiles(directory: string, suffix: string): string[] {
  const level = join(directory, 'level')
  const names = readdirSync(level).filter(name => name.endsWith(suffix))
  return names.sort().map(name => join(level, name))
}

export function newestLog(directory: string): string {
  return levelFiles(directory, '.log').at(-1)!
}

export function flipBit(file: string, offset: number): void {
  const bytes = readFileSync(file)
  bytes[offset] = bytes[offset]! ^ 0x10
  writeFileSync(file, bytes)
}

export function zeroPage(file: string, offset: number): void {
  const handle = openSync(file, 'r+')
  writeSync(handle, Buffer.alloc(Math.min(4096, statSync(file).size - offset)), 0, null, offset)
  closeSync(handle)
}

export type Outcome = 'whole' | 'quarantined'

/** Opens and demands the truth: the whole of it, or a quarantine that lasts until it is ended, in every group. */
export async function judge(directory: string, end: number): Promise<Outcome> {
  const quarantined: string[] = []
  let database = await openAt(directory)
  for (const name of workloadGroups) {
    const store = await database.group(name)
    expect(liesOf(name, store)).toEqual([])
    const { hardState, quarantine, applied } = store.recovered
    const expected = workloadHardState(end, 0)
    expect(hardState.term).toBe(expected.term)
    if (quarantine === undefined) {
      expect(store.lastIndex()).toBe(end)
      expect(applied).toBe(end - 2)
      expect(hardState.vote).toBe(expected.vote)
    }
    if (quarantine !== undefined) quarantined.push(name)
  }
  await database.close()
  if (quarantined.length === 0) return 'whole'
  await heal(directory, quarantined)
  database = await openAt(directory)
  for (const name of workloadGroups) {
    const store = await database.group(name)
    expect(store.recovered.quarantine).toBeUndefined()
    expect(liesOf(name, store)).toEqual([])
  }
  await database.close()
  return 'quarantined'
}

/** Opens again, demands the same quarantines, and ends them as a leader would. */
async function heal(directory: string, quarantined: readonly string[]): Promise<void> {
  const database = await openAt(directory)
  for (const name of workloadGroups) {
    const store = await database.group(name)
    expect(liesOf(name, store)).toEqual([])
    expect(store.recovered.quarantine !== undefined).toBe(quarantined.includes(name))
    if (!quarantined.includes(name)) continue
    const entries = [workloadEntry(name, store.lastIndex() + 1)]
    const hardState = { ...store.recovered.hardState, term: 99 }
    await runAsync<void>(done =>
      store.write({ hardState, entries, healed: true, sync: true }, done)
    )
  }
  await database.close()
}
