import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { assert, RingsetError } from '../base/errors.ts'
import type { Log, Metrics } from '../base/ports.ts'
import type { GroupStore } from '../raft/store.ts'
import type { DiskFaults } from './disk-faults.ts'
import { type BatchSource, DiskWriter, diskFailed } from './disk-writer.ts'
import type { GroupState } from './group-state.ts'
import { type GroupStoreParts, LevelGroupStore } from './group-store.ts'
import { identityKey, superKey, superRange } from './keys.ts'
import { MetaFile } from './meta-file.ts'
import { openLevel, replaceDamaged } from './open-level.ts'
import { type Recovered, recoverDatabase } from './recover-database.ts'
import { freshGroup, garbageOf } from './recover-group.ts'
import { seal } from './seal.ts'
import { encodeIdentity, type Identity } from './state-codec.ts'
import { Sweeper } from './sweeper.ts'
import type { Level, WriteBatch } from './write-batch.ts'

export interface DatabaseOptions {
  /** Holds the LevelDB directory `level` and the file `meta`; made when missing. */
  readonly directory: string
  readonly log: Log
  readonly metrics: Metrics
  /** Names cluster and node; a directory that belongs to another one is refused (WRONG_CLUSTER). */
  readonly clusterNodeIdentity: string
  /**
   * A write or fsync failed (DISK_FAILED), or data cannot be read back (DATA_DAMAGED). Called at most once; nothing is written and
   * no callback runs afterwards: stop the process.
   */
  readonly onFatal: (error: RingsetError) => void
  /** LevelDB's memtable and write-ahead log; larger means rarer stalls and a slower opening. */
  readonly writeBufferBytes?: number
  /** LevelDB's cache of blocks. */
  readonly cacheBytes?: number
  /** Newest entries of each group's log that stay in memory. */
  readonly tailLimitBytes?: number
  /** How old the note of what is durable may get; a loss of less than this at the log's end can go unnoticed. */
  readonly watermarkIntervalMs?: number
  /** Lets the disk be disturbed on purpose. */
  readonly faults?: DiskFaults | undefined
}

/** The stores of all groups of a process, over one LevelDB and one stream of synced writes. */
export interface Database {
  /** Random per life of the data; a new one after every loss, so that peers can tell. */
  readonly incarnation: number
  /**
   * The store of a group, recovered at opening, or a fresh one. Every call for one group gives the same store.
   * @param groupId at most 200 bytes of UTF-8
   */
  group(groupId: string): Promise<GroupStore>
  /** Writes everything that is queued, durably, then closes. */
  close(): Promise<void>
}

const mebibyte = 1024 * 1024
const superWindowBuffers = 3

/**
 * Opens, checks and if need be corrects the database of a directory. Loss or damage puts the groups concerned into quarantine
 * (see `RecoveredGroup`); it never passes for a fresh start.
 * Throws DATA_LOCKED, WRONG_CLUSTER, DATA_DAMAGED or DISK_FAILED.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const levelDirectory = join(options.directory, 'level')
  const metaPath = join(options.directory, 'meta')
  await mkdir(options.directory, { recursive: true })
  try {
    return await openOnce(options, levelDirectory, metaPath)
  } catch (error) {
    const damaged = error as Error & { code?: string }
    if (damaged.code !== 'LEVEL_CORRUPTION' && !(damaged instanceof DamagedWhileOpening))
      throw error
    await replaceDamaged(levelDirectory, metaPath, options.log, damaged)
    return await openOnce(options, levelDirectory, metaPath)
  }
}

async function openOnce(
  options: DatabaseOptions,
  levelDirectory: string,
  metaPath: string
): Promise<Database> {
  const writeBufferBytes = options.writeBufferBytes ?? 16 * mebibyte
  const cacheBytes = options.cacheBytes ?? 32 * mebibyte
  const sizes = { writeBufferBytes, cacheBytes }
  const level = await openLevel(levelDirectory, metaPath, options.log, sizes)
  const database = new LevelDatabase(options, level)
  try {
    await database.start(metaPath, superWindowBuffers * writeBufferBytes)
    return database
  } catch (error) {
    await database.abandon()
    throw error
  }
}

/** The database opened and could be read, but not written. */
class DamagedWhileOpening extends RingsetError {}

class LevelDatabase implements Database {
  readonly #options: DatabaseOptions
  readonly #level: Level
  readonly #stores = new Map<string, LevelGroupStore>()
  #parts: GroupStoreParts | undefined
  #incarnation = 0
  #watermarkTimer: NodeJS.Timeout | undefined
  /** Set once the database has opened. */
  #serving = false
  #fatal: RingsetError | undefined

  constructor(options: DatabaseOptions, level: Level) {
    this.#options = options
    this.#level = level
  }

  get incarnation(): number {
    return this.#incarnation
  }

