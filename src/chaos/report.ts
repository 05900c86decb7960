import type { Judgement } from '../check/check.ts'
import type { EpochChange, LeaderChange } from './cluster-watch.ts'
import {
  type FaultRecord,
  type Percentiles,
  percentiles,
  type Recovery,
  recoveries,
  untouched
} from './recovery.ts'
import type { Scenario } from './scenario.ts'
import type { MessageSample } from './workload.ts'

/** What a run leaves behind to be judged. Times by `performance.now`. */
export interface RunFacts {
  readonly scenario: Scenario
  readonly seed: number
  readonly startMs: number
  readonly endMs: number
  readonly samples: readonly MessageSample[]
  readonly errors: ReadonlyMap<string, number>
  readonly faults: readonly FaultRecord[]
  readonly leaderChanges: readonly LeaderChange[]
  readonly epochChanges: readonly EpochChange[]
  /** Devices that never got everything. */
  readonly missing: readonly string[]
  readonly judgement: Judgement
}

export interface ReportCheck {
  readonly name: string
  readonly ok: boolean | 'unknown'
  readonly detail: string
  readonly examples: readonly string[]
}

/** One second of the run. */
export interface SecondRow {
  readonly second: number
  readonly sent: number
  readonly acked: number
  readonly delivered: number
  /** Of the messages that were due in it; null when none of them was acknowledged. */
  readonly ackP50Ms: number | null
  readonly ackP99Ms: number | null
}

/** `report.json`. Times in seconds since the load began unless named otherwise. */
export interface ChaosReport {
  readonly format: 1
  readonly scenario: string
  readonly proves: string
  readonly seed: number
  readonly verdict: 'pass' | 'fail' | 'unknown'
  readonly checks: readonly ReportCheck[]
  readonly messages: {
    readonly sent: number
    readonly acked: number
    readonly delivered: number
    readonly lost: number
    readonly duplicated: number
    readonly errors: Readonly<Record<string, number>>
    readonly ack: Percentiles
    readonly delivery: Percentiles
  }
  readonly faults: readonly {
    readonly action: string
    readonly target: string
    readonly nodes: readonly string[]
    readonly sets: readonly string[]
    readonly from: number
    readonly to: number
  }[]
  readonly recoveries: readonly Recovery[]
  /** Over all faults of a kind. */
  readonly recoveryMs: Readonly<
    Record<
      string,
      {
        readonly elected: Percentiles
        readonly firstAck: Percentiles
        readonly firstDelivery: Percentiles
      }
    >
  >
  readonly leaders: readonly {
    readonly at: number
    readonly group: string
    readonly node: string
    readonly term: number
  }[]
  readonly epochs: readonly { readonly at: number; readonly epoch: number }[]
  readonly seconds: readonly SecondRow[]
  readonly durationSeconds: number
  readonly operations: number
}

const examplesMax = 5

export function buildReport(facts: RunFacts): ChaosReport {
  const { scenario, seed, startMs, endMs, samples, faults, judgement } = facts
  const second = (atMs: number): number => Math.round(Math.max(0, atMs - startMs)) / 1_000
  const found = recoveries(faults, samples, facts.leaderChanges, endMs)
  const checks = [...judgeChecks(judgement), ...ownChecks(facts, found)]
  const acked = samples.filter(({ ackedMs }) => ackedMs > 0)
  const delivered = samples.filter(({ deliveredMs }) => deliveredMs > 0)
  return {
    format: 1,
    scenario: scenario.name,
    proves: scenario.proves,
    seed,
    verdict: verdictOf(checks, judgement),
    checks,
    messages: {
      sent: samples.length,
      acked: acked.length,
      delivered: delivered.length,
      lost: violationsOf(judgement, 'loss'),
      duplicated: violationsOf(judgement, 'duplicates'),
      errors: Object.fromEntries([...facts.errors].sort()),
      ack: percentiles(acked.map(({ dueMs, ackedMs }) => ackedMs - dueMs)),
      delivery: percentiles(delivered.map(({ dueMs, deliveredMs }) => deliveredMs - dueMs))
    },
    faults: faults.map(({ action, target, nodes, sets, atMs, undoneMs }) => {
      return { action, target, nodes, sets, from: second(atMs), to: second(undoneMs || endMs) }
    }),
    recoveries: found,
    recoveryMs: recoveryTable(faults, found),
    leaders: facts.leaderChanges.map(({ atMs, group, node, term }) => {
      return { at: second(atMs), group, node, term }
    }),
    epochs: facts.epochChanges.map(({ atMs, epoch }) => ({ at: second(atMs), epoch })),
    seconds: secondRows(samples, startMs, endMs),
    durationSeconds: second(endMs),
    operations: judgement.lines
  }
}

