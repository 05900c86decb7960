import type { RoutingTable, SetEntry, SlotMove } from './table.ts'

/** Who owns a slot, and since which epoch. */
export interface SlotOwner {
  readonly setId: string
  readonly slotEpoch: number
}

/** A table prepared for look-ups on the hot path. */
export interface TableView {
  /** Undefined while none is known. */
  readonly table: RoutingTable | undefined
  /** 0 while none is known. */
  readonly epoch: number
  readonly clusterTag: number
  readonly contentHash: number
  /** Slot of a uid or of a group or room id, among those of its tenant if it has one; pins do not change it. Throws NO_TABLE while none is known. */
  slotOf(key: string): number
  /** Undefined while no table is known or the slot is out of range. */
  owner(slot: number): SlotOwner | undefined
  set(setId: string): SetEntry | undefined
  /** Undefined while the slot stays where it is. */
  move(slot: number): SlotMove | undefined
  /** The encoded table, encoded once. */
  readonly encoded: Buffer
}
