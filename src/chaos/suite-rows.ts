import { type Percentiles, percentiles, type Recovery } from './recovery.ts'
import type { ChaosReport } from './report.ts'

/** One run of a scenario in a suite. */
export interface SuiteRun {
  readonly scenario: string
  readonly seed: number
  /** `failed`: it could not be carried out, see `failures`. */
  readonly verdict: ChaosReport['verdict'] | 'failed'
  /** Names of checks that did not pass, or why there are none. */
  readonly failures: readonly string[]
  readonly faults: number
  /** With starting, settling and judging. */
  readonly seconds: number
  /** Undefined when it could not be carried out. */
  readonly seen: SeenTimes | undefined
}

/** All runs of one scenario in a suite. */
export interface SuiteRow {
  readonly scenario: string
  /** Of the first run. */
  readonly seed: number
  /** `pass` only if every run passed; else the worst of them. */
  readonly verdict: SuiteRun['verdict']
  /** Each reason once, of all runs. */
  readonly failures: readonly string[]
  /** Of all runs together, and so are the seconds. */
  readonly faults: number
  readonly seconds: number
  readonly measures: SuiteMeasures
  readonly runs: readonly Pick<SuiteRun, 'seed' | 'verdict' | 'failures' | 'faults' | 'seconds'>[]
}

/** Over all faults, sets and runs; milliseconds. */
export interface SuiteMeasures {
  /** From due to acknowledged, of all messages. */
  readonly ack: Percentiles
  /** From due to delivered, of all messages. */
  readonly delivery: Percentiles
  /** From a fault until somebody notices that the leader of a group is gone. */
  readonly detection: Percentiles
  /** Until another one leads. */
  readonly election: Percentiles
  /** Until all the others follow that one. */
  readonly convergence: Percentiles
  readonly firstAck: Percentiles
  readonly firstDelivery: Percentiles
  /** Until 95 % of the throughput before. */
  readonly fullRate: Percentiles
  readonly wrongOnline: Percentiles
  /** From a fault until a device that lost its gateway by it is connected again. */
  readonly usersBack: Percentiles
}

/** What a run has measured: of messages how many were how fast, of all else each time; milliseconds. */
export type SeenTimes = {
  readonly [Name in keyof SuiteMeasures]: Name extends 'ack' | 'delivery'
    ? Percentiles
    : readonly number[]
}

/** Suites of before told of the election alone, and called it the detection. */
export function withElection<T>(
  seen: {
    readonly detection: T
    readonly election?: T | undefined
    readonly convergence?: T | undefined
  },
  none: T
): { readonly detection: T; readonly election: T; readonly convergence: T } {
  const { detection, election, convergence = none } = seen
  if (election === undefined) return { detection: none, election: detection, convergence }
  return { detection, election, convergence }
}

/** What of a report `timesSeenIn` reads. */
interface ReportedTimes {
  readonly messages: Pick<ChaosReport['messages'], 'ack' | 'delivery'>
  readonly recoveries: readonly Omit<Recovery, 'fault' | 'set'>[]
  readonly wrongOnline: readonly { readonly ms: number }[]
  readonly usersBack: readonly { readonly ms: readonly number[] }[]
}

const fromBestToWorst: readonly SuiteRun['verdict'][] = ['pass', 'unknown', 'fail', 'failed']

/** @param runs of one scenario, at least one. */
export function rowOf(runs: readonly [SuiteRun, ...SuiteRun[]]): SuiteRow {
  const { scenario, seed } = runs[0]
  const sum = (field: 'faults' | 'seconds'): number =>
    runs.reduce((all, one) => all + one[field], 0)
  const verdicts = runs.map(({ verdict }) => verdict)
  return {
    scenario,
    seed,
    verdict: fromBestToWorst.findLast(verdict => verdicts.includes(verdict))!,
    failures: [...new Set(runs.flatMap(({ failures }) => failures))],
    faults: sum('faults'),
    seconds: sum('seconds'),
    measures: measuresOf(runs.flatMap(({ seen }) => (seen === undefined ? [] : [seen]))),
    runs: runs.map(({ seed: own, verdict, failures, faults, seconds }) => {
      return { seed: own, verdict, failures, faults, seconds }
    })
  }
}

/** Of a report, or of what was read back of one. */
export function timesSeenIn({
  messages: { ack, delivery },
  recoveries,
  wrongOnline,
  usersBack
}: ReportedTimes): SeenTimes {
  const over = (field: keyof ReportedTimes['recoveries'][number]): number[] =>
    recoveries.flatMap(one => (one[field] === null ? [] : [one[field]]))
  return {
    ack,
    delivery,
    detection: over('detectedMs'),
    election: over('electedMs'),
    convergence: over('convergedMs'),
    firstAck: over('firstAckMs'),
    firstDelivery: over('firstDeliveryMs'),
    fullRate: over('fullRateMs'),
    wrongOnline: wrongOnline.map(({ ms }) => ms),
    usersBack: usersBack.flatMap(({ ms }) => ms)
  }
}

export function measuresOf(runs: readonly SeenTimes[]): SuiteMeasures {
  const over = (name: Exclude<keyof SeenTimes, 'ack' | 'delivery'>): Percentiles =>
    percentiles(runs.flatMap(run => run[name]))
  return {
    ack: together(runs.map(({ ack }) => ack)),
    delivery: together(runs.map(({ delivery }) => delivery)),
    detection: over('detection'),
    election: over('election'),
    convergence: over('convergence'),
    firstAck: over('firstAck'),
    firstDelivery: over('firstDelivery'),
    fullRate: over('fullRate'),
    wrongOnline: over('wrongOnline'),
    usersBack: over('usersBack')
  }
}

/** Of messages, whose single times nobody keeps: the median of their medians, and the worst of all else. */
function together(all: readonly Percentiles[]): Percentiles {
  const some = all.filter(({ count }) => count > 0)
  return {
    count: some.reduce((sum, { count }) => sum + count, 0),
    p50Ms: percentiles(some.map(({ p50Ms }) => p50Ms)).p50Ms,
    p99Ms: Math.max(0, ...some.map(({ p99Ms }) => p99Ms)),
    maxMs: Math.max(0, ...some.map(({ maxMs }) => maxMs))
  }
}
