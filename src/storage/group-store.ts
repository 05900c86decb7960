import { assert, RingsetError } from '../base/errors.ts'
import type {
  GroupStore,
  GroupWrite,
  RecoveredGroup,
  RowPage,
  RowRange,
  SnapshotSource
} from '../raft/store.ts'
import type { Entry, HardState, SnapshotMeta } from '../raft/types.ts'
import { type BatchSource, type DiskWriter, diskFailed } from './disk-writer.ts'
import { GroupDigest } from './group-digest.ts'
import type { GroupState } from './group-state.ts'
import type { MetaFile } from './meta-file.ts'
import { RangeReads } from './range-read.ts'
import { deletedRow, RowOverlay } from './row-overlay.ts'
import { rowDamaged, seal, unseal } from './seal.ts'
import { readChunk } from './snapshot-chunk.ts'
import { LevelSnapshotSource } from './snapshot-source.ts'
import {
  encodeHardState,
  encodeInstall,
  encodeLogStart,
  encodeMembership,
  encodeProgress,
  encodeStanding,
  sameMeta
} from './state-codec.ts'
import type { Sweeper } from './sweeper.ts'
import type { Level, WriteBatch } from './write-batch.ts'

export interface GroupStoreParts {
  readonly level: Level
  readonly writer: DiskWriter
  readonly meta: MetaFile
  readonly sweeper: Sweeper
  /** Stops the process. */
  fail(error: RingsetError): void
}

interface Dirty {
  hardState: boolean
  progress: boolean
  membership: boolean
  logStart: boolean
  install: boolean
  quarantine: boolean
  standing: boolean
}

/** Dropped log records are deleted so many at once; fewer are left until the next opening. */
const sweepRecords = 256
/** Rows of a snapshot go into a batch until it has taken so long: more would keep the event loop from other things. */
const installSliceMs = 1
/** With so few left the switch to them waits for no other batch. */
const switchRowsMax = 500

/** One group's part of the process's database. Its fields are the state with all queued writes; `stage` writes what is dirty. */
export class LevelGroupStore implements GroupStore, BatchSource {
  readonly recovered: RecoveredGroup
  readonly #parts: GroupStoreParts
  readonly #state: GroupState
  readonly #dirty: Dirty
  readonly #snapshots = new Set<LevelSnapshotSource>()
  readonly #reads: RangeReads
  #rows: RowOverlay
  /** Rows of the snapshot that is being received. */
  #installing: RowOverlay | undefined
  /** Chunks of which every row has been staged. */
  #installedChunks = 0
  /** Waits until all rows of the snapshot so far are in the database. */
  readonly #installWritten: (() => void)[] = []
  /** To do once the batch under way, or the one being built, is written. */
  #afterWrite: (() => void)[] = []
  #afterNextWrite: (() => void)[] = []
  readonly #digest: GroupDigest
  /** Log records from here to the start are dropped but still stored. */
  #sweptTo: number
  #unswept = 0