  async start(metaPath: string, superWindowBytes: number): Promise<void> {
    const { log, metrics, clusterNodeIdentity, faults } = this.#options
    const level = this.#level
    const recovered = await recoverDatabase({
      ...this.#recoverOptions(),
      metaPath,
      node: clusterNodeIdentity,
      log
    })
    this.#incarnation = recovered.identity.incarnation
    const meta = new MetaFile(metaPath, recovered.meta, recovered.metaVersion, error =>
      this.#stop(diskFailed(error))
    )
    const sweeper = new Sweeper(level, error => this.#stop(diskFailed(error)))
    const writer = new DiskWriter(
      {
        level,
        meta,
        sweeper,
        log,
        metrics,
        superWindowBytes,
        faults,
        fail: error => this.#stop(error)
      },
      recovered.sequence
    )
    this.#parts = { level, writer, meta, sweeper, fail: error => this.#stop(error) }
    await this.#writeBase(recovered)
    meta.clearDamaged()
    this.#noteDurable()
    for (const { state } of recovered.groups)
      for (const range of garbageOf(state)) sweeper.add(range)
    sweeper.add({ gte: superRange.gte, lt: superKey(recovered.sequence + 1) })
    const intervalMs = this.#options.watermarkIntervalMs ?? 1000
    this.#serving = true
    this.#watermarkTimer = setInterval(() => this.#noteDurable(), intervalMs).unref()
  }

  async group(groupId: string): Promise<GroupStore> {
    const known = this.#stores.get(groupId)
    if (known !== undefined) return known
    const parts = this.#parts
    assert(parts !== undefined, 'the database is open')
    const vote = parts.meta.state.groups.get(groupId)
    const store = this.#store(freshGroup(this.#recoverOptions(), groupId, vote), true)
    return store
  }

  async close(): Promise<void> {
    clearInterval(this.#watermarkTimer)
    const { writer, meta } = this.#parts!
    if (this.#fatal === undefined) {
      writer.enqueue(nothingToWrite, true, () => {})
      await writer.settled()
    }
    if (this.#fatal === undefined) {
      meta.state.watermark = writer.durableSequence
      await new Promise<void>(resolve => meta.write(resolve))
    }
    await this.abandon()
  }

  /** Lets go of all files without writing anything. */
  async abandon(): Promise<void> {
    const parts = this.#parts
    parts?.writer.halt()
    await parts?.sweeper.stop()
    for (const store of this.#stores.values()) await store.close()
    await this.#level.close()
    await parts?.meta.close()
  }

  /** The first batch: what recovery corrected, the identity, and the super record that all later ones build on. */
  async #writeBase(recovered: Recovered): Promise<void> {
    const { writer } = this.#parts!
    for (const { state, corrected, stored } of recovered.groups) {
      if (!stored && !corrected) continue
      const store = this.#store(state, false)
      if (!corrected) {
        writer.adopt(store)
        continue
      }
      store.markCorrected()
      writer.touch(store)
    }
    writer.enqueue(new IdentitySource(recovered.identity), true, () => {})
    await writer.settled()
    const fatal = this.#fatal
    if (fatal === undefined) return
    const { code, message, facts } = fatal
    const failure = code === 'DATA_DAMAGED' ? DamagedWhileOpening : RingsetError
    throw new failure(code, message, facts, fatal)
  }

  #store(state: GroupState, fresh: boolean): LevelGroupStore {
    const store = new LevelGroupStore(this.#parts!, state, fresh)
    this.#stores.set(state.name, store)
    return store
  }

  #recoverOptions() {
    return {
      level: this.#level,
      tailLimitBytes: this.#options.tailLimitBytes ?? 16 * mebibyte,
      damaged: (error: RingsetError) => this.#stop(error)
    }
  }

  #noteDurable(): void {
    const { meta, writer } = this.#parts!
    if (meta.state.watermark >= writer.durableSequence) return
    meta.state.watermark = writer.durableSequence
    meta.write(() => {})
  }

  /** While opening, the error is thrown instead. */
  #stop(error: RingsetError): void {
    if (this.#fatal !== undefined) return
    this.#fatal = error
    clearInterval(this.#watermarkTimer)
    this.#parts?.writer.halt()
    if (error.code === 'DATA_DAMAGED' && error.facts.group === undefined) {
      this.#parts?.meta.markDatabaseDamaged()
    }
    this.#options.log.error('storage_failed', { code: error.code, ...error.facts })
    if (this.#serving) this.#options.onFatal(error)
  }
}

/** Makes a batch that holds nothing but its super record. */
const nothingToWrite: BatchSource = {
  stage() {},
  wrote() {},
  digest: () => 0
}

class IdentitySource implements BatchSource {
  readonly #identity: Identity

  constructor(identity: Identity) {
    this.#identity = identity
  }

  stage(batch: WriteBatch): void {
    batch.put(identityKey, seal(identityKey, encodeIdentity(this.#identity)))
  }

  wrote(): void {}

  digest(): number {
    return 0
  }
}
