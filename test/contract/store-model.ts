import { expect } from 'vitest'
import type { GroupStore, GroupWrite } from '../../src/raft/store.ts'
import type { Entry, HardState } from '../../src/raft/types.ts'

export type ModelOperation =
  | { do: 'append'; count: number; bytes: number; newTerm: boolean }
  | { do: 'truncate'; back: number }
  | { do: 'apply'; count: number; key: number; delete: boolean }
  | { do: 'compact'; keep: number }

/** The simplest store there could be: a list of all entries ever kept and a map. */
export class ModelStore {
  #log: Entry[] = []
  #rows = new Map<string, Buffer>()
  #hardState: HardState = { term: 1, vote: 1, commit: 0 }
  #applied = 0
  #compacted = 0

  /** Turns an operation into a write that is legal now, and follows it. */
  next(operation: ModelOperation): GroupWrite | undefined {
    if (operation.do === 'append') return this.#append(operation)
    if (operation.do === 'truncate') {
      const truncateFrom = Math.max(this.#applied + 1, this.#log.length + 1 - operation.back)
      this.#log.length = Math.min(this.#log.length, truncateFrom - 1)
      return { truncateFrom, sync: true }
    }
    if (operation.do === 'apply') return this.#apply(operation)
    const compactTo = this.#applied + 1 - operation.keep
    if (compactTo < 1) return undefined
    this.#compacted = Math.max(this.#compacted, compactTo - 1)
    return { compactTo, sync: false }
  }

  check(store: GroupStore): void {
    const first = store.firstIndex()
    expect(first).toBeLessThanOrEqual(this.#compacted + 1)
    expect(store.lastIndex()).toBe(this.#log.length)
    expect(store.entries(first, this.#log.length + 9, 1e9)).toEqual(this.#log.slice(first - 1))
    for (let index = first - 1; index <= this.#log.length + 1; index++) {
      expect(store.term(index)).toBe(index === 0 ? 0 : this.#log[index - 1]?.term)
    }
    for (let key = 0; key <= 5; key++) {
      expect(store.getState(`row ${key}`)).toEqual(this.#rows.get(`row ${key}`))
    }
  }

  checkRecovered(store: GroupStore): void {
    const { recovered } = store
    expect(recovered.quarantine).toBeUndefined()
    expect(recovered.applied).toBe(this.#applied)
    if (this.#log.length > 0) expect(recovered.hardState.term).toBe(this.#hardState.term)
  }

  #append(operation: { count: number; bytes: number; newTerm: boolean }): GroupWrite {
    if (operation.newTerm) {
      this.#hardState = { ...this.#hardState, term: this.#hardState.term + 1 }
    }
    const { term } = this.#hardState
    const added: Entry[] = []
    for (let i = 0; i < operation.count; i++) {
      const data = Buffer.alloc(operation.bytes, i)
      added.push({ index: this.#log.length + 1 + i, term, kind: 0, data })
    }
    this.#log.push(...added)
    return { hardState: this.#hardState, entries: added, sync: true }
  }

  #apply(operation: { count: number; key: number; delete: boolean }): GroupWrite {
    this.#applied = Math.min(this.#log.length, this.#applied + operation.count)
    const key = `row ${operation.key}`
    const value = operation.delete ? undefined : Buffer.from(`as of ${this.#applied}`)
    if (value === undefined) this.#rows.delete(key)
    else this.#rows.set(key, value)
    return { rows: new Map([[key, value]]), applied: this.#applied, sync: false }
  }
}
