import { assert } from '../base/errors.ts'
import type {
  GroupStore,
  GroupWrite,
  RecoveredGroup,
  RowPage,
  RowRange,
  SnapshotSource
} from '../raft/store.ts'
import type { Entry, HardState, SnapshotMeta } from '../raft/types.ts'
import { emptyImage, type GroupImage, type MemoryChange } from './memory-image.ts'
import { isAfter, pageOf } from './range-read.ts'
import { ChunkWriter, readChunk } from './snapshot-chunk.ts'

/** Something that completes later: a write, or a read of a snapshot. */
interface Operation {
  readonly group: string
  /** Undefined for a read. */
  readonly change: MemoryChange | undefined
  readonly sync: boolean
  readonly done: () => void
}

/**
 * The disk of one process, in memory: deterministic, without timers. The owner completes operations one by one, in order, and may
 * crash the process at any moment. It keeps a model of what LevelDB guarantees: writes reach the disk in order and whole, and a
 * crash may lose any suffix that was not synced.
 */
export class MemoryDisk {
  /** What is durable. */
  readonly #images: Map<string, GroupImage>
  readonly #stores = new Map<string, MemoryGroupStore>()
  /** Completed, but no later synced write has completed. */
  #unsynced: Operation[] = []
  #queue: Operation[] = []
  #dead = false

  constructor(images: Map<string, GroupImage> = new Map()) {
    this.#images = images
  }

  /** Operations that wait for `complete`. */
  get pending(): number {
    return this.#queue.length
  }

  /** Whether the next process would find every group whole, and itself a member of it. */
  get sound(): boolean {
    for (const { quarantine, standing } of this.#images.values()) {
      if (quarantine !== undefined || standing?.member !== true) return false
    }
    return true
  }

  /** What a crash now would leave of a group. To look at only. */
  durable(groupId: string): GroupImage | undefined {
    return this.#images.get(groupId)
  }

