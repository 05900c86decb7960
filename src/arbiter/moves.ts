import { pinnedSlots } from '../table/pins.ts'
import { assignRuns, ownersOf } from '../table/runs.ts'
import type { RoutingTable, SlotMove } from '../table/table.ts'
import { tableLimits } from '../table/table-rules.ts'

/** Why a slot cannot start on its way. */
export type MoveRefusal =
  | 'drainingSet'
  | 'lostSet'
  | 'unknownSet'
  | 'unknownSlot'
  | 'pinned'
  | 'moving'
  | 'full'

/**
 * The table with a slot on its way to another set: the very same object when it is so already, or lives there.
 * @param epoch of the table that this makes: the move's name.
 */
export function withMove(
  table: RoutingTable,
  slot: number,
  to: string,
  epoch: number
): RoutingTable | MoveRefusal {
  return withMoves(table, [slot], to, epoch)
}

/** As `withMove`, of several slots: all of them, or none. */
export function withMoves(
  table: RoutingTable,
  slots: readonly number[],
  to: string,
  epoch: number
): RoutingTable | MoveRefusal {
  const target = table.sets.find(set => set.id === to)
  if (target === undefined) return 'unknownSet'
  const pinned = pinnedSlots(table)
  const owners = ownersOf(table.runs)
  const begun: SlotMove[] = []
  for (const slot of slots) {
    if (slot >= table.slotCount) return 'unknownSlot'
    if ((pinned.get(slot) ?? to) !== to) return 'pinned'
    const move = moveOf(table, slot)
    if (move !== undefined && move.to !== to) return 'moving'
    if (move !== undefined || owners[slot] === to) continue
    if (target.state === 'draining') return 'drainingSet'
    if (target.state === 'lost') return 'lostSet'
    begun.push({ slot, to, epoch })
  }
  if (begun.length === 0) return table
  if (table.moves.length + begun.length > tableLimits.moves) return 'full'
  return { ...table, moves: [...table.moves, ...begun].sort((a, b) => a.slot - b.slot) }
}

/**
 * The table after a move has ended: with `done` the slot belongs to its new set from here on, which is the one instant at which
 * ownership changes; else it stays. The very same object when that move is over already.
 */
export function withMoveEnded(
  table: RoutingTable,
  { slot, epoch }: Pick<SlotMove, 'slot' | 'epoch'>,
  done: boolean,
  nextEpoch: number
): RoutingTable {
  const move = moveOf(table, slot)
  if (move === undefined || move.epoch !== epoch) return table
  const moves = table.moves.filter(other => other !== move)
  if (!done) return { ...table, moves }
  return { ...table, moves, runs: assignRuns(table.runs, new Map([[slot, move.to]]), nextEpoch) }
}

export function moveOf(table: RoutingTable, slot: number): SlotMove | undefined {
  return table.moves.find(move => move.slot === slot)
}
