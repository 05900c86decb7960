import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { afterAll, describe, expect, it } from 'vitest'
import { MetaFile, readMetaFile } from '../../src/storage/meta-file.ts'
import { ChunkWriter } from '../../src/storage/snapshot-chunk.ts'
import { LevelHarness, openAt, runAsync, TestFolder } from './level-harness.ts'
import { describeRanges } from './range-contract.ts'
import { describeStore, drainSnapshot, entries, writeAll } from './store-contract.ts'
import { liesOf, members, Workload } from './store-workload.ts'

describeStore('the LevelDB store', () => new LevelHarness().open())
describeRanges('the LevelDB store', () => new LevelHarness().open())

describe('the LevelDB database', () => {
  const folder = new TestFolder()
  afterAll(() => folder.remove())
  const hardState = { term: 2, vote: 1, commit: 0 }
  const harness = { run: runAsync }

  /** How many keys of a kind a closed database has. */
  async function countKeys(directory: string, kind: number): Promise<number> {
    const level = new ClassicLevel<Buffer, Buffer>(join(directory, 'level'), {
      keyEncoding: 'buffer',
      valueEncoding: 'buffer'
    })
    const range = { gte: Buffer.from([kind]), lt: Buffer.from([kind + 1]) }
    const keys = await level.keys(range).all()
    await level.close()
    return keys.length
  }

  it('takes the vote of the meta file when the process died before the database had it', async () => {
    const directory = folder.sub()
    let database = await openAt(directory)
    await writeAll(harness, await database.group('g'), { hardState, sync: true })
    await database.close()
    const path = join(directory, 'meta')
    const found = readMetaFile(path)
    if (typeof found === 'string') throw new Error(found)
    const meta = new MetaFile(path, found.state, found.version, () => {})
    meta.setVote('g', 5, 3)
    meta.setVote('never stored', 4, 2)
    meta.writeNow()
    await meta.close()
    for (let opening = 0; opening < 2; opening++) {
      database = await openAt(directory)
      const { recovered } = await database.group('g')
      expect(recovered.hardState).toEqual({ term: 5, vote: 3, commit: 0 })
      expect(recovered.quarantine).toBeUndefined()
      const other = (await database.group('never stored')).recovered
      expect(other.hardState).toEqual({ term: 4, vote: 2, commit: 0 })
      expect(other.quarantine).toBeUndefined()
      await database.close()
    }
  })

  it('sweeps super records, dropped log records and given-up generations', async () => {
    const directory = folder.sub()
    const writeBufferBytes = 64 * 1024
    let database = await openAt(directory, { writeBufferBytes })
    const steps = 1500
    await (await Workload.on(database, 50)).run(steps)
    const store = await database.group('set-1')
    const source = store.openSnapshot()
    const chunks = await drainSnapshot(harness, source, 1000)
    source.close()
    for (let snapshotId = 1; snapshotId <= 3; snapshotId++) {
      const meta = { index: store.lastIndex() + 10, term: 900, membership: members }
      store.beginInstall(meta, snapshotId)
      chunks.forEach((chunk, i) => {
        store.installChunk(i, chunk)
      })
      const newHard = { term: 900, vote: 0, commit: meta.index }
      if (snapshotId !== 2) await runAsync(done => store.finishInstall(newHard, () => done(true)))
    }
    await database.close()
    database = await openAt(directory, { writeBufferBytes })
    for (const name of ['set-1', 'arbiter']) {
      expect((await database.group(name)).recovered.quarantine).toBeUndefined()
    }
    expect(liesOf('arbiter', await database.group('arbiter'))).toEqual([])
    await database.close()
    database = await openAt(directory, { writeBufferBytes })
    await writeAll(harness, await database.group('set-1'), { sync: true })
    await database.close()
    expect(await countKeys(directory, 0x02)).toBeLessThan(steps / 2)
    expect(await countKeys(directory, 0x20)).toBeLessThan(steps / 2)
    expect(await countKeys(directory, 0x30)).toBe(14)
  }, 60_000)

  it('takes a chunk of a snapshot in slices and resumes it whatever a crash leaves of them', async () => {
    const count = 1_800
    const writer = new ChunkWriter(1024)
    for (let row = 0; row < count; row++) {
      writer.add(Buffer.from(`row ${row}`), Buffer.from(`value ${row}`))
    }
    const chunk = writer.finish()
    const meta = { index: 50, term: 3, membership: members }
    const directory = folder.sub()
    const database = await openAt(directory)
    const target = await database.group('g')
    await writeAll(harness, target, { hardState, sync: true })
    const crashes: string[] = [folder.copy(directory)]
    target.beginInstall(meta, 7)
    let stored = false
    target.installChunk(0, chunk, () => {
      stored = true
    })
    while (!stored) {
      crashes.push(folder.copy(directory))
      await new Promise(resolve => setImmediate(resolve))
    }
    crashes.push(folder.copy(directory))
    await database.close()
    const found = new Set<number>()
    for (const crash of [...crashes.slice(0, 8), ...crashes.slice(-4)]) {
      const again = await openAt(crash)
      const store = await again.group('g')
      expect(store.recovered.quarantine).toBeUndefined()
      const held = store.beginInstall(meta, 7)
      found.add(held)
      if (held === 0) store.installChunk(0, chunk)
      const newHard = { term: 3, vote: 0, commit: 50 }
      await runAsync(done => store.finishInstall(newHard, () => done(true)))
      expect(store.lastIndex()).toBe(50)
      for (let row = 0; row < count; row += 7) {
        expect(store.getState(`row ${row}`)?.toString()).toBe(`value ${row}`)
      }
      await again.close()
    }
    expect([...found].sort()).toEqual([0, 1])
  }, 60_000)

  it('goes on from a quarantine in which the log had been compacted', async () => {
    const directory = folder.sub()
    let database = await openAt(directory)
    await (await Workload.on(database, 20)).run(100)
    await database.close()
    const path = join(directory, 'meta')
    const found = readMetaFile(path)
    if (typeof found === 'string') throw new Error(found)
    const meta = new MetaFile(path, found.state, found.version, () => {})
    meta.markRowsDamaged('set-1')
    await meta.close()
    database = await openAt(directory)
    let store = await database.group('set-1')
    expect(store.recovered.quarantine).toMatch(/checksum/)
    expect([store.firstIndex(), store.lastIndex(), store.recovered.applied]).toEqual([1, 0, 0])
    expect((await database.group('arbiter')).recovered.quarantine).toBeUndefined()
    await writeAll(harness, store, { entries: entries(1, 9, 1), healed: true, sync: true })
    await database.close()
    database = await openAt(directory)
    store = await database.group('set-1')
    expect(store.recovered.quarantine).toBeUndefined()
    expect(store.entries(1, 99, 1e6)).toEqual(entries(1, 9, 1))
    await database.close()
  })
})