  group(groupId: string): GroupStore {
    const known = this.#stores.get(groupId)
    if (known !== undefined) return known
    let image = this.#images.get(groupId)
    if (image === undefined) {
      image = emptyImage()
      this.#images.set(groupId, image)
    }
    const store = new MemoryGroupStore(image.copy(), (change, sync, done) => {
      if (!this.#dead) this.#queue.push({ group: groupId, change, sync, done })
    })
    this.#stores.set(groupId, store)
    return store
  }

  /** Completes the oldest operation and runs its callback. False when there was none. */
  complete(): boolean {
    const operation = this.#queue.shift()
    if (operation === undefined) return false
    if (operation.change !== undefined) {
      this.#unsynced.push(operation)
      if (operation.sync) this.#persist(this.#unsynced.splice(0))
    }
    operation.done()
    return true
  }

  /** Completes everything, also what the callbacks queue meanwhile. */
  completeAll(): void {
    while (this.complete()) {}
  }

  /**
   * The process dies: no callback runs any more. Returns the disk that the next process finds: everything synced, and the first
   * `keepUnsynced` of the writes after that, be they completed or not.
   */
  crash(keepUnsynced: number): MemoryDisk {
    this.#dead = true
    const writes = [...this.#unsynced, ...this.#queue].filter(it => it.change !== undefined)
    this.#persist(writes.slice(0, keepUnsynced))
    this.#queue = []
    this.#unsynced = []
    return new MemoryDisk(this.#images)
  }

  /** What is durable, as a backup would have it. */
  copy(): MemoryDisk {
    return new MemoryDisk(new Map([...this.#images].map(([name, image]) => [name, image.copy()])))
  }

  /** As `crash`, but the database is gone; only term and vote of each group survive, so every group is in quarantine. */
  wipe(reason: string): MemoryDisk {
    this.crash(0)
    for (const [name, image] of this.#images) this.#images.set(name, image.wiped(reason))
    return new MemoryDisk(this.#images)
  }

  /**
   * The newest entries of each log that are not in the rows yet cannot be read any more: the groups concerned are in quarantine. Call on
   * what `crash` returned, before a process uses it.
   * @param lose how many of so many entries are lost.
   */
  damage(lose: (entries: number) => number, reason: string): void {
    for (const image of this.#images.values()) {
      const unapplied = image.lastIndex - image.applied
      const lost = Math.min(lose(unapplied), unapplied)
      if (lost <= 0) continue
      image.entries.length -= lost
      const { term, vote, commit } = image.hardState
      image.hardState = { term, vote, commit: Math.min(commit, image.lastIndex) }
      image.quarantine = reason
    }
  }

  #persist(operations: readonly Operation[]): void {
    for (const { group, change } of operations) change?.(this.#images.get(group)!)
  }
}

type Queue = (change: MemoryChange | undefined, sync: boolean, done: () => void) => void

/** The `GroupStore` of a `MemoryDisk`: its image is the state with all queued writes. */
class MemoryGroupStore implements GroupStore {
  readonly recovered: RecoveredGroup
  readonly #image: GroupImage
  readonly #queue: Queue

  constructor(image: GroupImage, queue: Queue) {
    this.#image = image
    this.#queue = queue
    const { hardState, applied, membership, quarantine, standing } = image
    const commit = Math.max(hardState.commit, applied)
    this.recovered = {
      hardState: { ...hardState, commit },
      applied,
      membership,
      quarantine,
      standing
    }
  }

  firstIndex(): number {
    return this.#image.startIndex + 1
  }

  lastIndex(): number {
    return this.#image.startIndex + this.#image.entries.length
  }

  term(index: number): number | undefined {
    const { startIndex, startTerm, entries } = this.#image
    return index === startIndex ? startTerm : entries[index - startIndex - 1]?.term
  }

  entries(from: number, to: number, maxBytes: number): Entry[] {
    const { startIndex, entries } = this.#image
    const found: Entry[] = []
    let bytes = 0
    for (let at = Math.max(from - startIndex - 1, 0); at < to - startIndex - 1; at++) {
      const entry = entries[at]
      if (entry === undefined) break
      bytes += entry.data.length
      if (bytes > maxBytes && found.length > 0) break
      found.push(entry)
    }
    return found
  }

  getState(key: string): Buffer | undefined {
    return this.#image.rows.get(key)
  }

  readRange({ after, before, maxBytes }: RowRange, done: (page: RowPage) => void): void {
    const rows = [...this.#image.rows].filter(
      ([key]) => isAfter(key, after) && isAfter(before, key)
    )
    const page = pageOf(rows, maxBytes, false)
    this.#queue(undefined, false, () => done(page))
  }

  write(write: GroupWrite, done: () => void): void {
    this.#change(image => image.write(write), write.sync, done)
  }

  openSnapshot(): SnapshotSource {
    const { applied, membership } = this.#image
    const term = this.term(applied)
    assert(term !== undefined && membership !== undefined, 'a snapshot stands for a known state')
    const meta = { index: applied, term, membership }
    return new MemorySnapshotSource(meta, [...this.#image.rows], done =>
      this.#queue(undefined, false, done)
    )
  }

  beginInstall(meta: SnapshotMeta, snapshotId: number): number {
    const held = this.#image.heldChunks(meta, snapshotId)
    if (held !== undefined) return held
    this.#change(
      image => image.beginInstall(meta, snapshotId),
      false,
      () => {}
    )
    return 0
  }

  installChunk(chunk: number, data: Buffer, done: () => void = () => {}): void {
    const rows = readChunk(Buffer.from(data))
    this.#change(image => image.installChunk(chunk, rows), false, done)
  }

  finishInstall(hardState: HardState, done: () => void): void {
    this.#change(image => image.finishInstall(hardState), true, done)
  }

  /** Changes the live image now and the durable one once the write has reached it. */
  #change(change: MemoryChange, sync: boolean, done: () => void): void {
    change(this.#image)
    this.#queue(change, sync, done)
  }
}

class MemorySnapshotSource implements SnapshotSource {
  readonly meta: SnapshotMeta
  readonly #rows: readonly (readonly [string, Buffer])[]
  readonly #later: (done: () => void) => void
  #at = 0
  #closed = false

  constructor(
    meta: SnapshotMeta,
    rows: readonly (readonly [string, Buffer])[],
    later: (done: () => void) => void
  ) {
    this.meta = meta
    this.#rows = rows
    this.#later = later
  }

  next(maxBytes: number, done: (chunk: { data: Buffer; last: boolean }) => void): void {
    const writer = new ChunkWriter(256)
    while (this.#at < this.#rows.length) {
      const [key, value] = this.#rows[this.#at]!
      const sizeBytes = Buffer.byteLength(key, 'utf8') + value.length
      if (writer.sizeBytes > 0 && writer.sizeBytes + sizeBytes > maxBytes) break
      writer.add(Buffer.from(key, 'utf8'), value)
      this.#at++
    }
    const last = this.#at === this.#rows.length
    this.#later(() => {
      if (!this.#closed) done({ data: writer.finish(), last })
    })
  }

  close(): void {
    this.#closed = true
  }
}
