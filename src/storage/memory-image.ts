import { assert } from '../base/errors.ts'
import type { GroupWrite } from '../raft/store.ts'
import type { Entry, HardState, Membership, SnapshotMeta, StandingRecord } from '../raft/types.ts'
import { sameMeta } from './state-codec.ts'

/** One atomic write, applied to the live image at once and to the durable one when it gets there. */
export type MemoryChange = (image: GroupImage) => void

interface MemoryInstall {
  readonly snapshotId: number
  readonly meta: SnapshotMeta
  readonly rows: Map<string, Buffer>
  chunks: number
}

/** All that a disk holds of one group. */
export class GroupImage {
  hardState: HardState = { term: 0, vote: 0, commit: 0 }
  startIndex = 0
  startTerm = 0
  entries: Entry[] = []
  rows = new Map<string, Buffer>()
  applied = 0
  membership: Membership | undefined
  quarantine: string | undefined
  standing: StandingRecord | undefined
  install: MemoryInstall | undefined

  get lastIndex(): number {
    return this.startIndex + this.entries.length
  }

  copy(): GroupImage {
    const copy = new GroupImage()
    Object.assign(copy, this)
    copy.entries = [...this.entries]
    copy.rows = new Map(this.rows)
    if (this.install) copy.install = { ...this.install, rows: new Map(this.install.rows) }
    return copy
  }

  wiped(reason: string): GroupImage {
    const image = new GroupImage()
    if (this.hardState.term === 0) return image
    image.hardState = { ...this.hardState, commit: 0 }
    image.quarantine = reason
    return image
  }

  write(write: GroupWrite): void {
    if (write.truncateFrom !== undefined) this.#truncate(write.truncateFrom)
    for (const entry of write.entries ?? []) this.#append(entry)
    for (const [key, value] of write.added ?? []) this.rows.set(key, value)
    if (write.rows !== undefined) {
      assert(write.applied !== undefined, 'rows come with the index they stand for')
      for (const [key, value] of write.rows) {
        if (value === undefined) this.rows.delete(key)
        else this.rows.set(key, value)
      }
    }
    if (write.applied !== undefined) {
      assert(
        write.applied >= this.applied && write.applied <= this.lastIndex,
        'applied never goes back, nor past the log',
        { applied: write.applied, before: this.applied, last: this.lastIndex }
      )
      this.applied = write.applied
    }
    if (write.membership !== undefined) this.membership = write.membership
    if (write.hardState !== undefined) this.hardState = write.hardState
    if (write.healed === true) this.quarantine = undefined
    if (write.standing !== undefined) this.standing = write.standing
    if (write.compactTo !== undefined) this.#compact(write.compactTo)
  }

  /** Chunks already held of this very snapshot; undefined when another one or none is being received. */
  heldChunks(meta: SnapshotMeta, snapshotId: number): number | undefined {
    const install = this.install
    if (install?.snapshotId !== snapshotId || !sameMeta(install.meta, meta)) return undefined
    return install.chunks
  }

  beginInstall(meta: SnapshotMeta, snapshotId: number): void {
    this.install = { snapshotId, meta, rows: new Map(), chunks: 0 }
  }

  installChunk(chunk: number, rows: readonly (readonly [string, Buffer])[]): void {
    const install = this.install
    assert(install !== undefined, 'an install is under way')
    assert(chunk === install.chunks, 'snapshot chunks come in order', {
      chunk,
      wanted: install.chunks
    })
    for (const [key, value] of rows) install.rows.set(key, value)
    install.chunks++
  }

  finishInstall(hardState: HardState): void {
    const install = this.install
    assert(install !== undefined, 'an install is under way')
    this.rows = install.rows
    this.applied = install.meta.index
    this.membership = install.meta.membership
    this.hardState = hardState
    this.startIndex = install.meta.index
    this.startTerm = install.meta.term
    this.entries = []
    this.install = undefined
  }

  #truncate(from: number): void {
    assert(from > this.applied, 'applied entries are never truncated', {
      from,
      applied: this.applied
    })
    assert(from > this.startIndex, 'truncation stays above the start of the log', {
      from,
      start: this.startIndex
    })
    if (from <= this.lastIndex) this.entries.length = from - this.startIndex - 1
  }

  #append(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, 'appended entries are contiguous', {
      index: entry.index,
      last: this.lastIndex
    })
    const before = this.entries.at(-1)?.term ?? this.startTerm
    assert(entry.term >= before, 'terms in the log never go back', { term: entry.term, before })
    this.entries.push(entry)
  }

  #compact(index: number): void {
    assert(index <= this.applied + 1, 'only applied entries are compacted', {
      index,
      applied: this.applied
    })
    const drop = index - this.startIndex - 1
    if (drop <= 0) return
    this.startTerm = this.entries[drop - 1]!.term
    this.entries.splice(0, drop)
    this.startIndex = index - 1
  }
}

export function emptyImage(): GroupImage {
  return new GroupImage()
}
