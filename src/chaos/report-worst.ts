import type { LeaderChange } from './cluster-watch.ts'
import type { MessageSample } from './message-sample.ts'
import type { RunFacts } from './report-checks.ts'

/** One of the slowest messages, for those that waited for the same sets at the same time. */
export interface WorstMessage {
  /** By which the history knows it: clientMsgId and session. */
  readonly number: number
  readonly session: string
  /** Seconds since the load began. */
  readonly due: number
  /** Since it was due; null: never. */
  readonly ackMs: number | null
  readonly deliveryMs: number | null
  /** Who had it in hand from one user to the other, in words, with who led when. */
  readonly path: readonly string[]
  /** Indexes of the faults that were under way while it was. */
  readonly faults: readonly number[]
}

const worstMax = 8
/** So much before and after the wait of a message, others waited for the same. */
const sameMs = 1_000

export function worstMessages(facts: RunFacts): WorstMessage[] {
  const { samples, endMs } = facts
  const wholeMs = ({ dueMs, ackedMs, deliveredMs }: MessageSample): number =>
    (ackedMs > 0 && deliveredMs > 0 ? Math.max(ackedMs, deliveredMs) : endMs) - dueMs
  // Numbers and indices alone: an object for each of millions would need more memory than all else here.
  const tookMsOf = Float64Array.from(samples, wholeMs)
  const slowest = Uint32Array.from(samples.keys()).sort((a, b) => tookMsOf[b]! - tookMsOf[a]!)
  const chosen: { readonly sample: MessageSample; readonly tookMs: number }[] = []
  for (const index of slowest) {
    if (chosen.length === worstMax) break
    const one = { sample: samples[index]!, tookMs: tookMsOf[index]! }
    const { dueMs, homeSet, receiverSet } = one.sample
    const alike = chosen.some(({ sample, tookMs }) => {
      const same = sample.homeSet === homeSet && sample.receiverSet === receiverSet
      const before = dueMs + one.tookMs + sameMs < sample.dueMs
      const after = dueMs > sample.dueMs + tookMs + sameMs
      return same && !before && !after
    })
    if (!alike) chosen.push(one)
  }
  return chosen.map(({ sample, tookMs }) => described(sample, tookMs, facts))
}

function described(sample: MessageSample, tookMs: number, facts: RunFacts): WorstMessage {
  const { number, session, sender, receiver, dueMs, ackedMs, deliveredMs } = sample
  const { homeSet, receiverSet } = sample
  const { startMs, endMs, faults, leaderChanges, gatewaysOf } = facts
  const doneMs = dueMs + tookMs
  const set = (id: string): string => `set ${id}${ledBy(leaderChanges, id, dueMs, doneMs)}`
  const user = (uid: string, atMs: number): string => {
    const gateways = gatewaysOf(uid, atMs)
    return gateways === '' ? uid : `${uid} at ${gateways}`
  }
  const between = homeSet === receiverSet ? [set(homeSet)] : [set(homeSet), set(receiverSet)]
  return {
    number,
    session,
    due: Math.round(Math.max(0, dueMs - startMs)) / 1_000,
    ackMs: ackedMs > 0 ? ackedMs - dueMs : null,
    deliveryMs: deliveredMs > 0 ? deliveredMs - dueMs : null,
    path: [user(sender, dueMs), ...between, user(receiver, doneMs)],
    faults: faults.flatMap(({ atMs, undoneMs }, i) =>
      atMs <= doneMs && (undoneMs || endMs) >= dueMs ? [i] : []
    )
  }
}

function ledBy(changes: readonly LeaderChange[], id: string, fromMs: number, toMs: number): string {
  const own = changes.filter(({ group, atMs }) => group === id && atMs <= toMs)
  const first = Math.max(
    0,
    own.findLastIndex(({ atMs }) => atMs <= fromMs)
  )
  const nodes = own.slice(first).map(({ node }) => node)
  return nodes.length === 0 ? '' : ` (led by ${nodes.join(', then ')})`
}
