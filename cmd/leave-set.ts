import type { CarriedSlots, SetOperator, SetWork } from '../src/control/set-operator.ts'
import { nodesOf, type RetiredSet, retireSet } from '../src/launch/set-change.ts'
import { exitCodes } from './failure.ts'
import type { JsonOptions } from './options.ts'
import type { SetTarget } from './set-target.ts'
import { slotsText } from './slot-list.ts'
import { note, print, printJson } from './terminal.ts'

/** What a command that changes sets works with. */
export interface SetScene {
  readonly target: SetTarget
  /** For what is looked up before anything happens. */
  readonly operator: SetOperator
  /** For what is under way: a machine without time to spare must not end it. */
  readonly patient: SetOperator
  readonly work: SetWork & { readonly signal: AbortSignal }
  /** Before anything is printed. */
  endProgress(): void
}

export interface SetReport extends CarriedSlots {
  readonly set: string
  readonly seconds: number
}

export interface Leaving {
  readonly startMs: number
  /** The command that goes on when this one is stopped. */
  readonly again: string
  /** Of the slots that the set had; undefined when the table does not list the set any more. */
  readonly carried: CarriedSlots | undefined
  /** For programs, beside the report. */
  readonly facts?: object
  /** What to do with the folders of its nodes. */
  readonly folders: string
}

/** Takes a set that has given its slots away out of the cluster, and says so. */
export async function leaveCluster(
  { target, patient, work, endProgress }: SetScene,
  id: string,
  { startMs, again, carried, facts, folders }: Leaving,
  { json }: JsonOptions
): Promise<void> {
  const report = (): SetReport => {
    const none = { moved: 0, total: 0, aborted: [] }
    return { set: id, ...(carried ?? none), seconds: secondsSince(startMs) }
  }
  if (carried !== undefined) {
    const through = carried.moved === carried.total && !work.signal.aborted
    if (through) await patient.drainGateways(id, work)
    if (!through || !(await patient.remove(id, work))) {
      endProgress()
      if (json) printJson({ ...report(), ...facts, removed: false })
      else print(`set ${id} is not removed yet, ${movedText(report())}`)
      sayWhatIsLeft(report(), work.signal, again)
      process.exitCode = exitCodes.refused
      return
    }
  }
  work.onWait?.(`stopping the nodes of ${id}`)
  const { local } = target
  const retired = local === undefined ? undefined : await retireSet(local, id)
  endProgress()
  if (json) printJson({ ...report(), ...facts, removed: true })
  else for (const text of removedLines(report(), retired, folders)) print(text)
  if (retired !== undefined && retired.shared.length > 0) {
    note(`restart ${retired.shared.join(', ')}: they still have roles of the set`)
  }
}

/** Those that `leaveCluster` stops. */
export function nodesToStop({ target }: SetScene, id: string): string[] {
  if (target.local === undefined) return []
  return nodesOf(target.config(), id).map(node => node.id)
}

function removedLines(
  report: SetReport,
  retired: RetiredSet | undefined,
  folders: string
): string[] {
  const lines = [`set ${report.set} is removed, ${movedText(report)}`]
  if (retired === undefined) {
    lines.push('stop its nodes, and take it and them out of the configuration')
  } else if (retired.stopped.length > 0) {
    const named = (stuck: boolean): string =>
      retired.stopped
        .filter(({ how }) => (how === 'stuck') === stuck)
        .map(({ id }) => id)
        .join(', ')
    if (named(false) !== '') lines.push(`stopped: ${named(false)}; ${folders}`)
    if (named(true) !== '') lines.push(`stuck: ${named(true)} outlived SIGKILL`)
  }
  return lines
}

export function movedText({ moved, total, seconds }: SetReport): string {
  return `${moved} of ${total} slots moved, ${seconds.toFixed(1)} s`
}

/** After a command that did not get through. */
export function sayWhatIsLeft({ aborted }: SetReport, signal: AbortSignal, again: string): void {
  if (aborted.length > 0) note(`called off, where they were: ${slotsText(aborted)}`)
  if (aborted.length === 0 && !signal.aborted) return
  note(`to go on: ${again}`)
  process.exitCode = exitCodes.refused
}

export function secondsSince(startMs: number): number {
  return Math.round(performance.now() - startMs) / 1_000
}
