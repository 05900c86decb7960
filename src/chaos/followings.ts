/** Whom a replica follows has changed, as its node told. */
export interface FollowingChange {
  readonly atMs: number
  /** Set id or `arbiter`. */
  readonly group: string
  readonly node: string
  /** The newest term that it knows. */
  readonly term: number
  /** Whether it knows who leads in that term. */
  readonly led: boolean
  /** Whether the same process knew before that somebody led. */
  readonly wasLed: boolean
}

/** Which changes are looked at: those of the group at nodes that the fault leaves alone, in this stretch of time. */
export interface FollowingQuery {
  readonly group: string
  readonly faultNodes: readonly string[]
  readonly afterMs: number
  readonly untilMs: number
}

/**
 * When somebody has noticed that a leader is gone: the first replica that has followed somebody follows nobody, or is in a newer term.
 * @param term in which the group was led.
 */
export function noticedAt(
  changes: readonly FollowingChange[],
  query: FollowingQuery,
  term: number
): number | undefined {
  return changes.find(change => {
    const misses = change.wasLed && (!change.led || change.term > term)
    return misses && isAsked(change, query)
  })?.atMs
}

/**
 * When all follow a leader of that term or a newer one.
 * @returns undefined: one of those that were ever seen does not.
 */
export function followedAt(
  changes: readonly FollowingChange[],
  query: FollowingQuery,
  term: number
): number | undefined {
  const { group, faultNodes, untilMs } = query
  const nodes = new Set<string>()
  const since = new Map<string, number>()
  for (const change of changes) {
    const { node, atMs } = change
    if (change.group !== group || faultNodes.includes(node) || atMs > untilMs) continue
    nodes.add(node)
    const follows = change.led && change.term >= term && isAsked(change, query)
    if (follows && !since.has(node)) since.set(node, atMs)
  }
  return nodes.size > 0 && since.size === nodes.size ? Math.max(...since.values()) : undefined
}

function isAsked(
  { group, node, atMs }: FollowingChange,
  { group: asked, faultNodes, afterMs, untilMs }: FollowingQuery
): boolean {
  return group === asked && atMs > afterMs && atMs <= untilMs && !faultNodes.includes(node)
}
