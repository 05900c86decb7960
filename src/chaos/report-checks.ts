import type { Judgement } from '../check/check.ts'
import type { EpochChange, LeaderChange, NodeSights } from './cluster-watch.ts'
import type { FailStop } from './fault-hand.ts'
import type { FollowingChange } from './followings.ts'
import type { MessageSample } from './message-sample.ts'
import type { WrongOnline } from './presence-log.ts'
import {
  type AroundFaults,
  type FaultRecord,
  percentiles,
  type Recovery,
  underFaults,
  untouched,
  type Waits
} from './recovery.ts'
import { isOperation, type Scenario } from './scenario.ts'
import type { OperationOutcome } from './strokes.ts'
import { memoryOver, tableSpreads } from './table-spread.ts'
import type { UsersBack } from './users-back.ts'

/** What a run leaves behind to be judged. Times by `performance.now`. */
export interface RunFacts {
  readonly scenario: Scenario
  readonly seed: number
  readonly startMs: number
  readonly endMs: number
  /** When everything was mended; the load went on for a while. */
  readonly healedMs: number
  readonly samples: readonly MessageSample[]
  readonly errors: ReadonlyMap<string, number>
  readonly faults: readonly FaultRecord[]
  readonly outcomes: readonly OperationOutcome[]
  readonly failStops: readonly FailStop[]
  /** In words: what could not be done or undone, and what kept the cluster from being whole again. */
  readonly failures: readonly string[]
  readonly wrongOnline: readonly WrongOnline[]
  readonly usersBack: readonly UsersBack[]
  /** The gateways that held a connection of a user; empty: not known. */
  readonly gatewaysOf: (uid: string, atMs: number) => string
  readonly leaderChanges: readonly LeaderChange[]
  readonly followings: readonly FollowingChange[]
  readonly epochChanges: readonly EpochChange[]
  readonly sights: readonly NodeSights[]
  /** For how long each slot that moved was served by nobody; undefined: the logs are out of reach. */
  readonly sealedMs?: readonly number[] | undefined
  /** In words: devices and replicas that never got everything, slots that never arrived. */
  readonly missing: readonly string[]
  readonly judgement: Judgement
}

export interface ReportCheck {
  readonly name: string
  readonly ok: boolean | 'unknown'
  readonly detail: string
  readonly examples: readonly string[]
}

const examplesMax = 5

export function judgeChecks({ checks }: Judgement): ReportCheck[] {
  return checks
    .filter(({ judged, ok }) => judged > 0 || ok !== true)
    .map(({ name, ok, detail, examples }) => ({ name, ok, detail, examples }))
}

/** What the history alone does not say. */
export function ownChecks(facts: RunFacts, found: readonly Recovery[]): ReportCheck[] {
  const checks = [settled(facts), serving(facts), happened(facts), carriedOut(facts)]
  const { expect } = facts.scenario
  const { errors, firstAckMs, firstAckMedianMs, wrongOnlineMs, usersBackMs, untouchedTimes } =
    expect
  const { duringTimes, convergeMs, memoryTimes } = expect
  if (facts.failStops.length > 0) checks.push(stopped(facts))
  if (expectsOperations(facts)) checks.push(operated(facts))
  if (expect.slotsMoved !== undefined) checks.push(moved(facts, expect.slotsMoved))
  if (expect.sealedMs !== undefined) checks.push(sealed(facts, expect.sealedMs))
  if (errors !== undefined) checks.push(erred(facts, errors))
  if (firstAckMs !== undefined) checks.push(acknowledged(facts, found, 'p99', firstAckMs))
  if (firstAckMedianMs !== undefined) {
    checks.push(acknowledged(facts, found, 'p50', firstAckMedianMs))
  }
  if (wrongOnlineMs !== undefined) checks.push(wronglyOnline(facts, wrongOnlineMs))
  if (usersBackMs !== undefined) checks.push(cameBack(facts, usersBackMs))
  const { faults, samples } = facts
  if (untouchedTimes !== undefined) {
    checks.push(slowed('untouched', untouched(faults, samples), untouchedTimes))
  }
  if (duringTimes !== undefined) {
    checks.push(slowed('during', underFaults(faults, samples), duringTimes))
  }
  if (convergeMs !== undefined) checks.push(converged(facts, convergeMs))
  if (memoryTimes !== undefined) checks.push(grown(facts, memoryTimes))
  return checks
}

function settled({ missing }: RunFacts): ReportCheck {
  const ok = missing.length === 0
  const detail = ok
    ? 'every device and replica got everything after the last fault'
    : `${missing.length} things are still missing a minute after the last fault`
  return { name: 'settled', ok, detail, examples: missing.slice(0, examplesMax) }
}

