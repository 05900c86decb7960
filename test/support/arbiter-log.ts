import { type ArbiterCommand, encodeCommands } from '../../src/arbiter/arbiter-commands.ts'
import { ArbiterMachine, type ArbiterResult } from '../../src/arbiter/arbiter-machine.ts'
import { ownersOf, slotEpochsOf } from '../../src/table/runs.ts'
import type { RoutingTable } from '../../src/table/table.ts'
import { encodeTable } from '../../src/table/table-codec.ts'
import { MapRows } from './map-rows.ts'

/** The arbiters' state machine with a log of its own, which begins with a table. */
export class ArbiterLog {
  readonly #machine = new ArbiterMachine()
  readonly #rows = new MapRows()
  #index = 0

  constructor(first: RoutingTable) {
    this.apply({ type: 'bootstrap', table: encodeTable(first) })
  }

  /** One entry. */
  apply(...commands: ArbiterCommand[]): ArbiterResult[] {
    return this.#machine.apply(++this.#index, encodeCommands(commands), this.#rows)
  }

  get table(): RoutingTable {
    return this.#machine.table(key => this.#rows.get(key))!
  }

  owner(slot: number): string {
    return ownersOf(this.table.runs)[slot]!
  }

  /** As `s1 since 3`. */
  ownership(slot: number): string {
    return `${this.owner(slot)} since ${slotEpochsOf(this.table.runs)[slot]}`
  }
}

export const move = (slot: number, to: string): ArbiterCommand => ({ type: 'move', slot, to })
export const end = (slot: number, epoch: number, done: boolean): ArbiterCommand => {
  return { type: 'endMove', slot, epoch, done }
}
