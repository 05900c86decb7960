import type { Judgement } from '../check/check.ts'
import type { WrongOnline } from './presence-watch.ts'
import {
  type FaultRecord,
  type Percentiles,
  percentiles,
  type Recovery,
  recoveries
} from './recovery.ts'
import { judgeChecks, ownChecks, type ReportCheck, type RunFacts } from './report-checks.ts'
import type { OperationOutcome } from './strokes.ts'
import type { MessageSample } from './workload.ts'

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
  readonly format: 2
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
        readonly fullRate: Percentiles
      }
    >
  >
  /** For how long lookups named a gateway after its death. */
  readonly wrongOnline: readonly WrongOnline[]
  readonly wrongOnlineMs: Percentiles
  /** For how long nobody served a slot that moved. */
  readonly sealedMs: Percentiles
  readonly operations: readonly OperationOutcome[]
  readonly leaders: readonly {
    readonly at: number
    readonly group: string
    readonly node: string
    readonly term: number
  }[]
  readonly epochs: readonly { readonly at: number; readonly epoch: number }[]
  readonly seconds: readonly SecondRow[]
  readonly durationSeconds: number
  readonly historyLines: number
}

export function buildReport(facts: RunFacts): ChaosReport {
  const { scenario, seed, startMs, endMs, samples, faults, judgement } = facts
  const second = (atMs: number): number => Math.round(Math.max(0, atMs - startMs)) / 1_000
  const found = recoveries(faults, samples, facts.leaderChanges, endMs)
  const checks = [...judgeChecks(judgement), ...ownChecks(facts, found)]
  const acked = samples.filter(({ ackedMs }) => ackedMs > 0)
  const delivered = samples.filter(({ deliveredMs }) => deliveredMs > 0)
  return {
    format: 2,
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
    wrongOnline: facts.wrongOnline,
    wrongOnlineMs: percentiles(facts.wrongOnline.map(one => one.ms)),
    sealedMs: percentiles(facts.sealedMs ?? []),
    operations: facts.outcomes,
    leaders: facts.leaderChanges.map(({ atMs, group, node, term }) => {
      return { at: second(atMs), group, node, term }
    }),
    epochs: facts.epochChanges.map(({ atMs, epoch }) => ({ at: second(atMs), epoch })),
    seconds: secondRows(samples, startMs, endMs),
    durationSeconds: second(endMs),
    historyLines: judgement.lines
  }
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
    const times = (
      field: 'electedMs' | 'firstAckMs' | 'firstDeliveryMs' | 'fullRateMs'
    ): Percentiles => percentiles(own.flatMap(one => (one[field] === null ? [] : [one[field]])))
    table[action] = {
      elected: times('electedMs'),
      firstAck: times('firstAckMs'),
      firstDelivery: times('firstDeliveryMs'),
      fullRate: times('fullRateMs')
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
