import { RingsetError } from '../base/errors.ts'
import { slotOfKey } from './slot-of.ts'
import type { RoutingTable, SetEntry, SlotMove } from './table.ts'
import { encodeTable, peekTable } from './table-codec.ts'
import type { SlotOwner, TableView } from './table-view.ts'

/** The cheap per-packet check: low 16 bits of the cluster id, never 0 (0 means "not known yet"). */
export function clusterTagOf(clusterId: string): number {
  return Number.parseInt(clusterId.slice(-4), 16) || 1
}

/**
 * @param encoded the table's canonical bytes if they are at hand; kept, so never a view of a buffer
 * that will be re-used.
 */
export function compileTable(table: RoutingTable, encoded = encodeTable(table)): TableView {
  return new CompiledTable(table, encoded)
}

class CompiledTable implements TableView {
  readonly table: RoutingTable
  readonly epoch: number
  readonly clusterTag: number
  readonly contentHash: number
  readonly encoded: Buffer
  /** Number of the run a slot belongs to. */
  readonly #runOf: Uint16Array
  readonly #sets: ReadonlyMap<string, SetEntry>
  readonly #moves: ReadonlyMap<number, SlotMove>

  constructor(table: RoutingTable, encoded: Buffer) {
    this.table = table
    this.epoch = table.epoch
    this.clusterTag = clusterTagOf(table.clusterId)
    this.contentHash = peekTable(encoded).contentHash
    this.encoded = encoded
    this.#runOf = new Uint16Array(table.slotCount)
    for (const [number, run] of table.runs.entries()) {
      this.#runOf.fill(number, run.first, run.first + run.count)
    }
    this.#sets = new Map(table.sets.map(set => [set.id, set]))
    this.#moves = new Map(table.moves.map(move => [move.slot, move]))
  }

  slotOf(key: string): number {
    return slotOfKey(key, this.table)
  }

  owner(slot: number): SlotOwner | undefined {
    const number = this.#runOf[slot]
    return number === undefined ? undefined : this.table.runs[number]
  }

  set(setId: string): SetEntry | undefined {
    return this.#sets.get(setId)
  }

  move(slot: number): SlotMove | undefined {
    return this.#moves.get(slot)
  }
}

/** The view while no table is known: epoch 0, no owners, nothing to send. */
export const emptyTableView: TableView = {
  table: undefined,
  epoch: 0,
  clusterTag: 0,
  contentHash: 0,
  encoded: Buffer.alloc(0),
  slotOf() {
    throw new RingsetError('NO_TABLE')
  },
  owner() {
    return undefined
  },
  set() {
    return undefined
  },
  move() {
    return undefined
  }
}
