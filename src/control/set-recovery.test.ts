import { describe, expect, it } from 'vitest'
import { routerTable } from '../../test/support/router-table.ts'
import { RingsetError } from '../base/errors.ts'
import type { ReplicaStatus } from '../gen/ringset/control/v1/control.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import { targetOwners } from '../table/ring.ts'
import { assignRuns, ownersOf, runsOf } from '../table/runs.ts'
import type { RoutingTable, SetEntry } from '../table/table.ts'
import type { SetOrder } from './control-source.ts'
import { type SetCluster, SetOperator } from './set-operator.ts'
import { SetWitnesses } from './set-recovery.ts'

const ring = (...ids: string[]): string[] =>
  targetOwners(
    64,
    ids.map(id => ({ id, weight: 1 }))
  )

/** What replica 1, 2 or 3 of s2 says; null: it does not answer. */
type Said = Partial<ReplicaStatus> | null

/** Routers of s2 on n1 to n3. The arbiters lead on n9. Moves arrive at the next look. */
class FakeCluster implements SetCluster {
  table: RoutingTable
  said: Said[]
  readonly orders: SetOrder[] = []
  looks = 0

  constructor(said: Said[], change: Partial<SetEntry> = {}) {
    this.said = said
    const runs = runsOf(ring('s1', 's2', 's3'), new Array<number>(64).fill(1))
    const table = routerTable(1, runs, ['s1', 's2', 's3']).table!
    const routers = [1, 2, 3].map(replicaId => {
      const place = { replicaId, nodeId: `n${replicaId}`, address: '' }
      return { ...place, role: 'voter' as const, bootId: 1, state: 'up' as const }
    })
    const sets = table.sets.map(set => (set.id === 's2' ? { ...set, routers, ...change } : set))
    this.table = { ...table, sets }
  }

  node(): ReturnType<SetCluster['node']> {
    return {
      moveSlots: async ({ slots, to }) => {
        const epoch = this.table.epoch + 1
        const moves = [...this.table.moves, ...slots.map(slot => ({ slot, to, epoch }))]
        this.table = { ...this.table, epoch, moves }
        return epoch
      },
      abortMoves: async () => this.table.epoch,
      changeSet: async order => {
        this.orders.push(order)
        return this.table.epoch
      },
      drainTransfer: async () => true
    }
  }

  async tableOfNewest() {
    return (await this.sample()).table
  }

  async sample() {
    this.looks++
    const { moves, runs, epoch } = this.table
    if (moves.length > 0) {
      const arrived = new Map(moves.map(({ slot, to }) => [slot, to]))
      const now = epoch + 1
      this.table = { ...this.table, epoch: now, runs: assignRuns(runs, arrived, now), moves: [] }
    }
    const said = [...this.said.entries()].map(([i, own]) => {
      const routers = own && [{ set: 's2', raft: { ...plain, replica: i + 1, ...own } }]
      return this.#node(`n${i + 1}`, routers && { routers })
    })
    const arbiters = [{ raft: { replica: 1, role: 'leader', term: 1 } }]
    const nodes = [...said, this.#node('n9', { arbiters })]
    return { atMs: 0, nodes, table: this.table }
  }

  #node(id: string, more: object | null) {
    const status = { nodeId: id, state: 'running', epoch: this.table.epoch, ...more }
    const answer = more === null ? undefined : StatusResponse.fromPartial(status)
    return { id, controlAddress: '', status: answer, error: undefined }
  }
}

const plain = { role: 'preCandidate', membership: 'voter', voters: [1, 2, 3], lastTerm: 4 }
const end = (lastIndex: number, more: Said = {}): Said => ({ lastIndex, applied: 90, ...more })
const numbers = (cluster: FakeCluster, from?: number) =>
  new SetOperator(cluster, 0).planRecovery('s2', from).then(
    ({ survivor, others }) => [survivor.replica, others.map(({ replica }) => replica)],
    (error: unknown) => (error instanceof RingsetError ? error.code : String(error))
  )
const quarantined = { quarantined: true }

