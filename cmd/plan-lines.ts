import type { MoveProgress, PlannedMove } from '../src/control/slot-operator.ts'
import { slotsText } from './slot-list.ts'
import { clean, tableLines } from './terminal.ts'

export const nothingToMove = 'nothing to move: every slot is where it should be'

/** What would move, for people. */
export function planLines(plan: readonly PlannedMove[]): string[] {
  if (plan.length === 0) return [nothingToMove]
  const ways = new Map<string, PlannedMove[]>()
  for (const move of plan) {
    const way = `${move.from} ${move.to}`
    ways.set(way, [...(ways.get(way) ?? []), move])
  }
  const rows = [...ways.values()].map(moves => [
    moves[0]!.from,
    moves[0]!.to,
    moves.length,
    slotsText(moves.map(({ slot }) => slot))
  ])
  return tableLines(['from', 'to', 'slots', 'which'], rows)
}

/** How far moves are, and what they wait for. */
export function progressText({ moved, aborted, total, waits }: MoveProgress): string {
  const stay = aborted === 0 ? '' : `, ${aborted} stay where they were`
  const why = waits.length === 0 ? '' : `; ${clean(waits.join(', '))}`
  return `${moved} of ${total} slots moved${stay}${why}`
}
