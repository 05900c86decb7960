import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import type { ChaosReport } from './report.ts'
import { type ChaosOptions, runChaos } from './run.ts'
import type { Scenario } from './scenario.ts'
import {
  appendToSuiteLog,
  crc32OfScenario,
  hasSuiteLog,
  type LoggedRun,
  startSuiteLog,
  writeWhole
} from './suite-log.ts'
import { rowOf, type SuiteRow, type SuiteRun, timesSeenIn } from './suite-rows.ts'

/** `suite.json`. */
export interface SuiteReport {
  readonly format: 1
  readonly verdict: 'pass' | 'fail'
  readonly rows: readonly SuiteRow[]
  /** Asked for, of each scenario. */
  readonly runs: number
  /** Scenarios of which runs were left out, or all. */
  readonly notRun: readonly string[]
  /** Somebody ended it early; else runs were left out for want of time. */
  readonly stopped: boolean
  readonly seconds: number
}

export interface SuiteOptions extends Omit<ChaosOptions, 'scenario' | 'seconds'> {
  readonly scenarios: readonly Scenario[]
  /** Of each scenario; the seeds count up from `seed`. */
  readonly runs: number
  /** For all of them together; undefined: each as long as it is written. */
  readonly budgetSeconds?: number | undefined
  /** What an earlier suite has run of this one, read from its folder; undefined: it begins anew, in a folder without any. */
  readonly known?: readonly LoggedRun[] | undefined
  /** @param index of all runs. */
  readonly onScenario: (scenario: Scenario, seed: number, index: number) => void
  readonly onRun: (run: SuiteRun) => void
}

type Drill = (options: ChaosOptions) => Promise<ChaosReport>

/** Seeds go from 0 to this. */
export const seedMax = 1_000_000_000
/** Starting, connecting, healing, settling and judging, as it usually is. */
const overheadSeconds = 20
const leastSeconds = 8

/** The same scenario in less time, as far as it can be: its faults come closer to each other and last shorter. One that ends when all is done takes what it takes. */
export function shortened(scenario: Scenario, wantedSeconds: number): Scenario {
  const seconds = Math.max(wantedSeconds, scenario.leastSeconds ?? 0)
  const factor = seconds / scenario.seconds
  if (factor >= 1 || scenario.untilDone) return scenario
  const faults = scenario.faults.map(fault => {
    const { at, every, seconds: lasts } = fault
    if (at !== undefined) return { ...fault, at: at * factor, seconds: lasts * factor }
    return { ...fault, every: Math.min(every!, Math.max(lasts, seconds / 2)) }
  })
  return { ...scenario, seconds, faults }
}

/**
 * Runs scenarios one after the other, and with several runs all of them before any of them again: however early it ends, each had its share.
 * `suite.json` is written after every run, and a line of `runs.jsonl`. Stopped by the signal, it cleans up and resolves with what ran, and rejects with CANCELLED if
 * nothing did. Throws USAGE when the folder has runs of a suite that this one does not go on with.
 */
export async function runSuite(
  options: SuiteOptions,
  drill: Drill = runChaos
): Promise<SuiteReport> {
  const { scenarios, runs, seed, budgetSeconds, known = [], onScenario, onRun } = options
  startLog(options)
  const startMs = performance.now()
  let knownSeconds = 0
  const elapsed = (): number => knownSeconds + (performance.now() - startMs) / 1_000
  const done: SuiteRun[] = []
  const total = scenarios.length * runs
  for (let i = 0; i < total; i++) {
    const whole = scenarios[i % scenarios.length]!
    const leftSeconds = (budgetSeconds ?? Number.POSITIVE_INFINITY) - elapsed()
    const needed = overheadSeconds + Math.max(leastSeconds, whole.leastSeconds ?? 0)
    if (i > 0 && leftSeconds < needed) continue
    const share = leftSeconds / (total - i) - overheadSeconds
    const scenario = shortened(whole, Math.max(leastSeconds, share))
    const own = (seed + Math.floor(i / scenarios.length)) % (seedMax + 1)
    const scenarioCrc32 = crc32OfScenario(scenario)
    const before = known.find(
      one =>
        one.scenario === scenario.name && one.seed === own && one.scenarioCrc32 === scenarioCrc32
    )
    if (before !== undefined) {
      done.push(before)
      knownSeconds += before.seconds
      continue
    }
    onScenario(scenario, own, i)
    const run = await runOne({ ...options, scenario, seed: own }, runs > 1, drill).catch(error => {
      // Whatever a drill that was stopped in the middle ends with.
      if (!options.signal.aborted || done.length === 0) throw error
    })
    if (run === undefined) break
    done.push(run)
    onRun(run)
    write(options, { ...run, scenarioCrc32 }, reportOf(options, done, elapsed()))
  }
  const report = reportOf(options, done, elapsed())
  write(options, undefined, report)
  return report
}

