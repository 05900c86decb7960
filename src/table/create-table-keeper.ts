import { RingsetError } from '../base/errors.ts'
import { compileTable, emptyTableView } from './compile-table.ts'
import { decodeTable, peekTable, type TableLabel } from './table-codec.ts'
import { applyDelta, isDelta, makeDelta, peekDelta } from './table-delta.ts'
import type { Adoption, TableKeeper } from './table-keeper.ts'
import type { TableView } from './table-view.ts'

export interface TableKeeperOptions {
  /**
   * The alarm of E-3: `refused` carries the epoch in force with another content. The table in force
   * stays.
   */
  readonly onConflict?: (inForce: TableView, refused: TableLabel) => void
  /** Only tables of this cluster are adopted. While undefined, the first table adopted decides. */
  readonly expectedClusterId?: string | undefined
  /** Default: every keeper works for itself. */
  readonly work?: TableWork
}

/** What reading a table takes; keepers of one process may share it. */
export interface TableWork {
  /** Decodes and compiles a table; the view must not depend on `encoded` afterwards. Throws BAD_PACKET. */
  compile(encoded: Buffer): TableView
  /** As `applyDelta`. Nobody writes to `base` or to what comes back. */
  expand(base: Buffer, delta: Buffer): Buffer | undefined
}

/** So many tables before the present one are kept, to make and to read deltas by. */
const formerMax = 8

/** Throws BAD_PACKET. */
export function compileEncoded(encoded: Buffer): TableView {
  return compileTable(decodeTable(encoded), Buffer.from(encoded))
}

/**
 * A keeper without a table yet. Rules: E-2, E-3, E-7 and E-8 of docs/routing-table.md; only a strictly
 * newer epoch is adopted.
 */
export function createTableKeeper(options: TableKeeperOptions = {}): TableKeeper {
  return new Keeper(options)
}

const ownWork: TableWork = { compile: compileEncoded, expand: applyDelta }

class Keeper implements TableKeeper {
  readonly #options: TableKeeperOptions
  readonly #work: TableWork
  readonly #listeners: ((view: TableView) => void)[] = []
  #view = emptyTableView
  /** Newest last; only their bytes. */
  readonly #former: { readonly epoch: number; readonly encoded: Buffer }[] = []
  /** Former epoch → update to the present table. */
  readonly #updates = new Map<number, Buffer>()

  constructor(options: TableKeeperOptions) {
    this.#options = options
    this.#work = options.work ?? ownWork
  }

  view(): TableView {
    return this.#view
  }

  onAdopted(listener: (view: TableView) => void): void {
    this.#listeners.push(listener)
  }

  updateFrom(epoch: number): Buffer {
    const { encoded, table } = this.#view
    const base = this.#former.find(table => table.epoch === epoch)
    if (base === undefined || table === undefined) return encoded
    let update = this.#updates.get(epoch)
    if (update === undefined) {
      const delta = makeDelta(base, { encoded, epoch: table.epoch, clusterId: table.clusterId })
      update = delta.length < encoded.length ? delta : encoded
      this.#updates.set(epoch, update)
    }
    return update
  }

  adopt(bytes: Buffer): Adoption {
    const encoded = isDelta(bytes) ? this.#expanded(bytes) : bytes
    if (typeof encoded === 'string') return encoded
    const label = unlessMalformed(() => peekTable(encoded))
    if (label === undefined) return 'malformed'
    const clusterId = this.#options.expectedClusterId ?? this.#view.table?.clusterId
    if (clusterId !== undefined && label.clusterId !== clusterId) return 'foreign'
    if (label.epoch < this.#view.epoch) return 'older'
    if (label.epoch === this.#view.epoch && label.contentHash === this.#view.contentHash) {
      return 'same'
    }
    // Only now, and only for a table that matters, is the content worth a look: it must be sound to
    // be adopted or to be called a conflict.
    const view = unlessMalformed(() => this.#work.compile(encoded))
    if (view === undefined) return 'malformed'
    if (label.epoch === this.#view.epoch) {
      this.#options.onConflict?.(this.#view, label)
      return 'conflict'
    }
    this.#adopt(view)
    return 'adopted'
  }

  /** The table that a delta stands for, or why it is not needed or of no use. */
  #expanded(delta: Buffer): Buffer | Adoption {
    const label = unlessMalformed(() => peekDelta(delta))
    if (label === undefined) return 'malformed'
    const { table, epoch } = this.#view
    if (table === undefined) return 'gap'
    if (label.clusterId !== Number.parseInt(table.clusterId, 16)) return 'foreign'
    if (label.epoch < epoch) return 'older'
    const base = [this.#view, ...this.#former].find(held => held.epoch === label.baseEpoch)
    if (base === undefined) return 'gap'
    const next = unlessMalformed(() => ({ bytes: this.#work.expand(base.encoded, delta) }))
    if (next === undefined) return 'malformed'
    return next.bytes ?? 'gap'
  }

  #adopt(view: TableView): void {
    const { epoch, encoded } = this.#view
    if (epoch > 0) this.#former.push({ epoch, encoded })
    if (this.#former.length > formerMax) this.#former.shift()
    this.#updates.clear()
    this.#view = view
    for (const listener of this.#listeners) {
      // A listener adopted a yet newer table and everybody has seen that one: nobody may see this
      // one after it.
      if (this.#view !== view) return
      listener(view)
    }
  }
}

function unlessMalformed<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch (error) {
    if (error instanceof RingsetError && error.code === 'BAD_PACKET') return undefined
    throw error
  }
}
