import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { assert } from '../base/errors.ts'
import type { Rows } from '../raft/state-machine.ts'
import type { SlotSpace } from '../table/slot-of.ts'
import type { SlotRange, SlotRun } from '../table/table.ts'
import { readTenants, writeTenants } from './commands.ts'
import { groupPrefix } from './row-keys.ts'
import type { RowReader } from './row-table.ts'

/** What the group's own log says about a slot; see docs/slot-moves.md. The order is the row format. */
export const slotStates = ['none', 'owned', 'sealed', 'importing', 'gone', 'imported'] as const
export type SlotState = (typeof slotStates)[number]

const stateNumbers = { none: 0, owned: 1, sealed: 2, importing: 3, gone: 4, imported: 5 } as const
/** Set in a state's byte when the epoch of a move follows. */
const moveBit = 0x80

/** A step of a slot's way out of this group or into it. Each does nothing unless the slot is where the step begins. */
export const slotSteps = [
  'import',
  'imported',
  'take',
  'settle',
  'seal',
  'unseal',
  'leave',
  'drop',
  'forget'
] as const
export type SlotStep = (typeof slotSteps)[number]

const slotsPerRow = 256
const writer = new ByteWriter(4_096)
const metaKey = `${groupPrefix}/ownership`
const pageKey = (page: number): string => `${groupPrefix}/ownership/${page}`

/**
 * Slot → state and ownership epoch, logged by the group itself (E-5), and the epoch of the move it is in. All slots are held in typed
 * arrays; a row packs 256 slots as runs.
 */
export class Ownership {
  #states = new Uint8Array(0)
  #epochs = new Float64Array(0)
  #moves = new Float64Array(0)
  #tenants: readonly SlotRange[] = []
  #routeEpoch = 0
  #loaded = false
  #metaDirty = false
  readonly #dirtyPages = new Set<number>()
  /** Slots in each state. */
  readonly #counts = slotStates.map(() => 0)
  /** Told of every change, in the order of the log. */
  onChange: ((slot: number, state: SlotState, slotEpoch: number) => void) | undefined

  /** 0 before the first slots were taken. */
  slotCount(rows: RowReader): number {
    this.#load(rows)
    return this.#states.length
  }

