import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import { type Percentiles, percentiles } from './recovery.ts'
import type { ChaosReport } from './report.ts'
import { type ChaosOptions, runChaos } from './run.ts'
import type { Scenario } from './scenario.ts'

/** One scenario of a suite. */
export interface SuiteRow {
  readonly scenario: string
  readonly seed: number
  /** `failed`: it could not be carried out, see `failures`. */
  readonly verdict: ChaosReport['verdict'] | 'failed'
  /** Names of checks that did not pass, or why there are none. */
  readonly failures: readonly string[]
  readonly faults: number
  /** With starting, settling and judging. */
  readonly seconds: number
  readonly measures: SuiteMeasures
}

/** Over all faults and sets of a run; milliseconds. */
export interface SuiteMeasures {
  /** From due to acknowledged, of all messages. */
  readonly ack: Percentiles
  /** From due to delivered, of all messages. */
  readonly delivery: Percentiles
  /** From a fault to another leader of a group that was led from there. */
  readonly detection: Percentiles
  readonly firstAck: Percentiles
  readonly firstDelivery: Percentiles
  /** Until 95 % of the throughput before. */
  readonly fullRate: Percentiles
  readonly wrongOnline: Percentiles
}

/** `suite.json`. */
export interface SuiteReport {
  readonly format: 1
  readonly verdict: 'pass' | 'fail'
  readonly rows: readonly SuiteRow[]
  /** The time was over before their turn. */
  readonly notRun: readonly string[]
  readonly seconds: number
}

export interface SuiteOptions extends Omit<ChaosOptions, 'scenario' | 'seconds'> {
  readonly scenarios: readonly Scenario[]
  /** For all of them together; undefined: each as long as it is written. */
  readonly budgetSeconds?: number | undefined
  readonly onScenario: (scenario: Scenario, index: number) => void
  readonly onRow: (row: SuiteRow) => void
}

/** Starting, connecting, healing, settling and judging, as it usually is. */
const overheadSeconds = 20
const leastSeconds = 8

/** The same scenario in less time, as far as it can be: its faults come closer to each other and last shorter. */
export function shortened(scenario: Scenario, wantedSeconds: number): Scenario {
  const seconds = Math.max(wantedSeconds, scenario.leastSeconds ?? 0)
  const factor = seconds / scenario.seconds
  if (factor >= 1) return scenario
  const faults = scenario.faults.map(fault => {
    const { at, every, seconds: lasts } = fault
    if (at !== undefined) return { ...fault, at: at * factor, seconds: lasts * factor }
    return { ...fault, every: Math.min(every!, Math.max(lasts, seconds / 2)) }
  })
  return { ...scenario, seconds, faults }
}

export function measuresOf({ messages, recoveries, wrongOnlineMs }: ChaosReport): SuiteMeasures {
  const over = (field: 'electedMs' | 'firstAckMs' | 'firstDeliveryMs' | 'fullRateMs') =>
    percentiles(recoveries.flatMap(one => (one[field] === null ? [] : [one[field]])))
  return {
    ack: messages.ack,
    delivery: messages.delivery,
    detection: over('electedMs'),
    firstAck: over('firstAckMs'),
    firstDelivery: over('firstDeliveryMs'),
    fullRate: over('fullRateMs'),
    wrongOnline: wrongOnlineMs
  }
}

/** Runs scenarios one after the other. Rejects with CANCELLED, after cleaning up. */
export async function runSuite(options: SuiteOptions): Promise<SuiteReport> {
  const { scenarios, budgetSeconds, reportDirectory, onScenario, onRow } = options
  const startMs = performance.now()
  const elapsed = (): number => (performance.now() - startMs) / 1_000
  const rows: SuiteRow[] = []
  const notRun: string[] = []
  for (const [i, whole] of scenarios.entries()) {
    const share =
      budgetSeconds === undefined
        ? Number.POSITIVE_INFINITY
        : (budgetSeconds - elapsed()) / (scenarios.length - i) - overheadSeconds
    if (share < leastSeconds && i > 0) {
      notRun.push(whole.name)
      continue
    }
    const scenario = shortened(whole, Math.max(leastSeconds, share))
    onScenario(scenario, i)
    const row = await runOne({ ...options, scenario })
    rows.push(row)
    onRow(row)
  }
  const passed = notRun.length === 0 && rows.every(({ verdict }) => verdict === 'pass')
  const verdict = passed ? 'pass' : 'fail'
  const report: SuiteReport = { format: 1, verdict, rows, notRun, seconds: Math.round(elapsed()) }
  if (reportDirectory !== undefined) {
    mkdirSync(reportDirectory, { recursive: true })
    writeFileSync(join(reportDirectory, 'suite.json'), `${JSON.stringify(report, null, 2)}\n`)
  }
  return report
}

/** A scenario that cannot be carried out is a failure of the suite, not its end. */
async function runOne(options: ChaosOptions): Promise<SuiteRow> {
  const { scenario, seed, reportDirectory } = options
  const own = reportDirectory === undefined ? undefined : join(reportDirectory, scenario.name)
  const startMs = performance.now()
  const seconds = (): number => Math.round((performance.now() - startMs) / 1_000)
  try {
    const report = await runChaos({ ...options, reportDirectory: own })
    const { verdict, checks, faults } = report
    const failures = checks.filter(({ ok }) => ok !== true).map(({ name }) => name)
    const measures = measuresOf(report)
    const row = { scenario: scenario.name, seed, verdict, failures, faults: faults.length }
    return { ...row, seconds: seconds(), measures }
  } catch (error) {
    if (!(error instanceof RingsetError) || options.signal.aborted) throw error
    const none = percentiles([])
    const measures: SuiteMeasures = {
      ack: none,
      delivery: none,
      detection: none,
      firstAck: none,
      firstDelivery: none,
      fullRate: none,
      wrongOnline: none
    }
    const failures = [`${error.code}: ${error.message}`]
    const row = { scenario: scenario.name, seed, verdict: 'failed' as const, failures, faults: 0 }
    return { ...row, seconds: seconds(), measures }
  }
}
