import type { ClusterStatus, GroupView } from '../src/control/cluster-status.ts'

/** What changed between two looks at a cluster, one sentence each. */
export function clusterEvents(before: ClusterStatus, after: ClusterStatus): string[] {
  const events: string[] = []
  if (after.epoch !== before.epoch) events.push(`table epoch ${before.epoch} → ${after.epoch}`)
  events.push(...leaderEvents('arbiter', before.arbiter, after.arbiter))
  for (const set of after.sets) {
    const former = before.sets.find(({ id }) => id === set.id)
    if (former === undefined) events.push(`set ${set.id} is new`)
    else {
      events.push(...leaderEvents(`set ${set.id}`, former.router, set.router))
      if (former.state !== set.state) events.push(`set ${set.id}: ${former.state} → ${set.state}`)
    }
  }
  for (const node of after.nodes) {
    const former = before.nodes.find(({ id }) => id === node.id)
    if (former === undefined) continue
    if (former.state !== node.state) events.push(`node ${node.id}: ${former.state} → ${node.state}`)
    else if (former.pid !== node.pid) events.push(`node ${node.id}: restarted as pid ${node.pid}`)
  }
  return events
}

function leaderEvents(name: string, before: GroupView, after: GroupView): string[] {
  if (before.leader === after.leader) return []
  return [
    `${name}: leader ${before.leader ?? 'none'} → ${after.leader ?? 'none'} (term ${after.term})`
  ]
}
