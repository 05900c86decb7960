import { describe, expect, it } from 'vitest'
import type { ClusterSample } from '../control/cluster-control.ts'
import type { NodeStatus } from '../control/control-source.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import { clockSkew, clusterChecks, type Surroundings } from './cluster-checks.ts'
import type { Finding } from './finding.ts'

interface Shape {
  /** Changes what a node says of itself; undefined: it does not answer. */
  readonly say?: (status: NodeStatus, id: number) => NodeStatus | undefined
  readonly downInTable?: readonly number[]
  /** So many slots that s1 has left, which is given up, and read from the first node. */
  readonly lostWith?: number
}

/** Three nodes with a router of s1 and an arbiter each, led by the first. */
function sampleOf({
  say = status => status,
  downInTable = [],
  lostWith
}: Shape = {}): ClusterSample {
  const raft = (replica: number) => ({
    ...{ replica, term: 1, leader: 1, commit: 5_000, membership: 'voter', voters: [1, 2, 3] },
    ...{ role: replica === 1 ? 'leader' : 'follower', lastIndex: 5_000 },
    peers: replica === 1 ? [2, 3].map(peer => ({ replica: peer, match: 5_000 })) : []
  })
  const nodes = [1, 2, 3].map(id => {
    const status = StatusResponse.fromPartial({
      ...{ nodeId: `n${id}`, state: 'running', epoch: 7, clusterId: 'c', version: '0.1.0' },
      routers: [{ set: 's1', raft: raft(id) }],
      arbiters: [{ raft: raft(id) }],
      metrics: { disk_free_bytes: 1e12 }
    })
    const error = 'UNREACHABLE' as const
    return { id: `n${id}`, controlAddress: `h:${id}`, status: say(status, id), error }
  })
  const routers = [1, 2, 3].map(replicaId => {
    const state = downInTable.includes(replicaId) ? 'down' : 'up'
    return { replicaId, nodeId: `n${replicaId}`, address: '', role: 'voter', state }
  })
  const state = lostWith === undefined ? 'active' : 'lost'
  const listed = lostWith === undefined ? routers : routers.slice(0, 1)
  const sets = [{ id: 's1', state, transfers: [], logics: [], routers: listed }]
  const runs = lostWith ? [{ first: 0, count: lostWith, setId: 's1', slotEpoch: 1 }] : []
  const table = { epoch: 7, clusterId: 'c', runs, moves: [], arbiters: [], sets }
  return { atMs: 0, nodes, table: table as unknown as RoutingTable }
}

const plain: Surroundings = { config: undefined, living: new Set(), clocks: [] }

/** All that is not well. */
function wrong(shape: Shape, around = plain): Finding[] {
  return clusterChecks(sampleOf(shape), around).filter(({ level }) => level !== 'ok')
}

const onNode =
  (which: number, change: Partial<NodeStatus>) =>
  (status: NodeStatus, id: number): NodeStatus =>
    id === which ? { ...status, ...change } : status

