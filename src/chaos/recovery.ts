import type { LeaderChange } from './cluster-watch.ts'
import { type FollowingChange, followedAt, noticedAt } from './followings.ts'
import type { MessageSample } from './message-sample.ts'
import type { FaultAction } from './scenario.ts'
import { SetTraffic } from './set-traffic.ts'

/** A fault that happened. */
export interface FaultRecord {
  readonly action: FaultAction
  /** Which of the scenario's lines it is of, counted from 0. */
  readonly line: number
  readonly target: string
  readonly nodes: readonly string[]
  /** Whose users it may touch. */
  readonly sets: readonly string[]
  /** Groups whose leader was among the nodes, where another one is to be expected. */
  readonly ledGroups: readonly string[]
  readonly atMs: number
  /** Known to be in force, which takes a while where others have to be told; 0 = never. */
  inForceMs: number
  /** Begun to be undone; 0 = not yet. */
  undoneMs: number
}

/** How a set came back after a fault, whatever other faults came meanwhile; null: not seen. Milliseconds since the fault. */
export interface Recovery {
  readonly fault: number
  readonly set: string
  /** Somebody is seen to have noticed: a replica of a group whose leader was hit follows it no longer. */
  readonly detectedMs: number | null
  /** Another leader is seen by somebody, of a group whose leader was hit. */
  readonly electedMs: number | null
  /** All replicas of that group but those on the nodes that were hit follow it. */
  readonly convergedMs: number | null
  /** A message of the set that was due once the fault was in force is acknowledged. */
  readonly firstAckMs: number | null
  /** One whose receiver lives in the set is delivered. */
  readonly firstDeliveryMs: number | null
  /** The end of the first half second, from the first acknowledgement on, with at least 95 % of the acknowledgements of the time before. */
  readonly fullRateMs: number | null
}

export interface Percentiles {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

const rateWindowMs = 500
const rateBeforeMs = 3_000
const fullRate = 0.95
/** Before the first fault. Earlier, while processes compile and connect, it is not how it usually is. */
const usualMs = 20_000

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = Float64Array.from(values).sort()
  const at = (share: number): number =>
    sorted.length === 0
      ? 0
      : sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!
  return { count: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) }
}

/** What was seen of who leads. */
interface Leadership {
  readonly leaderChanges: readonly LeaderChange[]
  readonly followings: readonly FollowingChange[]
}

/** For each fault and set it touched. */
export function recoveries(
  faults: readonly FaultRecord[],
  samples: readonly MessageSample[],
  leadership: Leadership,
  endMs: number
): Recovery[] {
  const sets = new Set(faults.flatMap(fault => fault.sets))
  const traffics = new Map([...sets].map(set => [set, new SetTraffic(set, samples)]))
  return faults.flatMap((record, fault) => {
    const { atMs, inForceMs, sets: own } = record
    // What was acknowledged before it was in force says nothing of it.
    const fromMs = Math.max(atMs, inForceMs)
    const since = (seenMs: number | null | undefined): number | null => {
      return seenMs === undefined || seenMs === null ? null : seenMs - atMs
    }
    return own.map(set => {
      const traffic = traffics.get(set)!
      const led = succession(faults, record, set, leadership, endMs)
      const firstAckMs = traffic.firstAck(fromMs, endMs)
      return {
        fault,
        set,
        detectedMs: since(led.noticedMs),
        electedMs: since(led.electedMs),
        convergedMs: since(led.followedMs),
        firstAckMs: since(firstAckMs),
        firstDeliveryMs: since(traffic.firstDelivery(fromMs, endMs)),
        // What was acknowledged before that was under way when the fault came.
        fullRateMs: firstAckMs === null ? null : since(fullRateAt(traffic, atMs, firstAckMs, endMs))
      }
    })
  })
}

/** How another leader came after a fault that hit the set's. By `performance.now`; undefined: not seen. */
interface Succession {
  readonly noticedMs?: number | undefined
  readonly electedMs?: number | undefined
  readonly followedMs?: number | undefined
}

function succession(
  faults: readonly FaultRecord[],
  { atMs, undoneMs, ledGroups, nodes }: FaultRecord,
  set: string,
  { leaderChanges, followings }: Leadership,
  endMs: number
): Succession {
  if (!ledGroups.includes(set)) return {}
  // Once it is undone, what comes after the next fault that hits the set's leader is of that one.
  const next = faults.filter(one => {
    return undoneMs > 0 && one.atMs >= undoneMs && one.ledGroups.includes(set)
  })
  const untilMs = Math.min(endMs, ...next.map(one => one.atMs))
  const own = leaderChanges.filter(({ group }) => group === set)
  const term = own.findLast(one => one.atMs <= atMs)?.term ?? 0
  const change = own.find(one => one.atMs > atMs && one.atMs <= untilMs)
  const query = { group: set, faultNodes: nodes, afterMs: atMs, untilMs }
  return {
    noticedMs: noticedAt(followings, query, term),
    electedMs: change?.atMs,
    followedMs: change && followedAt(followings, query, change.term)
  }
}

function fullRateAt(
  traffic: SetTraffic,
  atMs: number,
  firstAckMs: number,
  endMs: number
): number | null {
  const before = traffic.acked(atMs - rateBeforeMs, atMs)
  const wanted = fullRate * (before / rateBeforeMs) * rateWindowMs
  if (wanted === 0) return null
  for (let fromMs = firstAckMs; fromMs + rateWindowMs <= endMs; fromMs += rateWindowMs / 5) {
    const toMs = fromMs + rateWindowMs
    if (traffic.acked(fromMs, toMs) >= wanted) return toMs
  }
  return null
}

/** How long acknowledgements took before the first fault, from there until the last was undone, and afterwards, when what was down starts and catches up. */
export interface AroundFaults {
  readonly before: Waits
  readonly during: Waits
  /** Without a count if nothing followed. */
  readonly after: Waits
}

/** Of the messages that were due in some time: how long the acknowledged ones waited. */
export interface Waits extends Percentiles {
  /** Messages that never were. */
  readonly unacked: number
}

/** Of messages from, at and to sets that no fault touched, from shortly before the first fault on. Null: nothing to compare. */
export function untouched(
  faults: readonly FaultRecord[],
  samples: readonly MessageSample[]
): AroundFaults | null {
  const touched = new Set(faults.flatMap(({ sets }) => sets))
  const own = samples.filter(({ senderSet, homeSet, receiverSet }) => {
    return ![senderSet, homeSet, receiverSet].some(set => touched.has(set))
  })
  return underFaults(faults, own)
}

/** Of all messages. Null: nothing to compare. */
export function underFaults(
  faults: readonly FaultRecord[],
  samples: readonly MessageSample[]
): AroundFaults | null {
  const firstMs = Math.min(...faults.map(({ atMs }) => atMs))
  const ends = faults.map(({ undoneMs }) => undoneMs || Number.POSITIVE_INFINITY)
  const lastMs = Math.max(...ends)
  const took = (fromMs: number, toMs: number): Waits => {
    const due = samples.filter(({ dueMs }) => dueMs >= fromMs && dueMs < toMs)
    const acked = due.filter(({ ackedMs }) => ackedMs > 0)
    const waits = percentiles(acked.map(({ dueMs, ackedMs }) => ackedMs - dueMs))
    return { ...waits, unacked: due.length - acked.length }
  }
  const before = took(firstMs - usualMs, firstMs)
  const during = took(firstMs, lastMs)
  const after = took(lastMs, Number.POSITIVE_INFINITY)
  const nothing = before.count === 0 || during.count + during.unacked === 0
  return nothing ? null : { before, during, after }
}