/** A set that answers nobody any more has lost nothing that it had acknowledged. */
function serving({ samples, healedMs }: RunFacts): ReportCheck {
  const due = samples.filter(({ dueMs }) => dueMs >= healedMs)
  const unanswered = due.filter(({ ackedMs }) => ackedMs === 0)
  const sets = [...new Set(unanswered.map(({ homeSet }) => homeSet))].sort()
  return {
    name: 'serving',
    ok: due.length === 0 ? 'unknown' : unanswered.length === 0,
    detail: `${due.length - unanswered.length} of ${due.length} messages were acknowledged that were due when everything was mended`,
    examples: sets.slice(0, examplesMax).map(set => {
      const own = due.filter(({ homeSet }) => homeSet === set)
      const open = unanswered.filter(({ homeSet }) => homeSet === set)
      return `${set}: ${open.length} of ${own.length} not`
    })
  }
}

/** A line of the scenario of which nothing came, or nobody knows whether, proves nothing. */
function happened({ faults, scenario }: RunFacts): ReportCheck {
  const seen = new Set(faults.filter(({ inForceMs }) => inForceMs > 0).map(({ line }) => line))
  const idle = scenario.faults.flatMap((fault, line) => (seen.has(line) ? [] : [{ fault, line }]))
  const none = seen.size === 0 && idle.length > 0
  return {
    name: 'faults',
    ok: none ? false : idle.length === 0 || 'unknown',
    detail: `${faults.length} faults happened`,
    examples: idle.slice(0, examplesMax).map(({ fault, line }) => {
      return `line ${line + 1}, ${[fault.do, fault.target ?? fault.from].join(' ').trim()}: never`
    })
  }
}

/** A process that dies by itself is met by the fault that was to hit it, or does not come back from one. */
function carriedOut({ failures }: RunFacts): ReportCheck {
  const ok = failures.length === 0
  return {
    name: 'carried-out',
    ok,
    detail: ok
      ? 'every fault was done and undone as it was to be'
      : `${failures.length} faults could not be done or undone as they were to be`,
    examples: failures.slice(0, examplesMax)
  }
}

function expectsOperations({ outcomes, scenario }: RunFacts): boolean {
  const { expect, faults } = scenario
  if (outcomes.length > 0 || expect.operations !== undefined) return true
  return faults.some(fault => isOperation(fault.do))
}

function operated({ outcomes, scenario }: RunFacts): ReportCheck {
  const refused = outcomes.filter(({ ok }) => !ok)
  const done = outcomes.length - refused.length
  const { operations: least = 0, refusals = outcomes.length - 1 } = scenario.expect
  const wanted = least > 0 ? `, at least ${least} wanted` : ''
  return {
    name: 'operations',
    ok:
      outcomes.length === 0 && least === 0
        ? 'unknown'
        : done >= least && (outcomes.length === 0 || refused.length <= refusals),
    detail: `${done} of ${outcomes.length} operations succeeded${wanted}`,
    examples: refused.slice(0, examplesMax).map(({ action, text }) => `${action}: ${text}`)
  }
}

function erred({ errors }: RunFacts, most: number): ReportCheck {
  const seen = [...errors.values()].reduce((sum, times) => sum + times, 0)
  return {
    name: 'errors',
    ok: seen <= most,
    detail: `${seen} operations ended in an error, at most ${most} wanted`,
    examples: [...errors].map(([code, times]) => `${code} ${times} times`)
  }
}

function moved({ sealedMs }: RunFacts, least: number): ReportCheck {
  const count = sealedMs?.length ?? 0
  return {
    name: 'moves',
    ok: sealedMs === undefined ? 'unknown' : count >= least,
    detail: `${count} slots were taken over, at least ${least} wanted`,
    examples: []
  }
}

function sealed({ sealedMs = [] }: RunFacts, mostMs: number): ReportCheck {
  const { count, p50Ms, p99Ms, maxMs } = percentiles(sealedMs)
  const times = `p50 ${Math.round(p50Ms)} ms, p99 ${Math.round(p99Ms)} ms, longest ${Math.round(maxMs)} ms`
  return {
    name: 'sealed',
    ok: count === 0 ? 'unknown' : p99Ms <= mostMs,
    detail: `${count} slots were sealed for ${times}; p99 at most ${mostMs} ms wanted`,
    examples: []
  }
}

/** Crash beats lying. */
function stopped({ failStops }: RunFacts): ReportCheck {
  const ranOn = failStops.filter(one => !one.stopped)
  return {
    name: 'fail-stop',
    ok: ranOn.length === 0,
    detail: `${failStops.length - ranOn.length} of ${failStops.length} processes whose disk failed stopped themselves`,
    examples: ranOn.slice(0, examplesMax).map(({ action, node }) => `${action}: ${node} ran on`)
  }
}