  /** @param fresh nothing of the group is in the database yet. */
  constructor(parts: GroupStoreParts, state: GroupState, fresh: boolean) {
    this.#parts = parts
    this.#state = state
    this.recovered = {
      hardState: state.hardState,
      applied: state.applied,
      membership: state.membership,
      quarantine: state.quarantine,
      standing: state.standing
    }
    this.#dirty = {
      hardState: fresh,
      progress: fresh,
      membership: false,
      logStart: fresh,
      install: false,
      quarantine: false,
      standing: false
    }
    this.#rows = this.#overlay(state.generation)
    if (state.install !== undefined) {
      this.#installing = this.#overlay(state.install.generation)
      this.#installedChunks = state.install.chunks
    }
    this.#digest = new GroupDigest(state.name)
    this.#reads = new RangeReads(parts.level, error => void this.#unreadable(error))
    this.#sweptTo = state.log.start.index + 1
  }

  /** Everything but the rows is to be written anew: recovery has corrected it. */
  markCorrected(): void {
    const dirty = this.#dirty
    dirty.hardState = dirty.progress = dirty.logStart = dirty.install = dirty.quarantine = true
    dirty.membership = this.#state.membership !== undefined
    dirty.standing = this.#state.standing !== undefined
  }

  firstIndex(): number {
    return this.#state.log.firstIndex()
  }

  lastIndex(): number {
    return this.#state.log.lastIndex()
  }

  term(index: number): number | undefined {
    return this.#state.log.term(index)
  }

  entries(from: number, to: number, maxBytes: number): Entry[] {
    return this.#state.log.entries(from, to, maxBytes)
  }

  getState(key: string): Buffer | undefined {
    const waiting = this.#rows.get(key)
    if (waiting !== undefined) return waiting === deletedRow ? undefined : waiting
    const rowKey = this.#rows.key(key)
    let stored: Buffer | undefined
    let value: Buffer | undefined
    try {
      stored = this.#parts.level.getSync(rowKey)
      if (stored === undefined) return undefined
      value = unseal(rowKey, stored)
    } catch (error) {
      throw this.#unreadable(error as Error)
    }
    if (value === undefined) throw this.#unreadable(rowDamaged(key))
    return value
  }

  readRange(range: RowRange, done: (page: RowPage) => void): void {
    const prefix = this.#state.keys.rowPrefix(this.#state.generation)
    this.#reads.read({ prefix, waiting: this.#rows.copy() }, range, done)
  }

  write(write: GroupWrite, done: () => void): void {
    const state = this.#state
    const dirty = this.#dirty
    if (write.truncateFrom !== undefined) {
      assert(write.truncateFrom > state.applied, 'applied entries are never truncated', {
        from: write.truncateFrom,
        applied: state.applied
      })
      state.log.truncate(write.truncateFrom)
    }
    if (write.entries !== undefined) state.log.append(write.entries)
    if (write.added !== undefined) {
      for (const [key, value] of write.added) this.#rows.put(key, value)
    }
    if (write.rows !== undefined) {
      assert(write.applied !== undefined, 'rows come with the index they stand for')
      for (const [key, value] of write.rows) this.#rows.put(key, value)
    }
    if (write.applied !== undefined) {
      assert(
        write.applied >= state.applied && write.applied <= state.log.lastIndex(),
        'applied never goes back, nor past the log',
        { applied: write.applied, before: state.applied, last: state.log.lastIndex() }
      )
      state.applied = write.applied
      dirty.progress = true
    }
    if (write.membership !== undefined) {
      state.membership = write.membership
      dirty.membership = true
    }
    if (write.hardState !== undefined) {
      state.hardState = write.hardState
      dirty.hardState = true
    }
    if (write.healed === true && state.quarantine !== undefined) {
      state.quarantine = undefined
      dirty.quarantine = true
    }
    if (write.standing !== undefined) {
      state.standing = write.standing
      dirty.standing = true
    }
    if (write.compactTo !== undefined) this.#compact(write.compactTo)
    this.#parts.writer.enqueue(this, write.sync, done)
  }

  openSnapshot(): SnapshotSource {
    const { applied, membership, log, keys, generation } = this.#state
    const term = log.term(applied)
    assert(term !== undefined && membership !== undefined, 'a snapshot stands for a known state')
    const source = new LevelSnapshotSource({
      level: this.#parts.level,
      meta: { index: applied, term, membership },
      range: keys.rowRange(generation, generation + 1),
      prefixBytes: keys.rowPrefix(generation).length,
      waiting: this.#rows.copy(),
      unreadable: error => void this.#unreadable(error),
      closed: () => this.#snapshots.delete(source)
    })
    this.#snapshots.add(source)
    return source
  }

  beginInstall(meta: SnapshotMeta, snapshotId: number): number {
    const state = this.#state
    const held = state.install
    if (held !== undefined) {
      if (held.snapshotId === snapshotId && sameMeta(held.meta, meta)) return held.chunks
      this.#sweepRowsLater(held.generation)
    }
    const generation = state.nextGeneration++
    state.install = { snapshotId, meta, generation, chunks: 0 }
    this.#installedChunks = 0
    this.#installWritten.length = 0
    this.#installing = this.#overlay(generation)
    this.#dirty.install = true
    this.#parts.writer.touch(this)
    return 0
  }

  installChunk(chunk: number, data: Buffer, done?: () => void): void {
    const install = this.#state.install
    assert(install !== undefined && this.#installing !== undefined, 'an install is under way')
    assert(chunk === install.chunks, 'snapshot chunks come in order', {
      chunk,
      wanted: install.chunks
    })
    for (const [key, value] of readChunk(Buffer.from(data))) this.#installing.put(key, value)
    this.#state.install = { ...install, chunks: chunk + 1 }
    this.#dirty.install = true
    if (done !== undefined) this.#installWritten.push(done)
    this.#parts.writer.touch(this)
  }

  finishInstall(hardState: HardState, done: () => void): void {
    const state = this.#state
    const install = state.install
    assert(install !== undefined && this.#installing !== undefined, 'an install is under way')
    if (this.#installing.waiting > switchRowsMax) {
      this.#installWritten.push(() => this.finishInstall(hardState, done))
      return
    }
    this.#installWritten.length = 0
    this.#sweepRowsLater(state.generation)
    this.#rows = this.#installing
    this.#installing = undefined
    state.install = undefined
    state.generation = install.generation
    state.applied = install.meta.index
    state.membership = install.meta.membership
    state.hardState = hardState
    state.log.reset(install.meta.index, install.meta.term)
    this.#sweepLogLater()
    const dirty = this.#dirty
    dirty.hardState = dirty.progress = dirty.membership = dirty.logStart = dirty.install = true
    this.#parts.writer.enqueue(this, true, done)
  }

  stage(batch: WriteBatch): void {
    const { keys, log } = this.#state
    if (this.#afterNextWrite.length > 0) this.#afterWrite = this.#afterNextWrite.splice(0)
    const { deletes, records } = log.stage()
    for (const first of deletes) batch.delete(keys.log(first))
    for (const record of records) batch.put(keys.log(record.first), record.value)
    this.#rows.stage(batch)
    this.#installing?.stageSome(batch, installSliceMs)
    this.#stageSmall(batch)
  }

  wrote(): void {
    this.#state.log.wrote()
    this.#rows.wrote()
    this.#installing?.wrote()
    this.#continueInstall()
    if (this.#afterWrite.length > 0) for (const act of this.#afterWrite.splice(0)) act()
  }

  #continueInstall(): void {
    if (this.#installing === undefined) return
    if (this.#installing.waiting > 0) this.#parts.writer.touch(this)
    else if (this.#installWritten.length > 0)
      for (const act of this.#installWritten.splice(0)) act()
  }

  digest(): number {
    return this.#digest.of(this.#state)
  }

  /** Gives up everything that is open, before the database closes. */
  async close(): Promise<void> {
    await Promise.all([...this.#snapshots].map(source => source.release()))
    await this.#reads.close()
  }

  #stageSmall(batch: WriteBatch): void {
    const { keys, hardState, membership, install, quarantine, standing } = this.#state
    const dirty = this.#dirty
    const put = (key: Buffer, body: Buffer): void => batch.put(key, seal(key, body))
    if (dirty.hardState) {
      const { name } = this.#state
      if (this.#parts.meta.setVote(name, hardState.term, hardState.vote)) batch.metaFirst = true
      put(keys.hardState, encodeHardState(hardState))
    }
    if (dirty.progress) put(keys.progress, encodeProgress(this.#state))
    if (dirty.membership && membership) put(keys.membership, encodeMembership(membership))
    if (dirty.logStart) put(keys.logStart, encodeLogStart(this.#state.log.start))
    if (dirty.install) {
      // It never claims a chunk of which rows still wait.
      if (this.#installing?.waiting === 0) this.#installedChunks = install?.chunks ?? 0
      if (install === undefined) batch.delete(keys.install)
      else put(keys.install, encodeInstall({ ...install, chunks: this.#installedChunks }))
    }
    if (dirty.quarantine) {
      if (quarantine === undefined) batch.delete(keys.quarantine)
      else put(keys.quarantine, Buffer.from(quarantine, 'utf8'))
    }
    if (dirty.standing && standing) put(keys.standing, encodeStanding(standing))
    dirty.hardState = dirty.progress = dirty.membership = dirty.logStart = false
    dirty.install = (this.#installing?.waiting ?? 0) > 0
    dirty.quarantine = dirty.standing = false
  }

  #compact(index: number): void {
    const { log, applied } = this.#state
    assert(index <= applied + 1, 'only applied entries are compacted', { index, applied })
    const dropped = log.compact(index)
    if (dropped === 0) return
    this.#dirty.logStart = true
    this.#unswept += dropped
    if (this.#unswept >= sweepRecords) this.#sweepLogLater()
  }

  /** Never from the beginning: LevelDB would walk over every key it has deleted since its last compaction. */
  #sweepLogLater(): void {
    const { keys, log } = this.#state
    const range = keys.logRange(this.#sweptTo, log.start.index + 1)
    this.#sweptTo = log.start.index + 1
    this.#unswept = 0
    this.#afterNextWrite.push(() => this.#parts.sweeper.add(range))
  }

  #sweepRowsLater(generation: number): void {
    const range = this.#state.keys.rowRange(generation, generation + 1)
    this.#afterNextWrite.push(() => this.#parts.sweeper.add(range))
  }

  #overlay(generation: number): RowOverlay {
    return new RowOverlay(generation, this.#state.keys.rowPrefix(generation))
  }

  /**
   * Stops the process. After damage the next opening starts this group from empty rows, which a leader's snapshot fills. A database
   * that is merely closed is the caller's mistake.
   */
  #unreadable(error: Error & { code?: string }): Error {
    if (error.code === 'LEVEL_DATABASE_NOT_OPEN') return error
    const { name } = this.#state
    const damaged = error.code === 'LEVEL_CORRUPTION' || error.code === 'DATA_DAMAGED'
    const failure = damaged
      ? new RingsetError('DATA_DAMAGED', 'rows cannot be read back', { group: name }, error)
      : diskFailed(error)
    if (damaged) this.#parts.meta.markRowsDamaged(name)
    this.#parts.fail(failure)
    return failure
  }
}