  /** Those that the log has named; none before, and in a cluster without tenants. */
  tenants(rows: RowReader): readonly SlotRange[] {
    if (!this.#loaded) this.#load(rows)
    return this.#tenants
  }

  /** What slots keys have, by what the log says. @param told by the entry that is being applied; kept for ever. */
  space(rows: RowReader, slotCount: number, told: readonly SlotRange[]): SlotSpace {
    if (this.tenants(rows).length === 0 && told.length > 0) {
      this.#tenants = told
      this.#metaDirty = true
    }
    return { slotCount, tenants: this.#tenants }
  }

  state(rows: RowReader, slot: number): SlotState {
    this.#load(rows)
    return slotStates[this.#states[slot] ?? 0]!
  }

  /** Ownership epoch of the slot in this group, 0 when it was never here. While it comes in, the epoch of its move. */
  slotEpoch(rows: RowReader, slot: number): number {
    this.#load(rows)
    return this.#epochs[slot] ?? 0
  }

  /** Epoch of the move that a slot is in, 0 if in none. Of an owned slot: it came with that move and is not settled yet. */
  move(rows: RowReader, slot: number): number {
    this.#load(rows)
    return this.#moves[slot] ?? 0
  }

  /** Nothing may be routed by a table older than this: a later one has been acted upon. */
  routeEpoch(rows: RowReader): number {
    if (!this.#loaded) this.#load(rows)
    return this.#routeEpoch
  }

  raiseRouteEpoch(rows: RowReader, epoch: number): void {
    this.#load(rows)
    if (epoch <= this.#routeEpoch) return
    this.#routeEpoch = epoch
    this.#metaDirty = true
  }

  /** Why a command for the slot must not execute here, or undefined. Runs again at apply, because a seal may commit in between. */
  refusal(rows: RowReader, slot: number, slotEpoch: number): ErrorCode | undefined {
    if (!this.#loaded) this.#load(rows)
    const state = this.#states[slot] ?? 0
    const own = this.#epochs[slot] ?? 0
    if (state === stateNumbers.owned) {
      if (slotEpoch === own) return undefined
      return slotEpoch < own ? 'STALE_SLOT' : 'ROUTER_BEHIND'
    }
    if (state === stateNumbers.sealed) return 'SLOT_SEALED'
    return state !== stateNumbers.none && slotEpoch > own ? 'ROUTER_BEHIND' : 'MOVED'
  }

  /** Takes slots that nobody has had before. Slots this group knows already keep their row. Returns how many were taken. */
  own(rows: RowReader, slotCount: number, runs: readonly Omit<SlotRun, 'setId'>[]): number {
    this.#begin(rows, slotCount)
    let taken = 0
    for (const { first, count, slotEpoch } of runs) {
      assert(first + count <= slotCount, 'a run ends inside the table')
      for (let slot = first; slot < first + count; slot++) {
        // One that was here and left has an epoch.
        if (this.#states[slot] !== stateNumbers.none || this.#epochs[slot] !== 0) continue
        this.#set(slot, 'owned', slotEpoch, 0)
        taken++
      }
    }
    return taken
  }

  /**
   * A step of the move that began at table epoch `move`. @param epoch of the table that ended it, for `take` and `leave`; the slot's, for
   * `settle` and `forget`. False: the slot is not where the step begins, and nothing happened.
   */
  step(
    rows: RowReader,
    slotCount: number,
    slot: number,
    step: SlotStep,
    move: number,
    epoch: number
  ): boolean {
    this.#begin(rows, slotCount)
    assert(slot < slotCount, 'a step is of a slot of the table', { slot })
    const state = slotStates[this.#states[slot]!]!
    const own = this.#epochs[slot]!
    const same = this.#moves[slot] === move
    switch (step) {
      case 'import':
        // What is left of slots that went must be gone before another comes in.
        if (state !== 'none' || own >= move || this.count(rows, 'gone') > 0) return false
        return this.#set(slot, 'importing', move, move)
      case 'imported':
        return state === 'importing' && same && this.#set(slot, 'imported', move, move)
      case 'take':
        if (state !== 'imported' || !same) return false
        this.raiseRouteEpoch(rows, epoch)
        return this.#set(slot, 'owned', epoch, move)
      case 'settle':
        return state === 'owned' && own === epoch && this.#set(slot, 'owned', own, 0)
      case 'seal':
        return state === 'owned' && own < move && this.#set(slot, 'sealed', own, move)
      case 'unseal':
        // It may not have been settled before.
        return state === 'sealed' && same && this.#set(slot, 'owned', own, move)
      case 'leave':
        if (state !== 'sealed' || !same) return false
        this.raiseRouteEpoch(rows, epoch)
        return this.#set(slot, 'gone', epoch, 0)
      case 'drop':
        if ((state !== 'importing' && state !== 'imported') || !same) return false
        return this.#set(slot, 'gone', move, 0)
      case 'forget':
        return state === 'gone' && own === epoch && this.#set(slot, 'none', own, 0)
    }
  }

  /** How many slots are in `state`. */
  count(rows: RowReader, state: SlotState): number {
    this.#load(rows)
    return this.#counts[stateNumbers[state]]!
  }

  /** Slots that are on their way out or in, that came and are not settled, or left and are not forgotten. */
  unsettled(rows: RowReader): number[] {
    this.#load(rows)
    const quiet = this.#counts[stateNumbers.none]! + this.#counts[stateNumbers.owned]!
    const found: number[] = []
    if (quiet === this.#states.length && !this.#moves.some(move => move !== 0)) return found
    for (let slot = 0; slot < this.#states.length; slot++) {
      if (this.#moves[slot] !== 0 || this.#states[slot] === stateNumbers.gone) found.push(slot)
    }
    return found
  }

  flush(rows: Rows): void {
    if (this.#dirtyPages.size === 0 && !this.#metaDirty) return
    writer.reset()
    writer.varint(this.#states.length)
    if (this.#routeEpoch > 0 || this.#tenants.length > 0) writer.varint(this.#routeEpoch)
    if (this.#tenants.length > 0) writeTenants(writer, this.#tenants)
    rows.put(metaKey, writer.copy())
    for (const page of this.#dirtyPages) {
      writer.reset()
      this.#writePage(page * slotsPerRow)
      rows.put(pageKey(page), writer.copy())
    }
    this.#dirtyPages.clear()
    this.#metaDirty = false
  }

  reset(): void {
    this.#loaded = false
    this.#metaDirty = false
    this.#dirtyPages.clear()
  }

  #set(slot: number, state: SlotState, slotEpoch: number, move: number): true {
    this.#counts[this.#states[slot]!]!--
    this.#states[slot] = stateNumbers[state]
    this.#counts[stateNumbers[state]]!++
    this.#epochs[slot] = slotEpoch
    this.#moves[slot] = move
    this.#dirtyPages.add(Math.floor(slot / slotsPerRow))
    this.onChange?.(slot, state, slotEpoch)
    return true
  }

  #begin(rows: RowReader, slotCount: number): void {
    this.#load(rows)
    if (this.#states.length === 0) this.#size(slotCount)
    assert(this.#states.length === slotCount, 'the slot count never changes')
  }

  #size(slotCount: number): void {
    this.#states = new Uint8Array(slotCount)
    this.#epochs = new Float64Array(slotCount)
    this.#moves = new Float64Array(slotCount)
    this.#counts.fill(0)
    this.#counts[stateNumbers.none] = slotCount
  }

  #load(rows: RowReader): void {
    if (this.#loaded) return
    this.#loaded = true
    const meta = rows.get(metaKey)
    const reader = meta === undefined ? undefined : new ByteReader(meta)
    const slotCount = reader?.varint() ?? 0
    this.#routeEpoch = reader !== undefined && reader.remaining > 0 ? reader.varint() : 0
    this.#tenants = reader !== undefined && reader.remaining > 0 ? readTenants(reader) : []
    this.#size(slotCount)
    for (let first = 0; first < slotCount; first += slotsPerRow) {
      const bytes = rows.get(pageKey(first / slotsPerRow))
      if (bytes !== undefined) this.#readPage(new ByteReader(bytes), first)
    }
  }

  #readPage(reader: ByteReader, first: number): void {
    let slot = first
    while (reader.remaining > 0) {
      const end = slot + reader.varint()
      const byte = reader.u8()
      const state = byte & ~moveBit
      const slotEpoch = reader.varint()
      const move = (byte & moveBit) === 0 ? 0 : reader.varint()
      this.#counts[stateNumbers.none]! -= end - slot
      this.#counts[state]! += end - slot
      this.#states.fill(state, slot, end)
      this.#epochs.fill(slotEpoch, slot, end)
      this.#moves.fill(move, slot, end)
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
      const move = this.#moves[slot]!
      while (
        slot < end &&
        this.#states[slot] === state &&
        this.#epochs[slot] === slotEpoch &&
        this.#moves[slot] === move
      ) {
        slot++
      }
      writer.varint(slot - start)
      writer.u8(move === 0 ? state : state | moveBit)
      writer.varint(slotEpoch)
      if (move !== 0) writer.varint(move)
    }
  }
}
