import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import { arbiterGroup, type OperatedCluster, ReplicaOperator } from './replica-operator.ts'

/** Nodes n1 to n3 with a router of s1 and an arbiter each, led by `leader`, and n4 whose router 4 waits. */
class FakeCluster implements OperatedCluster {
  leader = 1
  arbiterLeader = 1
  voters = [1, 2, 3]
  learners: number[] = []
  listed = [1, 2, 3]
  zones = ['z', 'z', 'z', 'z']
  /** Replicas that do not answer. */
  silent: number[] = []
  /** Of the replica on n4 as it sees itself. */
  newcomer = { voters: [1, 2, 3], lastIndex: 0 }
  readonly calls: string[] = []
  /** Refused once each, in this order. */
  readonly refusals: RingsetError[] = []

  async sample(): Promise<ClusterSample> {
    const ids = ['n1', 'n2', 'n3', 'n4']
    const nodes = ids.map((id, i) => {
      const status = this.silent.includes(i + 1) ? undefined : this.#status(i + 1)
      return { id, controlAddress: '', status, error: undefined }
    })
    const routers = this.listed.map(replicaId => {
      return { replicaId, nodeId: `n${replicaId}`, address: '', role: 'voter' as const }
    })
    const sets = [{ id: 's1', state: 'active', transfers: [], logics: [], routers }]
    const table = { epoch: 1, clusterId: 'c', runs: [], moves: [], arbiters: [], sets }
    return { atMs: 0, nodes, table: table as unknown as RoutingTable }
  }

  #status(replica: number): StatusResponse {
    const { voters, learners } = this
    const raft = (leader: number) => {
      const own = { replica, role: replica === leader ? 'leader' : 'follower', term: 1, leader }
      return replica === 4 ? { ...own, ...this.newcomer } : { ...own, voters, learners }
    }
    const arbiters = replica === 4 ? [] : [{ raft: raft(this.arbiterLeader) }]
    return StatusResponse.fromPartial({
      nodeId: `n${replica}`,
      peerAddress: `h:${replica}`,
      nodes: this.zones.map((zone, i) => ({ id: `n${i + 1}`, controlAddress: '', zone })),
      routers: [{ set: 's1', raft: raft(this.leader) }],
      arbiters
    })
  }

  node(id: string): ReturnType<OperatedCluster['node']> {
    const replica = Number(id.slice(1))
    if (!(replica >= 1 && replica <= 4)) throw new RingsetError('NODE_UNKNOWN')
    const called = (call: string): void => {
      this.calls.push(`${id} ${call}`)
      const refusal = this.refusals.shift()
      if (refusal !== undefined) throw refusal
    }
    return {
      status: async () => this.#status(replica),
      transferLeadership: async (set, to) => {
        called(`transfer ${set} ${to}`)
        const from = this.leader
        this.leader = to ?? (from % 3) + 1
        return { from, to: this.leader, term: 2, gapMs: 7 }
      },
      changeReplica: async (_set, changed, change) => {
        called(`${change} ${changed}`)
        if (change === 'remove' && changed === this.leader) throw new RingsetError('REPLICA_LEADS')
        const without = (ids: number[]) => ids.filter(other => other !== changed)
        const before = `${this.voters} ${this.learners}`
        if (change !== 'add' || !this.voters.includes(changed)) {
          this.voters = without(this.voters)
          this.learners = without(this.learners)
        }
        if (change === 'add') this.learners.push(changed)
        if (change === 'promote') this.voters.push(changed)
        const { voters, learners } = this
        return { changed: `${voters} ${learners}` !== before, voters, learners }
      },
      placeReplica: async ({ replica: placed, role, node, address }) => {
        called(`place ${placed} ${role} ${node} ${address}`.trimEnd())
        if (role === 'none') this.listed = this.listed.filter(other => other !== placed)
        else if (!this.listed.includes(placed)) this.listed.push(placed)
      }
    }
  }
}

const made = (cluster = new FakeCluster()) => ({
  cluster,
  operator: new ReplicaOperator(cluster, 300)
})

const refusalOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: RingsetError) => `${error.code}: ${error.message}`
  )

