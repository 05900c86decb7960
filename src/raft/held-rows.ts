import type { LiveRow, Rows } from './state-machine.ts'
import type { GroupStore, GroupWrite } from './store.ts'

/** Rows that never change are handed to the store this often, so that each batch stays small. */
const addedHeldMs = 50
const addedHeldMax = 500
/** The others wait longer, so that a busy one is written once for many entries; the log brings back what a crash takes. */
const changedHeldMs = 500
const changedHeldMax = 1_024
/** Entries that changed no row: recording them can wait for the next change. */
const emptyEntriesMax = 1_000

export type RowsWrite = Pick<GroupWrite, 'added' | 'rows' | 'applied'>

/** What applied entries did to the rows and the store does not know yet. */
export class HeldRows implements Rows {
  readonly #store: GroupStore
  #added = new Map<string, Buffer>()
  #changed = new Map<string, Buffer | LiveRow | undefined>()
  #addedMs: number
  #changedMs: number
  #writtenApplied: number

  constructor(store: GroupStore, nowMs: number, applied: number) {
    this.#store = store
    this.#addedMs = nowMs
    this.#changedMs = nowMs
    this.#writtenApplied = applied
  }

  get(key: string): Buffer | undefined {
    const added = this.#added.get(key)
    if (added !== undefined) return added
    const changed = this.#changed.get(key)
    if (changed !== undefined) return Buffer.isBuffer(changed) ? changed : changed.encode()
    return this.#changed.has(key) ? undefined : this.#store.getState(key)
  }

  put(key: string, value: Buffer | LiveRow): void {
    this.#changed.set(key, value)
  }

  add(key: string, value: Buffer): void {
    // A deletion that still waits must not strike the row that now takes its place.
    this.#changed.delete(key)
    this.#added.set(key, value)
  }

  delete(key: string): void {
    this.#added.delete(key)
    this.#changed.set(key, undefined)
  }

  /**
   * What is to be handed to the store now, and is no longer held then: with `applied` everything, without it only rows that never
   * change.
   * @param applied last entry that was applied.
   * @param all the caller has something to write along with `applied`.
   */
  due(nowMs: number, applied: number, all: boolean): RowsWrite | undefined {
    if (applied === this.#writtenApplied && !all) return undefined
    const added = this.#added.size
    const changed = this.#changed.size
    const old = nowMs - this.#changedMs >= changedHeldMs
    const worth = changed > 0 || added > 0 || applied - this.#writtenApplied >= emptyEntriesMax
    if (all || changed >= changedHeldMax || (old && worth)) {
      this.#changedMs = nowMs
      this.#writtenApplied = applied
      return { added: this.#takeAdded(nowMs), rows: this.#takeChanged(), applied }
    }
    if (added < addedHeldMax && (added === 0 || nowMs - this.#addedMs < addedHeldMs)) {
      return undefined
    }
    return { added: this.#takeAdded(nowMs) }
  }

  /** All rows were replaced by those of a snapshot. */
  reset(applied: number): void {
    this.#added.clear()
    this.#changed.clear()
    this.#writtenApplied = applied
  }

  #takeAdded(nowMs: number): ReadonlyMap<string, Buffer> {
    const added = this.#added
    this.#addedMs = nowMs
    this.#added = new Map()
    return added
  }

  #takeChanged(): Map<string, Buffer | undefined> {
    const rows = new Map<string, Buffer | undefined>()
    for (const [key, value] of this.#changed) {
      rows.set(key, value === undefined || Buffer.isBuffer(value) ? value : value.encode())
    }
    this.#changed.clear()
    return rows
  }
}
