import { spawnSync } from 'node:child_process'
import {
  cpSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import { flipBit, judge, levelFiles, type Outcome, work, zeroPage } from './level-damage.ts'
import { openAt, runAsync, TestFolder } from './level-harness.ts'
import { rows } from './store-contract.ts'
import { liesOf, workloadGroups, workloadHardState } from './store-workload.ts'

const folder = new TestFolder()
afterAll(() => folder.remove())

describe('a lost or old directory', () => {
  let before: string
  let original: string
  let end: number

  beforeAll(async () => {
    original = folder.sub()
    let database = await openAt(original)
    await work(database, 50)
    await database.close()
    before = folder.copy(original)
    database = await openAt(original)
    end = await work(database, 50)
    await database.close()
  })

  it('quarantines every group when the database is wiped, and keeps term and vote', async () => {
    const directory = folder.copy(original)
    rmSync(join(directory, 'level'), { recursive: true })
    const database = await openAt(directory)
    for (const name of workloadGroups) {
      const store = await database.group(name)
      const { hardState, applied, quarantine } = store.recovered
      expect(quarantine).toMatch(/durable/)
      expect(hardState).toEqual({ ...workloadHardState(end, 0), commit: 0 })
      expect([applied, store.lastIndex()]).toEqual([0, 0])
    }
    expect((await database.group('new')).recovered.quarantine).toBeUndefined()
    await database.close()
    expect(await judge(directory, end)).toBe('quarantined')
  })

  it('quarantines when an older database is put back', async () => {
    const directory = folder.copy(original)
    rmSync(join(directory, 'level'), { recursive: true })
    cpSync(join(before, 'level'), join(directory, 'level'), { recursive: true })
    expect(await judge(directory, end)).toBe('quarantined')
  })

  it('gives the data a new incarnation after a loss, and keeps it otherwise', async () => {
    const directory = folder.copy(original)
    const incarnation = async (): Promise<number> => {
      const database = await openAt(directory)
      await database.close()
      return database.incarnation
    }
    const first = await incarnation()
    expect(await incarnation()).toBe(first)
    rmSync(join(directory, 'level'), { recursive: true })
    const second = await incarnation()
    expect(second).not.toBe(first)
    expect(await incarnation()).toBe(second)
  })

  it('quarantines when the meta file is lost, empty, or damaged in both slots', async () => {
    const slotBytes = 64 * 1024
    const losses: ((file: string) => void)[] = [
      file => rmSync(file),
      file => truncateSync(file, 0),
      file => {
        flipBit(file, 30)
        flipBit(file, slotBytes + 30)
      }
    ]
    for (const lose of losses) {
      const directory = folder.copy(original)
      lose(join(directory, 'meta'))
      expect(await memberships(directory)).toEqual(workloadGroups.map(() => false))
      expect(await judge(directory, end)).toBe('quarantined')
    }
  })

  it('is nobody any more where nothing tells what it has promised, but keeps its standing where the meta file does', async () => {
    const standing = { incarnation: 7, member: true, peers: [] }
    const known = folder.copy(original)
    const database = await openAt(known)
    for (const name of workloadGroups) {
      const store = await database.group(name)
      await runAsync<void>(done => store.write({ standing, sync: true }, done))
    }
    await database.close()
    const old = folder.copy(known)
    // Batches go on, and the database of before comes back beside the meta file of now.
    const later = await openAt(known)
    await work(later, 5)
    await later.close()
    rmSync(join(known, 'level'), { recursive: true })
    cpSync(join(old, 'level'), join(known, 'level'), { recursive: true })
    expect(await memberships(known)).toEqual(workloadGroups.map(() => true))
    rmSync(join(old, 'meta'))
    expect(await memberships(old)).toEqual(workloadGroups.map(() => false))
    expect(await memberships(old), 'also at the next start').toEqual(
      workloadGroups.map(() => false)
    )
  })

  it('needs only one good slot of the meta file', async () => {
    const outcomes: Outcome[] = []
    for (const offset of [30, 64 * 1024 + 30]) {
      const directory = folder.copy(original)
      flipBit(join(directory, 'meta'), offset)
      outcomes.push(await judge(directory, end))
    }
    expect(outcomes).toEqual(['whole', 'whole'])
  })

  it('is a fresh node when database and meta file are both gone', async () => {
    const directory = folder.copy(original)
    rmSync(directory, { recursive: true })
    const database = await openAt(directory)
    const store = await database.group('set-1')
    expect(store.recovered.quarantine).toBeUndefined()
    expect(store.recovered.hardState.term).toBe(0)
    await database.close()
  })

  it('is refused when it belongs to another node', async () => {
    await expect(openAt(original, { clusterNodeIdentity: 'cluster/node-2' })).rejects.toMatchObject(
      {
        code: 'WRONG_CLUSTER'
      }
    )
  })

  it('is refused while another process has it open', async () => {
    const directory = folder.copy(original)
    const database = await openAt(directory)
    await expect(openAt(directory)).rejects.toMatchObject({ code: 'DATA_LOCKED' })
    await database.close()
  })

  it('sets aside a database that cannot be opened, in quarantine', async () => {
    const losses: ((level: string) => void)[] = [
      level => writeFileSync(manifestIn(level), 'x'),
      level => rmSync(manifestIn(level)),
      level => truncateSync(join(level, 'CURRENT'), 0),
      level => writeFileSync(join(level, 'CURRENT'), 'MANIFEST-999999\n')
    ]
    for (const lose of losses) {
      const directory = folder.copy(original)
      lose(join(directory, 'level'))
      expect(await judge(directory, end)).toBe('quarantined')
      expect(readdirSync(directory)).toContain('level.damaged')
    }
  })

  it('quarantines when CURRENT is lost, which LevelDB takes for an empty directory', async () => {
    const directory = folder.copy(original)
    rmSync(join(directory, 'level', 'CURRENT'))
    expect(await judge(directory, end)).toBe('quarantined')
  })

  it('never lies after damage anywhere in the manifest', async () => {
    const sizeBytes = statSync(manifestIn(join(original, 'level'))).size
    for (const damage of [flipBit, zeroPage, truncateSync]) {
      for (let percent = 0; percent < 100; percent += 10) {
        const directory = folder.copy(original)
        damage(manifestIn(join(directory, 'level')), Math.floor((sizeBytes * percent) / 100))
        await judge(directory, end)
        rmSync(directory, { recursive: true })
      }
    }
  }, 60_000)
})

/** Of each group, all of them quarantined: whether it still counts as a member. */
async function memberships(directory: string): Promise<(boolean | undefined)[]> {
  const database = await openAt(directory)
  const found: (boolean | undefined)[] = []
  for (const name of workloadGroups) {
    const { quarantine, standing } = (await database.group(name)).recovered
    expect(quarantine).toBeDefined()
    found.push(standing?.member)
  }
  await database.close()
  return found
}

function manifestIn(level: string): string {
  return join(level, readdirSync(level).find(name => name.startsWith('MANIFEST'))!)
}

/** Opens in a process of its own, for LevelDB trusts its tables and may abort on a damaged one. */
function check(
  directory: string,
  end: number
): 'whole' | 'quarantined' | 'damaged' | 'lies' | 'died' {
  const script = join(import.meta.dirname, 'storage-process.ts')
  const { status } = spawnSync(process.execPath, [
    '--import',
    'tsx',
    script,
    'check',
    directory,
    `${end}`
  ])
  return (['whole', 'lies', 'quarantined', 'damaged'] as const)[status ?? 9] ?? 'died'
}

describe('damaged table files', () => {
  it('never lie: they are whole, quarantined, refused, or the process dies', async () => {
    const original = folder.sub()
    const extra = { writeBufferBytes: 64 * 1024 }
    let database = await openAt(original, extra)
    await work(database, 150, 100)
    await database.close()
    database = await openAt(original, extra)
    const end = await work(database, 10, 100)
    await database.close()
    expect(check(original, end)).toBe('whole')
    const tables = levelFiles(original, '.ldb')
    const seen = new Set<string>()
    for (let i = 0; i < 8; i++) {
      const directory = folder.copy(original)
      const file = levelFiles(directory, '.ldb')[i % tables.length]!
      flipBit(file, Math.floor(statSync(file).size * ((i + 0.5) / 8)))
      const outcome = check(directory, end)
      seen.add(outcome)
      expect(outcome).not.toBe('lies')
      if (outcome === 'damaged') expect(check(directory, end)).toBe('quarantined')
      rmSync(directory, { recursive: true })
    }
    expect([...seen].some(outcome => outcome !== 'whole')).toBe(true)
  }, 120_000)

  it('a row that fails its checksum stops the process, and the next start begins without rows', async () => {
    const directory = folder.sub()
    let database = await openAt(directory)
    await work(database, 3)
    const store = await database.group('set-1')
    const marker = 'a value that is easy to find'
    await runAsync<void>(done =>
      store.write({ rows: rows(['marked', marker]), applied: 8, sync: true }, done)
    )
    await database.close()
    // Opening moves the log's content to a table; only then is LevelDB's own record checksum out of the way.
    await (await openAt(directory)).close()
    for (const file of levelFiles(directory, '.ldb')) {
      const at = readFileSync(file).indexOf(marker)
      if (at >= 0) flipBit(file, at)
    }
    const fatal: RingsetError[] = []
    database = await openAt(directory, { onFatal: error => fatal.push(error) })
    const damaged = await database.group('set-1')
    expect(() => damaged.getState('marked')).toThrow(
      expect.objectContaining({ code: 'DATA_DAMAGED' })
    )
    expect(fatal.map(error => error.code)).toEqual(['DATA_DAMAGED'])
    await database.close()
    database = await openAt(directory)
    const again = await database.group('set-1')
    expect(again.recovered.quarantine).toMatch(/checksum/)
    expect(again.recovered.applied).toBe(0)
    expect(again.getState('marked')).toBeUndefined()
    expect((await database.group('arbiter')).recovered.quarantine).toBeUndefined()
    expect(liesOf('set-1', again)).toEqual([])
    await database.close()
  })
})
