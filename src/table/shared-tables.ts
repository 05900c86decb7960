import { compileEncoded, type TableWork } from './create-table-keeper.ts'
import { peekTable } from './table-codec.ts'
import { applyDelta } from './table-delta.ts'
import type { TableView } from './table-view.ts'

/**
 * Keepers of one process that hear of the same table look at the same view of it: reading and checking a table takes up to a millisecond of
 * processor, which a thousand clients in one process would each spend on every change.
 */
export class SharedTables implements TableWork {
  readonly #max: number
  /** Content hash → view, the one that was used last at the end. */
  readonly #views = new Map<number, TableView>()
  /** The updates that were used last, the newest in front. */
  readonly #updates: { readonly base: Buffer; readonly delta: Buffer; readonly next: Buffer }[] = []

  /** @param max views that are kept, though nobody looks at them any more. */
  constructor(max = 4) {
    this.#max = max
  }

  compile(encoded: Buffer): TableView {
    const { contentHash } = peekTable(encoded)
    const known = this.#views.get(contentHash)
    // The hash is no defence against forgery; the bytes are.
    const view = known?.encoded.equals(encoded) ? known : compileEncoded(encoded)
    this.#views.delete(contentHash)
    this.#views.set(contentHash, view)
    for (const oldest of this.#views.keys()) {
      if (this.#views.size <= this.#max) break
      this.#views.delete(oldest)
    }
    return view
  }

  expand(base: Buffer, delta: Buffer): Buffer | undefined {
    const known = this.#updates.find(used => used.base === base && used.delta.equals(delta))
    if (known !== undefined) return known.next
    const next = applyDelta(base, delta)
    if (next === undefined) return undefined
    this.#updates.unshift({ base, delta: Buffer.from(delta), next })
    if (this.#updates.length > this.#max) this.#updates.pop()
    return next
  }
}
