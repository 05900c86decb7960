import type { LogReader } from '../../src/raft/raft-api.ts'
import type { Entry, HardState, Membership, SnapshotMeta } from '../../src/raft/types.ts'

export interface DiskWrite {
  readonly hardState?: HardState
  readonly truncateFrom?: number
  readonly entries?: readonly Entry[]
  readonly rows?: MachineState
  readonly compactTo?: number
  /** Replaces log and rows. */
  readonly install?: { readonly meta: SnapshotMeta; readonly rows: MachineState }
}

/** What the state machine's rows amount to: a running hash over all applied entries. */
export interface MachineState {
  readonly applied: number
  readonly hash: number
  readonly membership: Membership
}

class View {
  hardState: HardState = { term: 0, vote: 0, commit: 0 }
  baseIndex = 0
  baseTerm = 0
  entries: Entry[] = []
  rows: MachineState

  constructor(rows: MachineState) {
    this.rows = rows
  }

  clone(): View {
    const copy = new View(this.rows)
    copy.hardState = this.hardState
    copy.baseIndex = this.baseIndex
    copy.baseTerm = this.baseTerm
    copy.entries = this.entries.slice()
    return copy
  }

  lastIndex(): number {
    return this.baseIndex + this.entries.length
  }

  term(index: number): number | undefined {
    if (index === this.baseIndex) return this.baseTerm
    return this.entries[index - this.baseIndex - 1]?.term
  }

  apply(write: DiskWrite): void {
    if (write.install !== undefined) {
      this.baseIndex = write.install.meta.index
      this.baseTerm = write.install.meta.term
      this.entries = []
      this.rows = write.install.rows
    }
    if (write.hardState !== undefined) this.hardState = write.hardState
    if (write.truncateFrom !== undefined) {
      this.entries.length = Math.max(0, write.truncateFrom - this.baseIndex - 1)
    }
    for (const entry of write.entries ?? []) {
      if (entry.index !== this.lastIndex() + 1) throw new Error(`gap at ${entry.index}`)
      this.entries.push(entry)
    }
    if (write.rows !== undefined) this.rows = write.rows
    const { compactTo } = write
    if (compactTo !== undefined && compactTo - 1 > this.baseIndex) {
      const term = this.term(compactTo - 1)
      if (term === undefined) throw new Error(`compacted to an unknown index ${compactTo}`)
      this.entries = this.entries.slice(compactTo - 1 - this.baseIndex)
      this.baseIndex = compactTo - 1
      this.baseTerm = term
    }
  }
}

/**
 * A disk that forgets at a crash what was not yet synced: reads see every write, durable or not.
 */
export class MemoryDisk implements LogReader {
  #live: View
  #durable: View
  #pending: DiskWrite[] = []
  #lost: Entry[] = []

  constructor(rows: MachineState, baseIndex = 0, baseTerm = 0) {
    this.#live = new View(rows)
    this.#live.apply({
      install: { meta: { index: baseIndex, term: baseTerm, membership: rows.membership }, rows }
    })
    this.#live.apply({ hardState: { term: baseTerm, vote: 0, commit: baseIndex } })
    this.#durable = this.#live.clone()
  }

  get hardState(): HardState {
    return this.#live.hardState
  }

  get rows(): MachineState {
    return this.#live.rows
  }

  get pendingWrites(): number {
    return this.#pending.length
  }

  firstIndex(): number {
    return this.#live.baseIndex + 1
  }

  lastIndex(): number {
    return this.#live.lastIndex()
  }

  term(index: number): number | undefined {
    return this.#live.term(index)
  }

  entries(from: number, to: number, maxBytes: number): Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (let index = from; index < to; index++) {
      const entry = this.#live.entries[index - this.#live.baseIndex - 1]
      if (entry === undefined) break
      bytes += entry.data.length + 16
      if (found.length > 0 && bytes > maxBytes) break
      found.push(entry)
    }
    return found
  }

  write(write: DiskWrite): void {
    this.#live.apply(write)
    this.#pending.push(write)
  }

  /** The oldest waiting write becomes durable. */
  syncOne(): void {
    const write = this.#pending.shift()
    if (write !== undefined) this.#durable.apply(write)
  }

  /** Power loss: the first `kept` waiting writes made it to the disk, the rest is gone. */
  crash(kept: number): void {
    for (let i = 0; i < kept && this.#pending.length > 0; i++) this.syncOne()
    this.#pending = []
    this.#live = this.#durable.clone()
  }

  /** Damage: durable entries from `index` on are lost, without anybody being told. */
  loseFrom(index: number): void {
    const at = Math.max(0, index - this.#durable.baseIndex - 1)
    this.#lost = this.#durable.entries.splice(at)
    this.#live = this.#durable.clone()
  }

  /**
   * Would an entry survive a crash now? A compacted one did; one lost to damage was held when it
   * was acknowledged.
   */
  holds(index: number, term: number): boolean {
    return (
      index <= this.#durable.baseIndex ||
      this.#durable.term(index) === term ||
      this.#lost.some(entry => entry.index === index && entry.term === term)
    )
  }
}