describe('the replica that is read of a set without a majority', () => {
  it('is the only one that answers, and all that is known of the others is said', async () => {
    const cluster = new FakeCluster([null, end(100, { applied: 97 }), null])
    const plan = await new SetOperator(cluster, 0).planRecovery('s2')
    const silent = { state: 'unreachable', lastIndex: 0, lastTerm: 0, applied: 0 }
    expect(plan).toMatchObject({ set: 's2', lost: false })
    expect(plan.survivor).toEqual({
      ...{ replica: 2, node: 'n2', state: 'sound' },
      ...{ lastIndex: 100, lastTerm: 4, applied: 97 }
    })
    expect(plan.others).toEqual([
      { replica: 1, node: 'n1', ...silent },
      { replica: 3, node: 'n3', ...silent }
    ])
    expect(plan.moves.every(({ from, to }) => from === 's2' && to !== 's2')).toBe(true)
    expect(plan.moves).toHaveLength(ownersOf(cluster.table.runs).filter(id => id === 's2').length)
    expect(cluster.orders).toEqual([])
  })

  const five = { voters: [1, 2, 3, 4, 5] }
  it.each<[string, Said[], unknown]>([
    ['has the longer log', [end(100, five), null, end(101, five)], [3, [1, 2]]],
    ['has the later term', [end(100, { ...five, lastTerm: 5 }), null, end(900, five)], [1, [2, 3]]],
    ['started anew, and has more', [end(100), null, end(900, quarantined)], [3, [1, 2]]],
    ['has as much, and was vouched for', [end(9, quarantined), null, end(9)], [3, [1, 2]]],
    ['holds something', [end(1), null, end(0, quarantined)], [1, [2, 3]]],
    ['may be a learner', [null, null, end(9, { membership: 'learner', leader: 1 })], [3, [1, 2]]]
  ])('%s', async (_, said, chosen) => {
    expect(await numbers(new FakeCluster(said))).toEqual(chosen)
  })

  it('may be named, unless another that answers has more', async () => {
    const said = [end(100, five), end(100, five), end(101, quarantined)]
    expect(await numbers(new FakeCluster(said), 3)).toEqual([3, [1, 2]])
    expect(await numbers(new FakeCluster(said), 2)).toBe('SURVIVOR_BEHIND')
    const level = [end(100, five), end(100, five), end(99, quarantined)]
    expect(await numbers(new FakeCluster(level), 2)).toEqual([2, [1, 3]])
    expect(await numbers(new FakeCluster(level), 3)).toBe('SURVIVOR_BEHIND')
    expect(await numbers(new FakeCluster([end(100), null, null]), 2)).toBe('REPLICA_DOWN')
    expect(await numbers(new FakeCluster([end(100), null, null]), 4)).toBe('REPLICA_UNKNOWN')
  })

  it('is missing where nobody answers who holds anything', async () => {
    expect(await numbers(new FakeCluster([null, null, null]))).toBe('NO_SURVIVOR')
    const empty = [end(0, quarantined), end(0, quarantined), null]
    expect(await numbers(new FakeCluster(empty))).toBe('NO_SURVIVOR')
    expect(await numbers(new FakeCluster(empty), 1)).toBe('NO_SURVIVOR')
  })

  it('counts when it has answered once', async () => {
    const cluster = new FakeCluster([])
    const witnesses = new SetWitnesses(cluster.table.sets[1]!)
    const doubtful = end(90, quarantined)
    for (const said of [
      [end(100), null, null],
      [null, null, doubtful],
      [null, null, null]
    ]) {
      cluster.said = said
      witnesses.add(await cluster.sample())
    }
    expect(witnesses.choose(undefined)).toMatchObject({
      survivor: { replica: 1, lastIndex: 100 },
      others: [
        { replica: 2, state: 'unreachable' },
        { replica: 3, lastIndex: 90 }
      ]
    })
  })
})

