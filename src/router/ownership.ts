import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { assert } from '../base/errors.ts'
import type { Rows } from '../raft/state-machine.ts'
import type { SlotRun } from '../table/table.ts'
import { groupPrefix } from './row-keys.ts'
import type { RowReader } from './row-table.ts'

/** What the group's own log says about a slot. The order is the row format. */
export const slotStates = ['none', 'owned', 'sealed', 'importing', 'gone'] as const
export type SlotState = (typeof slotStates)[number]

const slotsPerRow = 256
const writer = new ByteWriter(4_096)
const metaKey = `${groupPrefix}/ownership`
const pageKey = (page: number): string => `${groupPrefix}/ownership/${page}`

/**
 * Slot → state and ownership epoch, logged by the group itself (E-5). All slots are held in two typed arrays; a row packs 256 slots as runs.
 */
export class Ownership {
  #states = new Uint8Array(0)
  #epochs = new Float64Array(0)
  #loaded = false
  readonly #dirtyPages = new Set<number>()

  /** 0 before the first slots were taken. */
  slotCount(rows: RowReader): number {
    this.#load(rows)
    return this.#states.length
  }

  state(rows: RowReader, slot: number): SlotState {
    this.#load(rows)
    return slotStates[this.#states[slot] ?? 0]!
  }

  /** Ownership epoch of the slot in this group, 0 when it was never here. */
  slotEpoch(rows: RowReader, slot: number): number {
    this.#load(rows)
    return this.#epochs[slot] ?? 0
  }

  /** Why a command for the slot must not execute here, or undefined. Runs again at apply, because a seal may commit in between. */
  refusal(rows: RowReader, slot: number, slotEpoch: number): ErrorCode | undefined {
    if (!this.#loaded) this.#load(rows)
    const state = this.#states[slot] ?? 0
    const own = this.#epochs[slot] ?? 0
    if (state === 1) {
      if (slotEpoch === own) return undefined
      return slotEpoch < own ? 'STALE_SLOT' : 'ROUTER_BEHIND'
    }
    if (state === 2) return 'SLOT_SEALED'
    return state !== 0 && slotEpoch > own ? 'ROUTER_BEHIND' : 'MOVED'
  }

  /** Takes slots that nobody has had before. Slots this group knows already keep their row. Returns how many were taken. */
  own(rows: RowReader, slotCount: number, runs: readonly Omit<SlotRun, 'setId'>[]): number {
    this.#load(rows)
    if (this.#states.length === 0) {
      this.#states = new Uint8Array(slotCount)
      this.#epochs = new Float64Array(slotCount)
    }
    assert(this.#states.length === slotCount, 'the slot count never changes')
    let taken = 0
    for (const { first, count, slotEpoch } of runs) {
      assert(first + count <= slotCount, 'a run ends inside the table')
      for (let slot = first; slot < first + count; slot++) {
        if (this.#states[slot] !== 0) continue
        this.#states[slot] = slotStates.indexOf('owned')
        this.#epochs[slot] = slotEpoch
        this.#dirtyPages.add(Math.floor(slot / slotsPerRow))
        taken++
      }
    }
    return taken
  }

  /** How many slots are in `state`. */
  count(rows: RowReader, state: SlotState): number {
    this.#load(rows)
    const wanted = slotStates.indexOf(state)
    let count = 0
    for (const one of this.#states) if (one === wanted) count++
    return count
  }

  flush(rows: Rows): void {
    if (this.#dirtyPages.size === 0) return
    writer.reset()
    writer.varint(this.#states.length)
    rows.put(metaKey, writer.copy())
    for (const page of this.#dirtyPages) {
      writer.reset()
      this.#writePage(page * slotsPerRow)
      rows.put(pageKey(page), writer.copy())
    }
    this.#dirtyPages.clear()
  }

  reset(): void {
    this.#loaded = false
    this.#dirtyPages.clear()
  }

  #load(rows: RowReader): void {
    if (this.#loaded) return
    this.#loaded = true
    const meta = rows.get(metaKey)
    const slotCount = meta === undefined ? 0 : new ByteReader(meta).varint()
    this.#states = new Uint8Array(slotCount)
    this.#epochs = new Float64Array(slotCount)
    for (let first = 0; first < slotCount; first += slotsPerRow) {
      const bytes = rows.get(pageKey(first / slotsPerRow))
      if (bytes !== undefined) this.#readPage(new ByteReader(bytes), first)
    }
  }

  #readPage(reader: ByteReader, first: number): void {
    let slot = first
    while (reader.remaining > 0) {
      const end = slot + reader.varint()
      const state = reader.u8()
      const slotEpoch = reader.varint()
      this.#states.fill(state, slot, end)
      this.#epochs.fill(slotEpoch, slot, end)
      slot = end
    }
  }

  #writePage(first: number): void {
    const end = Math.min(first + slotsPerRow, this.#states.length)
    let slot = first
    while (slot < end) {
      const start = slot
      const state = this.#states[slot]!
      const slotEpoch = this.#epochs[slot]!
      while (slot < end && this.#states[slot] === state && this.#epochs[slot] === slotEpoch) slot++
      writer.varint(slot - start)
      writer.u8(state)
      writer.varint(slotEpoch)
    }
  }
}