function acknowledged(
  { samples, faults }: RunFacts,
  found: readonly Recovery[],
  at: 'p50' | 'p99',
  mostMs: number
): ReportCheck {
  const times = found.flatMap(one => (one.firstAckMs === null ? [] : [one.firstAckMs]))
  const { [`${at}Ms` as const]: ms, count } = percentiles(times)
  // Where nobody wrote any more, nothing was to be acknowledged.
  const never = found.filter(({ fault, set, firstAckMs }) => {
    const { atMs, inForceMs } = faults[fault]!
    const fromMs = Math.max(atMs, inForceMs)
    return firstAckMs === null && samples.some(one => one.homeSet === set && one.dueMs > fromMs)
  })
  return {
    name: at === 'p99' ? 'first-ack' : 'first-ack-median',
    ok: never.length > 0 ? false : count === 0 ? 'unknown' : ms <= mostMs,
    detail: `${at} ${Math.round(ms)} ms over ${count} faults and sets, at most ${mostMs} ms wanted`,
    examples: never.slice(0, examplesMax).map(({ fault, set }) => {
      return `${set}: never again after ${faults[fault]!.action} ${faults[fault]!.nodes.join(', ')}`
    })
  }
}

function wronglyOnline({ wrongOnline }: RunFacts, mostMs: number): ReportCheck {
  const { count, maxMs } = percentiles(wrongOnline.map(({ ms }) => ms))
  return {
    name: 'wrong-online',
    ok: count === 0 ? 'unknown' : maxMs <= mostMs,
    detail: `up to ${Math.round(maxMs)} ms after the death of ${count} gateways, at most ${mostMs} ms wanted`,
    examples: []
  }
}

function cameBack({ usersBack }: RunFacts, mostMs: number): ReportCheck {
  const { count, p99Ms } = percentiles(usersBack.flatMap(({ ms }) => ms))
  return {
    name: 'users-back',
    ok: count === 0 ? 'unknown' : p99Ms <= mostMs,
    detail: `p99 ${Math.round(p99Ms)} ms over ${count} devices that lost their gateway, at most ${mostMs} ms wanted`,
    examples: []
  }
}

function slowed(name: string, compared: AroundFaults | null, mostTimes: number): ReportCheck {
  if (compared === null) {
    return { name, ok: 'unknown', detail: 'there was nothing to compare', examples: [] }
  }
  const { before, during, after } = compared
  const then = after.count === 0 ? '' : `; ${after.p99Ms.toFixed(1)} ms afterwards`
  const times = during.p99Ms / before.p99Ms
  const never = (waits: Waits): number => waits.unacked / (waits.unacked + waits.count)
  const failed = during.unacked === 0 ? '' : `, and ${during.unacked} messages got no answer`
  return {
    name,
    ok: times <= mostTimes && never(during) <= never(before) * mostTimes,
    detail: `p99 ${during.p99Ms.toFixed(1)} ms during faults, ${before.p99Ms.toFixed(1)} ms before: ${times.toFixed(2)} times, at most ${mostTimes} wanted${failed}${then}`,
    examples: []
  }
}

function converged({ epochChanges, sights }: RunFacts, mostMs: number): ReportCheck {
  // The first one that is seen is there already.
  const spreads = tableSpreads(epochChanges.slice(1), sights, mostMs)
  const times = spreads.flatMap(({ ms }) => (ms === null ? [] : [ms]))
  const late = spreads.filter(({ ms }) => ms === null || ms > mostMs)
  const { p50Ms, p99Ms, maxMs } = percentiles(times)
  return {
    name: 'converged',
    ok: spreads.length === 0 ? 'unknown' : late.length === 0,
    detail: `${spreads.length} tables were everywhere after p50 ${Math.round(p50Ms)} ms, p99 ${Math.round(p99Ms)} ms, ${Math.round(maxMs)} ms at most; ${mostMs} ms wanted`,
    examples: late.slice(0, examplesMax).map(({ epoch, ms, node }) => {
      return `epoch ${epoch} reached ${node} ${ms === null ? 'never' : `after ${Math.round(ms)} ms`}`
    })
  }
}

function grown({ faults, sights, endMs }: RunFacts, mostTimes: number): ReportCheck {
  const name = 'memory'
  const seen = memoryOver(sights, Math.min(endMs, ...faults.map(({ atMs }) => atMs)), endMs)
  if (seen === null) {
    return { name, ok: 'unknown', detail: 'no node was there for long enough', examples: [] }
  }
  const { nodes, beforeBytes, endBytes } = seen
  const mib = (bytes: number): string => `${Math.round(bytes / 2 ** 20)} MiB`
  const times = endBytes / beforeBytes
  return {
    name,
    ok: times <= mostTimes,
    detail: `${nodes} nodes had ${mib(beforeBytes)} in the second quarter and ${mib(endBytes)} in the last: ${times.toFixed(2)} times, at most ${mostTimes} wanted`,
    examples: []
  }
}