function reportOf(
  { scenarios, runs, signal }: Pick<SuiteOptions, 'scenarios' | 'runs' | 'signal'>,
  done: readonly SuiteRun[],
  seconds: number
): SuiteReport {
  const rows: SuiteRow[] = []
  const notRun: string[] = []
  for (const { name } of scenarios) {
    const [first, ...others] = done.filter(({ scenario }) => scenario === name)
    if (first !== undefined) rows.push(rowOf([first, ...others]))
    if (first === undefined || others.length + 1 < runs) notRun.push(name)
  }
  const passed = notRun.length === 0 && rows.every(({ verdict }) => verdict === 'pass')
  const verdict = passed ? 'pass' : 'fail'
  const stopped = signal.aborted && notRun.length > 0
  return { format: 1, verdict, runs, rows, notRun, stopped, seconds: Math.round(seconds) }
}

function startLog({ reportDirectory, known }: SuiteOptions): void {
  if (reportDirectory === undefined) return
  if (known === undefined && hasSuiteLog(reportDirectory)) {
    const text = `${reportDirectory} has runs of a suite: go on with it (--resume), or choose another folder`
    throw new RingsetError('USAGE', text)
  }
  startSuiteLog(reportDirectory, known ?? [])
}

function write(
  { reportDirectory }: SuiteOptions,
  run: LoggedRun | undefined,
  report: SuiteReport
): void {
  if (reportDirectory === undefined) return
  if (run !== undefined) appendToSuiteLog(reportDirectory, run)
  writeWhole(join(reportDirectory, 'suite.json'), `${JSON.stringify(report, null, 2)}\n`)
}

/**
 * A scenario that cannot be carried out is a failure of the suite, not its end.
 * @param several only what a run that did not pass has written is worth its room.
 */
async function runOne(options: ChaosOptions, several: boolean, drill: Drill): Promise<SuiteRun> {
  const { scenario, seed } = options
  const reportDirectory = folderOf(options, several)
  const startMs = performance.now()
  const seconds = (): number => Math.round((performance.now() - startMs) / 1_000)
  const run = { scenario: scenario.name, seed }
  try {
    const report = await drill({ ...options, reportDirectory })
    const { verdict, checks, faults } = report
    if (several && verdict === 'pass' && reportDirectory !== undefined) {
      rmSync(reportDirectory, { recursive: true, force: true })
    }
    return {
      ...run,
      verdict,
      failures: checks.filter(({ ok }) => ok !== true).map(({ name }) => name),
      faults: faults.length,
      seconds: seconds(),
      seen: timesSeenIn(report)
    }
  } catch (error) {
    if (!(error instanceof RingsetError) || options.signal.aborted) throw error
    const failures = [`${error.code}: ${error.message}`]
    return { ...run, verdict: 'failed', failures, faults: 0, seconds: seconds(), seen: undefined }
  }
}

function folderOf(
  { reportDirectory, scenario, seed }: ChaosOptions,
  several: boolean
): string | undefined {
  if (reportDirectory === undefined) return undefined
  return join(reportDirectory, scenario.name + (several ? `-${seed}` : ''))
}