function judgeChecks({ checks }: Judgement): ReportCheck[] {
  return checks
    .filter(({ judged, ok }) => judged > 0 || ok !== true)
    .map(({ name, ok, detail, examples }) => ({ name, ok, detail, examples }))
}

/** What the history alone does not say. */
function ownChecks(facts: RunFacts, found: readonly Recovery[]): ReportCheck[] {
  const { scenario, missing, faults, samples } = facts
  const { firstAckMs, untouchedTimes, errors } = scenario.expect
  const checks: ReportCheck[] = [
    {
      name: 'settled',
      ok: missing.length === 0,
      detail:
        missing.length === 0
          ? 'every device got everything after the last fault'
          : `${missing.length} conversations of devices lack messages after a minute`,
      examples: missing.slice(0, examplesMax)
    },
    {
      name: 'faults',
      ok: faults.length > 0 || scenario.faults.length === 0,
      detail: `${faults.length} faults happened`,
      examples: []
    }
  ]
  if (errors !== undefined) {
    const seen = [...facts.errors.values()].reduce((sum, times) => sum + times, 0)
    checks.push({
      name: 'errors',
      ok: seen <= errors,
      detail: `${seen} operations ended in an error, at most ${errors} wanted`,
      examples: [...facts.errors].map(([code, times]) => `${code} ${times} times`)
    })
  }
  if (firstAckMs !== undefined) {
    const times = found.flatMap(one => (one.firstAckMs === null ? [] : [one.firstAckMs]))
    const { p99Ms, count } = percentiles(times)
    checks.push({
      name: 'first-ack',
      ok: count === 0 ? 'unknown' : p99Ms <= firstAckMs,
      detail: `p99 ${Math.round(p99Ms)} ms over ${count} faults and sets, at most ${firstAckMs} ms wanted`,
      examples: []
    })
  }
  if (untouchedTimes !== undefined) {
    const compared = untouched(faults, samples)
    const times = compared === null ? 0 : compared.during.p99Ms / compared.before.p99Ms
    checks.push({
      name: 'untouched',
      ok: compared === null ? 'unknown' : times <= untouchedTimes,
      detail:
        compared === null
          ? 'there was nothing to compare'
          : `p99 ${compared.during.p99Ms.toFixed(1)} ms during faults, ${compared.before.p99Ms.toFixed(1)} ms before: ${times.toFixed(2)} times, at most ${untouchedTimes} wanted`,
      examples: []
    })
  }
  return checks
}

function verdictOf(checks: readonly ReportCheck[], { verdict }: Judgement): ChaosReport['verdict'] {
  if (checks.some(({ ok }) => ok === false) || verdict === 'fail') return 'fail'
  return checks.some(({ ok }) => ok === 'unknown') || verdict === 'unknown' ? 'unknown' : 'pass'
}

/** How often a check of a judgement found its rule broken. */
export function violationsOf({ checks }: Judgement, name: string): number {
  return checks.find(check => check.name === name)?.violations ?? 0
}

function recoveryTable(
  faults: readonly FaultRecord[],
  found: readonly Recovery[]
): ChaosReport['recoveryMs'] {
  const table: Record<string, ChaosReport['recoveryMs'][string]> = {}
  for (const action of new Set(faults.map(fault => fault.action))) {
    const own = found.filter(({ fault }) => faults[fault]!.action === action)
    const times = (field: 'electedMs' | 'firstAckMs' | 'firstDeliveryMs'): Percentiles =>
      percentiles(own.flatMap(one => (one[field] === null ? [] : [one[field]])))
    table[action] = {
      elected: times('electedMs'),
      firstAck: times('firstAckMs'),
      firstDelivery: times('firstDeliveryMs')
    }
  }
  return table
}

function secondRows(
  samples: readonly MessageSample[],
  startMs: number,
  endMs: number
): SecondRow[] {
  const count = Math.max(1, Math.ceil((endMs - startMs) / 1_000))
  const rows = Array.from({ length: count }, () => {
    return { sent: 0, acked: 0, delivered: 0, took: [] as number[] }
  })
  const rowAt = (atMs: number) => rows[Math.floor((atMs - startMs) / 1_000)]
  for (const { dueMs, ackedMs, deliveredMs } of samples) {
    const due = rowAt(dueMs)
    if (due !== undefined) due.sent++
    if (ackedMs > 0) {
      due?.took.push(ackedMs - dueMs)
      const row = rowAt(ackedMs)
      if (row !== undefined) row.acked++
    }
    const row = deliveredMs > 0 ? rowAt(deliveredMs) : undefined
    if (row !== undefined) row.delivered++
  }
  return rows.map(({ sent, acked, delivered, took }, second) => {
    const { p50Ms, p99Ms } = percentiles(took)
    const none = took.length === 0
    return {
      second,
      sent,
      acked,
      delivered,
      ackP50Ms: none ? null : p50Ms,
      ackP99Ms: none ? null : p99Ms
    }
  })
}
