import type { Judgement } from '../check/check.ts'
import type { WrongOnline } from './presence-log.ts'
import {
  type FaultRecord,
  type Percentiles,
  percentiles,
  type Recovery,
  recoveries
} from './recovery.ts'
import { judgeChecks, ownChecks, type ReportCheck, type RunFacts } from './report-checks.ts'
import { type SecondRow, secondRows } from './report-seconds.ts'
import { type WorstMessage, worstMessages } from './report-worst.ts'
import type { OperationOutcome } from './strokes.ts'
import type { UsersBack } from './users-back.ts'

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
        readonly detected: Percentiles
        readonly elected: Percentiles
        readonly converged: Percentiles
        readonly firstAck: Percentiles
        readonly firstDelivery: Percentiles
        readonly fullRate: Percentiles
      }
    >
  >
  /** For how long lookups named a gateway after its death. */
  readonly wrongOnline: readonly WrongOnline[]
  readonly wrongOnlineMs: Percentiles
  /** How long after a fault devices that lost their gateway by it were connected again. */
  readonly usersBack: readonly UsersBack[]
  readonly usersBackMs: Percentiles
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
  /** Slowest first. */
  readonly worst: readonly WorstMessage[]
  readonly durationSeconds: number
  readonly historyLines: number
}

export function buildReport(facts: RunFacts): ChaosReport {
  const { scenario, seed, startMs, endMs, samples, faults, judgement } = facts
  const second = (atMs: number): number => Math.round(Math.max(0, atMs - startMs)) / 1_000
  const found = recoveries(faults, samples, facts, endMs)
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
    usersBack: facts.usersBack.map(one => ({ ...one, ms: one.ms.map(Math.round) })),
    usersBackMs: percentiles(facts.usersBack.flatMap(one => one.ms)),
    sealedMs: percentiles(facts.sealedMs ?? []),
    operations: facts.outcomes,
    leaders: facts.leaderChanges.map(({ atMs, group, node, term }) => {
      return { at: second(atMs), group, node, term }
    }),
    epochs: facts.epochChanges.map(({ atMs, epoch }) => ({ at: second(atMs), epoch })),
    seconds: secondRows(samples, startMs, endMs),
    worst: worstMessages(facts),
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
    const times = (field: Exclude<keyof Recovery, 'fault' | 'set'>): Percentiles =>
      percentiles(own.flatMap(one => (one[field] === null ? [] : [one[field]])))
    table[action] = {
      detected: times('detectedMs'),
      elected: times('electedMs'),
      converged: times('convergedMs'),
      firstAck: times('firstAckMs'),
      firstDelivery: times('firstDeliveryMs'),
      fullRate: times('fullRateMs')
    }
  }
  return table
}
