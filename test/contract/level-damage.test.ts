import { spawnSync } from 'node:child_process'
import {
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync
} from 'node:fs'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RingsetError } from '../../src/base/errors.ts'
import type { GroupWrite } from '../../src/raft/store.ts'
import type { Database } from '../../src/storage/database.ts'
import { GroupKeys } from '../../src/storage/keys.ts'
import { openAt, runAsync, TestFolder } from './level-harness.ts'
import { rows } from './store-contract.ts'
import {
  liesOf,
  Workload,
  workloadEntry,
  workloadGroups,
  workloadHardState
} from './store-workload.ts'

const folder = new TestFolder()
afterAll(() => folder.remove())

/** Returns the last index, which is the same in both groups. */
async function work(database: Database, steps: number, keep?: number): Promise<number> {
  const [last] = await (await Workload.on(database, keep)).run(steps)
  return last!
}

/** Files of the LevelDB directory, the newest last. */
function files(directory: string, suffix: string): string[] {
  const level = join(directory, 'level')
  const names = readdirSync(level).filter(name => name.endsWith(suffix))
  return names.sort().map(name => join(level, name))
}

function newestLog(directory: string): string {
  return files(directory, '.log').at(-1)!
}

function flipBit(file: string, offset: number): void {
  const bytes = readFileSync(file)
  bytes[offset] = bytes[offset]! ^ 0x10
  writeFileSync(file, bytes)
}

function zeroPage(file: string, offset: number): void {
  const handle = openSync(file, 'r+')
  writeSync(handle, Buffer.alloc(Math.min(4096, statSync(file).size - offset)), 0, null, offset)
  closeSync(handle)
}

type Outcome = 'whole' | 'quarantined'

/** Opens and demands the truth: the whole of it, or a quarantine that lasts until it is ended, in every group. */
async function judge(directory: string, end: number): Promise<Outcome> {
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
  if (quarantined.length > 0) {
    database = await openAt(directory)
    for (const name of workloadGroups) {
      const store = await database.group(name)
      expect(liesOf(name, store)).toEqual([])
      expect(store.recovered.quarantine !== undefined).toBe(quarantined.includes(name))
      if (!quarantined.includes(name)) continue
      const last = store.lastIndex()
      const entries = [workloadEntry(name, last + 1)]
      const hardState = { ...store.recovered.hardState, term: 99 }
      await runAsync<void>(done =>
        store.write({ hardState, entries, healed: true, sync: true }, done)
      )
    }
    await database.close()
    database = await openAt(directory)
    for (const name of workloadGroups) {
      const store = await database.group(name)
      expect(store.recovered.quarantine).toBeUndefined()
      expect(liesOf(name, store)).toEqual([])
    }
    await database.close()
  }
  return quarantined.length > 0 ? 'quarantined' : 'whole'
}

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
    it(`${what} at every 5 % quarantines`, async () => {
      const sizeBytes = statSync(newestLog(original)).size
      for (let percent = 0; percent < 100; percent += 5) {
        const directory = folder.copy(original)
        damage(newestLog(directory), Math.floor((sizeBytes * percent) / 100))
        expect([percent, await judge(directory, end)]).toEqual([percent, 'quarantined'])
        rmSync(directory, { recursive: true })
      }
    }, 60_000)
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
      expect(await judge(directory, end)).toBe('quarantined')
    }
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
    const directory = folder.copy(original)
    for (const manifest of readdirSync(join(directory, 'level'))) {
      if (manifest.startsWith('MANIFEST')) writeFileSync(join(directory, 'level', manifest), 'x')
    }
    expect(await judge(directory, end)).toBe('quarantined')
    expect(readdirSync(directory)).toContain('level.damaged')
  })
})

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
    const tables = files(original, '.ldb')
    const seen = new Set<string>()
    for (let i = 0; i < 8; i++) {
      const directory = folder.copy(original)
      const file = files(directory, '.ldb')[i % tables.length]!
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
    for (const file of files(directory, '.ldb')) {
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