describe('a set is not given up', () => {
  it.each<[string, Said[]]>([
    ['somebody leads it', [end(9, { role: 'leader', leader: 1 }), null, null]],
    ['somebody hears a leader', [null, end(9, { role: 'follower', leader: 1 }), null]],
    ['a majority answers', [end(9), null, end(9)]],
    [
      'majorities of both memberships answer',
      [end(9), end(9), null].map(said => ({ ...said, outgoing: [1, 2, 4], lastTerm: 4 }))
    ]
  ])('while %s', async (_, said) => {
    expect(await numbers(new FakeCluster(said))).toBe('SET_ALIVE')
  })

  it('but removed, which loses nothing, when it has a leader', async () => {
    const cluster = new FakeCluster([end(9, { role: 'leader', leader: 1 }), end(9), end(9)])
    const plan = new SetOperator(cluster, 0).planRecovery('s2')
    await expect(plan).rejects.toThrow('`ringset set remove s2` loses nothing')
  })

  it('before those that have just started had time to find a leader', async () => {
    const cluster = new FakeCluster([end(9, quarantined), end(9, quarantined), end(9, quarantined)])
    const sample = cluster.sample.bind(cluster)
    cluster.sample = () => {
      if (cluster.looks === 3)
        cluster.said = [end(9), end(9), end(9, { role: 'leader', leader: 3 })]
      return sample()
    }
    const plan = new SetOperator(cluster, 60_000).planRecovery('s2')
    await expect(plan).rejects.toMatchObject({ code: 'SET_ALIVE' })
  })

  it('for replicas that have no say in it, nor for half of its voters', async () => {
    const half = { voters: [1, 2, 3, 4] }
    expect(await numbers(new FakeCluster([end(9, half), end(9, half), null]))).toEqual([1, [2, 3]])
    const joint = { outgoing: [1, 4, 5] }
    const changing = [end(9, joint), end(9, joint), null]
    expect(await numbers(new FakeCluster(changing))).toEqual([1, [2, 3]])
    const out = [end(9), end(0, { membership: 'removed' }), end(0, { membership: 'waiting' })]
    expect(await numbers(new FakeCluster(out))).toEqual([1, [2, 3]])
  })

  it.each([
    ['SET_UNKNOWN', 's9'],
    ['LAST_SET', 's2'],
    ['SET_PINNED', 's2']
  ])('that the arbiters would refuse with %s', async (code, id) => {
    const cluster = new FakeCluster([end(9), null, null])
    const { table } = cluster
    const pins = [{ match: 'uid' as const, value: 'ann', setId: 's2' }]
    if (code === 'SET_PINNED') cluster.table = { ...table, pins }
    const sets = table.sets.map(set => ({ ...set, state: 'draining' as const }))
    if (code === 'LAST_SET') cluster.table = { ...table, sets }
    const plan = new SetOperator(cluster, 0).planRecovery(id)
    await expect(plan).rejects.toMatchObject({ code })
  })

  it('when a router of it runs where nobody can be asked', async () => {
    const cluster = new FakeCluster([end(9), null])
    expect(await numbers(cluster)).toBe('NODE_UNKNOWN')
  })
})

describe('a set that is given up', () => {
  it('names its survivor to the arbiters, and gives its slots to the others by the ring', async () => {
    const cluster = new FakeCluster([null, end(100), null])
    const operator = new SetOperator(cluster, 0)
    const plan = await operator.planRecovery('s2')
    const total = plan.moves.length
    expect(await operator.recover(plan)).toEqual({ moved: total, total, aborted: [] })
    expect(cluster.orders).toMatchObject([
      { set: 's2', change: 'lose', routers: [{ replica: 2, node: 'n2' }] }
    ])
    expect(ownersOf(cluster.table.runs)).toEqual(ring('s1', 's3'))
  })

  it('goes on with the one that is read, whoever else has come back', async () => {
    const survivor = { replicaId: 2, nodeId: 'n2', address: '', role: 'voter' as const }
    const lost: Partial<SetEntry> = {
      state: 'lost',
      routers: [{ ...survivor, bootId: 1, state: 'up' }]
    }
    const removed = { membership: 'removed' }
    const cluster = new FakeCluster([end(200, removed), end(100), null], lost)
    expect(await numbers(cluster)).toEqual([2, [1]])
    expect(await numbers(cluster, 2)).toEqual([2, [1]])
    expect(await numbers(cluster, 1)).toBe('SET_LOST')
    cluster.said = [end(200), end(100, { role: 'leader', leader: 2 }), end(200)]
    expect(await numbers(cluster)).toEqual([2, [1, 3]])
    cluster.said = [null, null, null]
    const plan = await new SetOperator(cluster, 0).planRecovery('s2')
    expect(plan).toMatchObject({ lost: true, survivor: { replica: 2, state: 'unreachable' } })
  })
})
