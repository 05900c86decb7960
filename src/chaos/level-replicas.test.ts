import { describe, expect, it } from 'vitest'
import type { ClusterStatus, GroupView, ReplicaView } from '../control/cluster-status.ts'
import { commitsOf, unlevel } from './level-replicas.ts'

const replica = (id: number, change: Partial<ReplicaView> = {}): ReplicaView => {
  return { id, node: `n${id}`, role: 'follower', voter: true, match: 9, applied: 9, ...change }
}
const group = (...replicas: ReplicaView[]): GroupView => {
  return { leader: 'n1', term: 1, commit: 9, joint: false, replicas }
}
const status = (router: GroupView, state = 'active', arbiter = group(replica(1))) => {
  return { arbiter, sets: [{ id: 's1', state, router }] } as unknown as ClusterStatus
}

describe('replicas', () => {
  const whole = status(group(replica(1, { role: 'leader' }), replica(2)))

  it('are level when all voters have applied what was committed', () => {
    expect(unlevel(whole, commitsOf(whole))).toEqual([])
  })

  it('are not when one is behind, distrusts its disk, or is not there', () => {
    const behind = replica(1, { applied: 8 })
    const rest = [replica(2, { role: 'quarantined' }), replica(3, { role: 'unreachable' })]
    expect(unlevel(status(group(behind, ...rest)), commitsOf(whole))).toEqual([
      'replica 1 of s1 at n1 has 8 of 9 entries',
      'replica 2 of s1 at n2 is quarantined',
      'replica 3 of s1 at n3 is unreachable'
    ])
    expect(unlevel(status(group(), 'active', group(behind)), commitsOf(whole))).toEqual([
      'replica 1 of arbiter at n1 has 8 of 9 entries'
    ])
  })

  it('do not have to be if they have no vote, or their set is lost', () => {
    const learner = replica(1, { applied: 0, voter: false })
    expect(unlevel(status(group(learner)), commitsOf(whole))).toEqual([])
    const lost = status(group(replica(1, { role: 'unreachable' })), 'lost')
    expect(unlevel(lost, commitsOf(lost))).toEqual([])
  })
})