describe('operating replicas', () => {
  it('adds: first the table, so that the leader finds the replica, then the group', async () => {
    const { cluster, operator } = made()
    cluster.arbiterLeader = 2
    expect(await operator.add('s1', 'n4')).toEqual({
      set: 's1',
      replica: 4,
      node: 'n4',
      changed: true,
      voters: [1, 2, 3],
      learners: [4],
      handOver: null
    })
    expect(cluster.calls).toEqual(['n2 place 4 learner n4 h:4', 'n1 add 4'])
    expect(await operator.add('s1', 'n4')).toMatchObject({ changed: false })
  })

  it('promotes and removes: first the group, then the table', async () => {
    const { cluster, operator } = made()
    await operator.add('s1', 'n4')
    cluster.calls.length = 0
    expect(await operator.promote('s1', 4)).toMatchObject({ voters: [1, 2, 3, 4], node: 'n4' })
    expect(await operator.remove('s1', 2)).toMatchObject({ voters: [1, 3, 4], handOver: null })
    expect(cluster.calls).toEqual([
      'n1 promote 4',
      'n1 place 4 voter',
      'n1 remove 2',
      'n1 place 2 none'
    ])
  })

  it('lets a leader hand over before it is removed', async () => {
    const { cluster, operator } = made()
    const report = await operator.remove('s1', 1)
    expect(report).toMatchObject({ voters: [2, 3], handOver: { from: { replica: 1 }, gapMs: 7 } })
    expect(cluster.calls).toEqual([
      'n1 remove 1',
      'n1 transfer s1 undefined',
      'n2 remove 1',
      'n1 place 1 none'
    ])
  })

  it('finishes in the table what an earlier call finished only in the group', async () => {
    const { cluster, operator } = made()
    cluster.voters = [1, 2]
    expect(await operator.remove('s1', 3)).toMatchObject({ changed: false })
    expect(cluster.listed).toEqual([1, 2])
    expect(await refusalOf(operator.remove('s1', 3))).toMatch(/^REPLICA_UNKNOWN: set s1 has no/)
  })

  it('follows the leader, and waits for a change that is under way', async () => {
    const { cluster, operator } = made()
    cluster.refusals.push(new RingsetError('NOT_LEADER'), new RingsetError('CHANGE_PENDING'))
    expect(await operator.transfer('s1', 3)).toMatchObject({ to: { replica: 3, node: 'n3' } })
    expect(cluster.calls).toHaveLength(3)
    cluster.leader = 0
    expect(await refusalOf(operator.transfer('s1', 1))).toBe(
      'NO_LEADER: no replica of set s1 leads'
    )
    expect(await operator.transfer(arbiterGroup, 2)).toMatchObject({ set: 'arbiter' })
  })

  it('waits for no leader any more once that is over', async () => {
    const { cluster } = made()
    cluster.leader = 0
    const over = new AbortController()
    const patient = new ReplicaOperator(cluster, 3_600_000, over.signal)
    const refused = refusalOf(patient.transfer('s1', undefined))
    over.abort()
    expect(await refused).toMatch(/^NO_LEADER/)
  })

  it('refuses at once what no waiting mends', async () => {
    const { cluster, operator } = made()
    for (const code of ['REPLICA_BEHIND', 'QUORUM_AT_RISK', 'REPLICA_DOWN', 'TIMEOUT'] as const) {
      cluster.refusals.push(new RingsetError(code))
      expect(await refusalOf(operator.promote('s1', 4))).toMatch(new RegExp(`^${code}`))
    }
    expect(cluster.calls).toHaveLength(4)
    expect(await refusalOf(operator.transfer('s7', 1))).toBe(
      'SET_UNKNOWN: no set is called s7; there are s1'
    )
    expect(await refusalOf(operator.add('s1', 'n9'))).toMatch(/^NODE_UNKNOWN/)
  })

  it('changes nothing in a group while the arbiters could not follow', async () => {
    const { cluster, operator } = made()
    cluster.arbiterLeader = 0
    const calls = [operator.add('s1', 'n4'), operator.promote('s1', 4), operator.remove('s1', 2)]
    for (const call of calls) expect(await refusalOf(call)).toMatch(/^NO_LEADER: the arbiter group/)
    expect(cluster.calls).toEqual([])
  })

  it('puts no majority of those that are there into one zone that need not have it, unless forced', async () => {
    const { cluster, operator } = made()
    cluster.zones = ['a', 'b', 'c', 'a']
    expect(await operator.add('s1', 'n4')).toMatchObject({ learners: [4] })
    cluster.silent = [2]
    cluster.calls.length = 0
    const refusal =
      'ZONE_DECIDES: zone a would have 2 of the 3 voters of set s1, and there are nodes in a, b, c'
    expect(await refusalOf(operator.add('s1', 'n4'))).toBe(refusal)
    expect(await refusalOf(operator.promote('s1', 4))).toBe(refusal)
    expect(cluster.calls).toEqual([])
    expect(await operator.promote('s1', 4, true)).toMatchObject({ voters: [1, 2, 3, 4] })
    expect(await operator.promote('s1', 4)).toMatchObject({ changed: false })
  })

  it('lets any zone do where there are too few, or they are not known', async () => {
    for (const zones of [
      ['a', 'b', 'a', 'a'],
      ['a', 'b', 'c', '']
    ]) {
      const { cluster, operator } = made()
      cluster.zones = zones
      cluster.silent = [2]
      expect(await operator.add('s1', 'n4')).toMatchObject({ learners: [4] })
      expect(await operator.promote('s1', 4)).toMatchObject({ changed: true })
    }
  })

  it('adds nothing but a replica that waits', async () => {
    const { cluster, operator } = made()
    expect(await refusalOf(operator.add('s1', 'n2'))).toBe(
      'NOT_JOINING: node n2 runs replica 2 of set s1, which is a voter already'
    )
    cluster.newcomer = { voters: [1, 2, 3, 4], lastIndex: 0 }
    expect(await refusalOf(operator.add('s1', 'n4'))).toBe(
      'NOT_JOINING: replica 4 on node n4 was started without `join: true`'
    )
    expect(cluster.calls).toEqual([])
  })
})
