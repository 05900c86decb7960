import { describe, expect, it } from 'vitest'
import type { ClusterStatus, SetView } from '../src/control/cluster-status.ts'
import { statusLines } from './status-lines.ts'
import { topLine } from './top-lines.ts'

const replica = (id: number, role: string) => {
  return { id, node: `n${id}`, role, voter: true, match: 0, applied: 0 }
}
const group = { leader: null, term: 3, commit: 0, joint: false }
const nobody = { slots: 7, users: 0, sessions: 0, appends: 0, leaving: 0, outboxes: [] }
const lost = (...roles: string[]): SetView => ({
  ...nobody,
  ...{ id: 's2', state: 'lost', transfers: [], logics: [] },
  router: { ...group, replicas: roles.map((role, i) => replica(i + 1, role)) }
})
const pictureWith = (set: SetView) => {
  const arbiter = { ...group, leader: 'n9', replicas: [] }
  const empty = { cluster: 'c', clusterId: '', epoch: 1, moves: [], nodes: [] }
  const status: ClusterStatus = { ...empty, arbiter, sets: [set] }
  return { atMs: 0, status, perSecond: new Map(), cores: new Map() }
}

describe('a lost set', () => {
  it('shows which replica is read, and misses no leader', () => {
    const text = statusLines(pictureWith(lost('follower', 'removed')), false).join('\n')
    expect(text).toMatch(/s2 +lost +7 .*1:read 2:removed/)
    expect(text).not.toContain('none')
    expect(topLine(pictureWith(lost('follower')))).toContain('s2 lost 0/s')
  })

  it('shows that the one to be read is down', () => {
    const text = statusLines(pictureWith(lost('unreachable')), false).join('\n')
    expect(text).toMatch(/s2 +lost +7 .*1:down/)
  })
})