describe('what a cluster is looked at for', () => {
  it('finds nothing in one that is well, and says what it looked at', () => {
    expect(wrong({})).toEqual([])
    const checks = clusterChecks(sampleOf(), plain).map(({ check }) => check)
    expect(checks).toEqual([
      ...['nodes', 'leaders', 'replicas', 'tables', 'processes', 'node-disks', 'clocks'],
      ...['event-loops', 'invariants', 'versions']
    ])
  })

  it('are nodes that do not answer, and groups without a leader', () => {
    const gone = { say: (status: NodeStatus, id: number) => (id < 3 ? undefined : status) }
    const around = { ...plain, living: new Set(['n1']) }
    expect(wrong(gone, around)).toMatchObject([
      { check: 'nodes', level: 'fail', remedy: expect.stringContaining('node resume n1') },
      { check: 'nodes', level: 'fail', remedy: expect.stringContaining('node start n2') },
      { check: 'leaders', text: 'the arbiters: nobody leads', level: 'fail' },
      { check: 'leaders', text: 'set s1: nobody leads', remedy: 'start n1, n2 again' }
    ])
    const stopping = wrong({ say: onNode(2, { state: 'stopping' }) })
    expect(stopping).toMatchObject([{ check: 'nodes', level: 'warn' }])
  })

  it('are sets that are given up, of which nobody has to lead', () => {
    const headless = (status: NodeStatus): NodeStatus => {
      const [own] = status.routers
      const raft = { ...own!.raft!, role: 'follower', quarantined: true }
      return { ...status, routers: [{ ...own!, raft }] }
    }
    const text = 'set s1 is given up, with 9 slots left in it'
    expect(wrong({ say: headless, lostWith: 9 })).toMatchObject([
      { check: 'lost-sets', level: 'warn', text }
    ])
    const remedy = 'start n1 again, then ringset set recover s1 --accept-loss'
    const dead = (status: NodeStatus, id: number) => (id === 1 ? undefined : headless(status))
    expect(wrong({ say: dead, lostWith: 9 })).toContainEqual(
      expect.objectContaining({ check: 'lost-sets', level: 'fail', remedy })
    )
    expect(wrong({ say: dead, lostWith: 0 })).toContainEqual(
      expect.objectContaining({ check: 'lost-sets', level: 'warn' })
    )
  })

  it('are replicas in quarantine, behind, waiting or removed', () => {
    const router = (change: object) => (status: NodeStatus, id: number) => {
      if (id !== 2) return status
      const [own] = status.routers
      return { ...status, routers: [{ ...own!, raft: { ...own!.raft!, ...change } }] }
    }
    expect(wrong({ say: router({ quarantined: true }) })).toMatchObject([
      { check: 'replicas', level: 'fail', text: 'set s1: replica 2 on n2 is in quarantine' }
    ])
    for (const membership of ['waiting', 'removed']) {
      expect(wrong({ say: router({ membership }) })).toMatchObject([{ level: 'warn' }])
    }
    const behind = (status: NodeStatus, id: number): NodeStatus => {
      const [own] = status.routers
      const peers = [{ ...own!.raft!.peers[0]!, match: 3_999 }]
      const routers = [{ ...own!, raft: { ...own!.raft!, peers } }]
      return id === 1 ? { ...status, routers } : status
    }
    const texts = wrong({ say: behind }).map(({ text }) => text)
    expect(texts[0]).toBe('set s1: replica 2 on n2 is 1001 entries behind')
  })

  it('are tables that differ, and processes that the table has as down', () => {
    expect(wrong({ say: onNode(2, { epoch: 6 }) })).toMatchObject([
      { check: 'tables', level: 'warn', text: expect.stringContaining('epoch 6, the newest is 7') }
    ])
    expect(wrong({ say: onNode(2, { clusterId: 'other' }) })).toMatchObject([
      { check: 'tables', level: 'fail', text: expect.stringContaining('c, other') }
    ])
    expect(wrong({ downInTable: [3] })).toMatchObject([{ check: 'processes', level: 'warn' }])
  })

  it('are disks, late event loops, broken invariants and mixed versions', () => {
    const config = { storage: { reserveBytes: 2 ** 40 } } as Surroundings['config']
    expect(new Set(wrong({}, { ...plain, config }).map(({ check }) => check))).toEqual(
      new Set(['node-disks'])
    )
    const eventLoopDelayMs = { count: 1, mean: 1, p50: 1, p99: 51, max: 99 }
    const late = StatusResponse.fromPartial({ process: { eventLoopDelayMs } }).process
    expect(wrong({ say: onNode(2, { process: late }) })).toMatchObject([
      { check: 'event-loops', text: expect.stringMatching(/: n2 51 ms$/) }
    ])
    const metrics = { router_misrouted_total: 2, table_conflicts_total: 0 }
    expect(wrong({ say: onNode(2, { metrics }) })).toMatchObject([
      { check: 'invariants', level: 'fail', text: 'node n2: router_misrouted_total is 2' }
    ])
    expect(wrong({ say: onNode(2, { version: '0.2.0' }) })).toMatchObject([
      { check: 'versions', level: 'warn', text: 'nodes run 0.1.0 and 0.2.0' }
    ])
  })

  it('are clocks that are certainly apart', () => {
    const clock = (id: string, aheadMs: number, uncertainMs = 5) => ({ id, aheadMs, uncertainMs })
    const judge = (...ahead: number[]) => clockSkew(ahead.map((ms, i) => clock(`n${i}`, ms))).level
    expect(judge()).toBe('ok')
    expect(judge(-500, 400, 0)).toBe('ok')
    expect(judge(5_000, 5_100)).toBe('ok')
    expect(judge(-600, 0, 600)).toBe('warn')
    expect(judge(0, 61_000)).toBe('fail')
    expect(clockSkew([clock('a', 0), clock('b', 1_500, 600)]).level).toBe('ok')
    expect(clockSkew([clock('a', 0), clock('b', 2_000)]).text).toContain('node b is at least 2.0 s')
  })
})
