import type { ClusterStatus, SetView } from './cluster-status.ts'

/** Why slots that are on their way have to wait, in words; empty while nothing is known to hold them up. */
export function moveWaits({ sets, moves }: ClusterStatus): string[] {
  const targets = new Set(moves.map(({ to }) => to))
  const involved = new Set([...targets, ...moves.map(({ from }) => from)])
  return sets.flatMap(set => {
    if (involved.has(set.id) && set.state === 'lost') return silentSurvivor(set)
    if (involved.has(set.id) && set.router.leader === null) return [`${set.id} has no leader`]
    return targets.has(set.id) ? remainsOf(set) : []
  })
}

/** Slots can leave a lost set only while the replica that is read answers. */
function silentSurvivor({ id, router }: SetView): string[] {
  const silent = router.replicas.filter(({ role }) => role === 'unreachable')
  return silent.map(({ id: replica, node }) => {
    return `replica ${replica} of ${id} on ${node}, which is read, does not answer`
  })
}

/** What slots that have left are still waiting for in a set. Until they are through with it, no other slot comes in. */
export function remainsOf({ id, leaving, outboxes }: SetView): string[] {
  if (leaving === 0) return []
  const waiting = outboxes.map(({ to, waiting: items }) => {
    return `${id} waits for its outbox to ${to} (${items} messages)`
  })
  if (waiting.length > 0) return waiting
  const slots = leaving === 1 ? 'a slot' : `${leaving} slots`
  return [`${id} deletes what ${slots} left behind`]
}
