import type { Command } from 'commander'
import {
  type AbortReport,
  type CarryOptions,
  type MovePace,
  type MoveReport,
  movesAtOnce,
  type PlannedMove,
  SlotOperator
} from '../../src/control/slot-operator.ts'
import { exitCodes } from '../failure.ts'
import {
  type JsonOptions,
  type TargetOptions,
  withExample,
  withJson,
  withPace,
  withTarget
} from '../options.ts'
import { nothingToMove, planLines, progressText } from '../plan-lines.ts'
import { ProgressLine } from '../progress-line.ts'
import { parseSlots, slotsText } from '../slot-list.ts'
import { StopSignals } from '../stop-signals.ts'
import { withControl } from '../target.ts'
import { note, print, printJson } from '../terminal.ts'

type SlotOptions = TargetOptions & JsonOptions
interface MoveOptions extends SlotOptions, MovePace {
  readonly dryRun?: true
  /** False with `--no-wait`. */
  readonly wait?: boolean
}

const hint = '`ringset status` shows them, `ringset slot abort` leaves them where they are'

export function configureSlot(command: Command): void {
  withExample(command, 'ringset slot move 3..20 s2', 'ringset slot rebalance --dry-run')
  const move = command
    .command('move')
    .argument('<slots>', '17, 3..20 or 1,5,9..12', parseSlots)
    .argument('<set>', 'set that gets them')
    .description('hand slots over to another set, while their users go on')
    .option('--dry-run', 'only print what would move')
    .option('--no-wait', 'return when they are on their way')
  withPace(move, 'all of them')
  finish(move, 'ringset slot move 17 s2', 'ringset slot move 1,5,9..12 s2 --dry-run')
  move.action((slots: number[], set: string, options: MoveOptions) =>
    carry(options, operator => operator.plan(slots, set), {
      atOnce: options.atOnce,
      perSecond: options.perSecond,
      wait: options.wait !== false
    })
  )
  const abort = command
    .command('abort')
    .argument('[slots]', 'all that are on their way when left out', parseSlots)
    .description('leave slots that are on their way where they are')
  finish(abort, 'ringset slot abort', 'ringset slot abort 17')
  abort.action((slots: number[] | undefined, options: SlotOptions) => runAbort(slots, options))
  const rebalance = command
    .command('rebalance')
    .description('give every set its share of the slots, by weight')
    .option('--dry-run', 'only print what would move')
  withPace(rebalance)
  finish(rebalance, 'ringset slot rebalance --dry-run', 'ringset slot rebalance --at-once 4')
  rebalance.action((options: MoveOptions) =>
    carry(options, operator => operator.planRebalance(), {
      atOnce: options.atOnce ?? movesAtOnce,
      perSecond: options.perSecond
    })
  )
}

function finish(command: Command, ...examples: readonly string[]): void {
  withExample(withJson(withTarget(command)), ...examples)
}

async function carry(
  options: MoveOptions,
  planOf: (operator: SlotOperator) => Promise<PlannedMove[]>,
  how: CarryOptions
): Promise<void> {
  await withControl(options, async control => {
    const operator = new SlotOperator(control)
    const plan = await planOf(operator)
    if (options.dryRun) showPlan(plan, options)
    else await carryPlan(operator, plan, options, how)
  })
}

async function carryPlan(
  operator: SlotOperator,
  plan: readonly PlannedMove[],
  options: MoveOptions,
  how: CarryOptions
): Promise<void> {
  const signals = new StopSignals()
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.refused))
  const line = new ProgressLine('Ctrl-C stops waiting, not what is on its way')
  try {
    const report = await operator
      .carry(plan, {
        ...how,
        signal: signals.stop,
        onProgress: progress => line.show(progressText(progress))
      })
      .finally(() => line.end())
    if (options.json) printJson(report)
    else for (const text of reportLines(plan, report)) print(text)
    const left = report.total - report.moved - report.aborted.length
    const rest = signals.stop.aborted ? ', no others begin' : ''
    if (left > 0) note(`those on their way go on${rest}; ${hint}`)
    if (report.aborted.length > 0 || signals.stop.aborted) process.exitCode = exitCodes.refused
  } finally {
    signals.release()
  }
}

function reportLines(plan: readonly PlannedMove[], report: MoveReport): string[] {
  const { moved, total, seconds, aborted } = report
  if (total === 0) return [nothingToMove]
  const sets = [...new Set(plan.map(({ to }) => to))].join(', ')
  const lines = [`${moved} of ${total} slots moved to ${sets}, ${seconds.toFixed(1)} s`]
  if (aborted.length > 0) lines.push(`aborted, where they were: ${slotsText(aborted)}`)
  return lines
}

function showPlan(plan: readonly PlannedMove[], { json }: JsonOptions): void {
  if (json) printJson({ moves: plan })
  else for (const line of planLines(plan)) print(line)
}

async function runAbort(slots: number[] | undefined, options: SlotOptions): Promise<void> {
  const report = await withControl(options, control => new SlotOperator(control).abort(slots))
  if (options.json) printJson(report)
  else for (const line of abortLines(report)) print(line)
}

function abortLines({ aborted, moved }: AbortReport): string[] {
  if (aborted.length + moved.length === 0) return ['none of them is on its way']
  const lines: string[] = []
  if (aborted.length > 0) lines.push(`aborted, where they were: ${slotsText(aborted)}`)
  if (moved.length > 0) lines.push(`moved already: ${slotsText(moved)}`)
  return lines
}
