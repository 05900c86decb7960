import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import type { Rows, StateMachine } from '../raft/state-machine.ts'
import type { RoutingTable } from '../table/table.ts'
import { decodeTable, encodeTable } from '../table/table-codec.ts'
import { tableFault } from '../table/table-rules.ts'
import {
  type AnnouncedProcess,
  type ArbiterCommand,
  decodeCommands,
  type PlacedRouter
} from './arbiter-commands.ts'
import { type MoveRefusal, withMove, withMoveEnded } from './moves.ts'
import { type OrderRefusal, withOrder } from './orders.ts'
import { type AnnounceRefusal, bootIdOf, endpointOf, withAnnounced, withDown } from './processes.ts'
import { highestReplica, type PlaceRefusal, withPlaced } from './replicas.ts'
import { applySet, type SetRefusal } from './sets.ts'

/**
 * `done`: the table is now as the command says (it may have been before). `replaced`: a newer start
 * of that process is known.
 */
export type ArbiterResult =
  | 'done'
  | 'noTable'
  | 'replaced'
  | AnnounceRefusal
  | PlaceRefusal
  | MoveRefusal
  | SetRefusal
  | OrderRefusal

/** Row of the encoded routing table. */
export const tableRow = 'table'

/** Row of the boot ids that a process has used before its present one, newest first. */
const bootsRow = (process: AnnouncedProcess): string => `boots/${endpointOf(process)}`
const bootsKept = 8

/** Row of the highest replica number that a set's router group has ever had; missing while none was added. */
const highestRow = (setId: string): string => `replicas/${setId}`

export type GetRow = (key: string) => Buffer | undefined

/**
 * The arbiters' state machine: the routing table, and which boot ids are history. One entry is one
 * change: whatever its commands alter together makes one new epoch, assigned here (E-1); an entry
 * that alters nothing makes none. Ownership of slots never changes by an announcement.
 */
export class ArbiterMachine implements StateMachine {
  /** Undefined = read it from the rows first; null = the rows have none. */
  #table: RoutingTable | null | undefined

  /** The table as of the last applied entry. @param getRow reads rows that hold at least that. */
  table(getRow: GetRow): RoutingTable | undefined {
    if (this.#table === undefined) {
      const row = getRow(tableRow)
      this.#table = row === undefined ? null : decodeTable(row)
    }
    return this.#table ?? undefined
  }

  reset(): void {
    this.#table = undefined
  }

  apply(_index: number, data: Buffer, rows: Rows): ArbiterResult[] {
    const before = this.table(key => rows.get(key))
    let table = before
    const epoch = (before?.epoch ?? 0) + 1
    const results: ArbiterResult[] = []
    for (const command of decodeCommands(data)) {
      const outcome = applyCommand(table, command, rows, epoch)
      if (typeof outcome === 'string') {
        results.push(outcome)
      } else {
        table = outcome
        results.push('done')
      }
    }
    if (table !== undefined && table !== before && !this.#inForce(table, rows)) {
      this.#table = { ...table, epoch }
      rows.put(tableRow, encodeTable(this.#table))
    }
    return results
  }

  /**
   * Whether `table`, still under the epoch in force, is what the rows hold: commands of one entry
   * may undo each other.
   */
  #inForce(table: RoutingTable, rows: Rows): boolean {
    // What the entry itself began is of the next epoch.
    if (tableFault(table) !== undefined) return false
    return rows.get(tableRow)?.equals(encodeTable(table)) ?? false
  }
}

/** What an announcement would do: a new table, the same one (nothing to do), or a refusal. */
export function judgeAnnounce(
  table: RoutingTable,
  process: AnnouncedProcess,
  getRow: GetRow
): RoutingTable | 'replaced' | AnnounceRefusal {
  const next = withAnnounced(table, process)
  if (next === table || typeof next === 'string') return next
  return replacedBoots(process, getRow).includes(process.bootId) ? 'replaced' : next
}

function applyCommand(
  table: RoutingTable | undefined,
  command: ArbiterCommand,
  rows: Rows,
  epoch: number
): RoutingTable | ArbiterResult {
  if (command.type === 'bootstrap') {
    if (table !== undefined) return table
    const first = decodeTable(command.table)
    assert(first.epoch === 1, 'the first table has epoch 1', { epoch: first.epoch })
    return first
  }
  if (table === undefined) return 'noTable'
  if (command.type === 'down') return withDown(table, command.endpoint, command.bootId)
  if (command.type === 'place') return applyPlace(table, command.router, rows)
  if (command.type === 'set') return applySet(table, command.change, epoch, rows)
  if (command.type === 'move') return withMove(table, command.slot, command.to, epoch)
  if (command.type === 'endMove') return withMoveEnded(table, command, command.done, epoch)
  if (command.type === 'order') return withOrder(table, command.order, epoch)
  const { process } = command
  const next = judgeAnnounce(table, process, key => rows.get(key))
  if (typeof next !== 'string' && next !== table) rememberBoot(table, process, rows)
  return next
}

/** What a placement would do, as `judgeAnnounce`. */
export function judgePlace(
  table: RoutingTable,
  router: PlacedRouter,
  getRow: GetRow
): RoutingTable | PlaceRefusal {
  return withPlaced(table, router, getRow(highestRow(router.setId))?.readUInt8(0) ?? 0)
}

/** Numbers are never used again, also not after the replica with the highest one has left the table. */
function applyPlace(
  table: RoutingTable,
  router: PlacedRouter,
  rows: Rows
): RoutingTable | PlaceRefusal {
  const next = judgePlace(table, router, key => rows.get(key))
  if (typeof next === 'string' || next === table) return next
  const known = rows.get(highestRow(router.setId))?.readUInt8(0) ?? 0
  const highest = Math.max(known, highestReplica(table, router.setId), router.replicaId)
  if (highest > known) rows.put(highestRow(router.setId), Buffer.from([highest]))
  return next
}

function rememberBoot(table: RoutingTable, process: AnnouncedProcess, rows: Rows): void {
  const bootId = bootIdOf(table, process)
  if (bootId === 0 || bootId === process.bootId) return
  const boots = [bootId, ...replacedBoots(process, key => rows.get(key))].slice(0, bootsKept)
  const writer = new ByteWriter(bootsKept * 6)
  for (const boot of boots) writer.u48(boot)
  rows.put(bootsRow(process), writer.copy())
}

function replacedBoots(process: AnnouncedProcess, getRow: GetRow): number[] {
  const row = getRow(bootsRow(process))
  if (row === undefined) return []
  const reader = new ByteReader(row)
  const boots: number[] = []
  while (reader.remaining > 0) boots.push(reader.u48())
  return boots
}
