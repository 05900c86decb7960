import { describe, expect, it } from 'vitest'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import type { ClusterSample, NodeSample } from './cluster-control.ts'
import { clusterStatus } from './cluster-status.ts'

const table: RoutingTable = {
  clusterId: '0000000000aa',
  epoch: 9,
  slotCount: 16,
  runs: [
    { first: 0, count: 10, setId: 's1', slotEpoch: 1 },
    { first: 10, count: 6, setId: 's2', slotEpoch: 1 }
  ],
  moves: [],
  grey: [],
  tenants: [],
  pins: [],
  arbiters: [{ replicaId: 1, nodeId: 'n1', address: '' }],
  sets: ['s1', 's2'].map(id => ({
    id,
    zone: 'default',
    state: 'active',
    weight: 1,
    logics: [],
    transfers: [
      {
        id: `${id}-t`,
        nodeId: 'n2',
        bootId: 1,
        address: '',
        state: 'up',
        version: '',
        weight: 1,
        clientAddresses: ['tcp://x:1']
      }
    ],
    routers: [1, 2].map(replicaId => ({
      replicaId,
      nodeId: `n${replicaId}`,
      address: '',
      role: 'voter' as const,
      bootId: 1,
      state: 'up' as const
    }))
  }))
}

type Raft = {
  replica: number
  role: string
  term: number
  commit?: number
  lastIndex?: number
  peers?: object[]
  voters?: number[]
  outgoing?: number[]
  learners?: number[]
  membership?: string
  quarantined?: boolean
}

function node(id: string, routers: { set: string; users?: number; raft: Raft }[]): NodeSample {
  const status = StatusResponse.fromPartial({ nodeId: id, state: 'running', cluster: 'c', routers })
  return { id, controlAddress: '', status, error: undefined }
}

const silent: NodeSample = {
  id: 'n2',
  controlAddress: '',
  status: undefined,
  error: 'UNREACHABLE'
}
const sample = (...nodes: NodeSample[]): ClusterSample => ({ atMs: 0, nodes, table })

describe('cluster status', () => {
  it('puts the leader’s view of each replica and the table together', () => {
    const peers = [{ replica: 2, match: 40, state: 'replicate', active: true }]
    const voters = [1, 2]
    const raft = { replica: 1, role: 'leader', term: 3, commit: 41, lastIndex: 42, voters, peers }
    const status = clusterStatus(sample(node('n1', [{ set: 's1', users: 5, raft }]), silent))
    expect(status).toMatchObject({ cluster: 'c', clusterId: '0000000000aa', epoch: 9, moves: [] })
    expect(status.sets[0]).toMatchObject({ id: 's1', state: 'active', slots: 10, users: 5 })
    expect(status.sets[0]?.router).toEqual({
      leader: 'n1',
      term: 3,
      commit: 41,
      joint: false,
      replicas: [
        { id: 1, node: 'n1', role: 'leader', voter: true, match: 42, applied: 0 },
        { id: 2, node: 'n2', role: 'unreachable', voter: true, match: 40, applied: 0 }
      ]
    })
    expect(status.sets[0]?.transfers[0]).toMatchObject({
      id: 's1-t',
      node: 'n2',
      state: 'unreachable',
      addresses: ['tcp://x:1']
    })
    expect(status.nodes.map(({ state }) => state)).toEqual(['running', 'unreachable'])
  })

  it('names the zone of every node that somebody knows of, answering or not', () => {
    const places = ['a', 'b'].map((zone, i) => ({ id: `n${i + 1}`, controlAddress: '', zone }))
    const first = node('n1', [])
    const knowing = { ...first, status: { ...first.status!, nodes: places } }
    const zonesIn = (...nodes: NodeSample[]) =>
      clusterStatus(sample(...nodes)).nodes.map(({ zone }) => zone)
    expect(zonesIn(knowing, silent)).toEqual(['a', 'b'])
    expect(zonesIn(first, silent)).toEqual(['', ''])
  })

  it('shows slots on their way, still with their owners', () => {
    const moves = [
      { slot: 3, to: 's2', epoch: 8 },
      { slot: 12, to: 's1', epoch: 9 }
    ]
    expect(clusterStatus({ ...sample(silent), table: { ...table, moves } }).moves).toEqual([
      { slot: 3, from: 's1', to: 's2', epoch: 8 },
      { slot: 12, from: 's2', to: 's1', epoch: 9 }
    ])
  })

  it('shows who has no vote, who left, and that a change is under way', () => {
    const leading = { role: 'leader', term: 3, commit: 9, voters: [1], outgoing: [1, 2] }
    const raft = { ...leading, replica: 1, learners: [4], membership: 'voter' }
    const other = (replica: number, membership: string, more = {}) => {
      return node(`n${replica}`, [
        { set: 's1', raft: { replica, role: 'follower', term: 3, membership, ...more } }
      ])
    }
    const nodes = [
      node('n1', [{ set: 's1', raft }]),
      other(2, 'voter'),
      other(3, 'removed'),
      other(4, 'learner'),
      other(5, 'waiting'),
      other(6, 'learner', { quarantined: true })
    ]
    const view = clusterStatus(sample(...nodes)).sets[0]!.router
    expect(view.joint).toBe(true)
    expect(view.replicas.map(({ role, voter }) => [role, voter])).toEqual([
      ['leader', true],
      ['follower', true],
      ['removed', false],
      ['learner', false],
      ['waiting', false],
      ['quarantined', false]
    ])
  })

  it('says that a set without a leader is unavailable', () => {
    const raft = { replica: 1, role: 'candidate', term: 4 }
    const [first, second] = clusterStatus(sample(node('n1', [{ set: 's1', raft }]), silent)).sets
    expect([first?.state, first?.router.leader, first?.router.term]).toEqual([
      'unavailable',
      null,
      4
    ])
    expect(second).toMatchObject({ id: 's2', state: 'unavailable', slots: 6 })
  })

  it('says that a set is lost whoever of it still answers', () => {
    const [first, second] = table.sets
    const raft = { replica: 1, role: 'leader', term: 4 }
    const lost = { ...first!, state: 'lost' as const, routers: first!.routers.slice(1) }
    const seen = {
      ...sample(node('n1', [{ set: 's1', raft }])),
      table: { ...table, sets: [lost, second!] }
    }
    expect(clusterStatus(seen).sets[0]).toMatchObject({ state: 'lost', slots: 10 })
    expect(clusterStatus({ ...seen, nodes: [silent] }).sets[0]?.state).toBe('lost')
  })

  it('believes the newer of two leaders', () => {
    const leads = (replica: number, term: number) => ({ replica, role: 'leader', term })
    const { sets } = clusterStatus(
      sample(
        node('n1', [{ set: 's1', raft: leads(1, 6) }]),
        node('n2', [{ set: 's1', raft: leads(2, 5) }])
      )
    )
    expect(sets[0]?.router).toMatchObject({ leader: 'n1', term: 6 })
  })

  it('works before there is a table, and when nobody answers', () => {
    const raft = { replica: 1, role: 'leader', term: 1 }
    const started = { ...sample(node('n1', [{ set: 's7', raft }])), table: undefined }
    expect(clusterStatus(started).sets[0]).toMatchObject({ id: 's7', state: 'active', slots: 0 })
    const dark = clusterStatus({ ...sample(silent), table: undefined })
    expect(dark).toMatchObject({ cluster: '', epoch: 0, sets: [], arbiter: { leader: null } })
  })
})
