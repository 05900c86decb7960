import { describe, expect, it } from 'vitest'
import { parseConfig } from '../config/config.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import { nextNode, stopFault, wholenessFault } from './fitness.ts'

const gateway = (n: number) => [
  { role: 'transfer' as const, id: `t${n}`, set: 's1', tcpPort: 100 + n },
  { role: 'logic' as const, id: `l${n}`, set: 's1' }
]

/** Routers on n1 to n3, of which n1 and n2 have a gateway and a logic; arbiters on a1 to a3; a gateway and a logic alone on g. */
const config = parseConfig({
  cluster: { name: 'c' },
  sets: [{ id: 's1' }],
  nodes: [
    ...[1, 2, 3].map(n => ({
      id: `n${n}`,
      peerPort: n,
      controlPort: 10 + n,
      roles: [{ role: 'router' as const, set: 's1', replica: n }, ...(n < 3 ? gateway(n) : [])]
    })),
    { id: 'g', peerPort: 30, controlPort: 31, roles: gateway(3) },
    ...[1, 2, 3].map(n => ({
      id: `a${n}`,
      peerPort: 20 + n,
      controlPort: 40 + n,
      roles: [{ role: 'arbiter' as const, replica: n }]
    }))
  ]
})

interface Scene {
  readonly leader?: string
  readonly silent?: readonly string[]
  readonly quarantined?: string
  /** Node → entries that its replica lacks. */
  readonly behind?: readonly [string, number]
  readonly outgoing?: readonly number[]
  readonly state?: readonly [string, string]
  readonly epochs?: Readonly<Record<string, number>>
  readonly transfers?: readonly ('up' | 'down' | 'draining')[]
  readonly voters?: readonly number[]
  readonly lost?: true
}

const lastIndex = 1_000

function sampleOf(scene: Scene): ClusterSample {
  const { leader = 'n1', silent = [], epochs = {}, transfers = ['up', 'up', 'up'] } = scene
  const voters = [...(scene.voters ?? [1, 2, 3])]
  const raft = (group: string, replica: number, leading: boolean) => {
    const node = `${group}${replica}`
    const lacks = (id: string) => (scene.behind?.[0] === id ? scene.behind[1] : 0)
    const peers = [1, 2, 3].map(id => ({ replica: id, match: lastIndex - lacks(`${group}${id}`) }))
    const own = { replica, term: 1, commit: lastIndex, lastIndex, voters, membership: 'voter' }
    const quarantined = scene.quarantined === node
    const outgoing = [...(scene.outgoing ?? [])]
    return leading
      ? { ...own, role: 'leader', peers, outgoing, quarantined }
      : { ...own, role: 'follower', quarantined }
  }
  const nodes = config.nodes.map(({ id, roles }) => {
    const replica = Number(id.slice(1))
    const kinds = roles.map(({ role }) => role)
    const routers = [{ set: 's1', raft: raft('n', replica, id === leader) }]
    const arbiters = [{ raft: raft('a', replica, id === 'a1') }]
    const status = StatusResponse.fromPartial({
      nodeId: id,
      state: scene.state?.[0] === id ? scene.state[1] : 'running',
      bootId: 7,
      epoch: epochs[id] ?? 5,
      routers: kinds.includes('router') ? routers : [],
      arbiters: kinds.includes('arbiter') ? arbiters : []
    })
    const answered = silent.includes(id) ? undefined : status
    return { id, controlAddress: '', status: answered, error: undefined }
  })
  const place = (n: number, state: string) => {
    return { id: `t${n}`, nodeId: n === 3 ? 'g' : `n${n}`, bootId: 7, state, clientAddresses: [] }
  }
  const set = {
    id: 's1',
    state: scene.lost ? 'lost' : 'active',
    transfers: transfers.map((state, i) => place(i + 1, state)),
    logics: [1, 2, 3].map(n => ({ ...place(n, 'up'), id: `l${n}` })),
    routers: [1, 2, 3].map(n => {
      return { replicaId: n, nodeId: `n${n}`, bootId: 7, state: 'up', role: 'voter' }
    })
  }
  const arbiters = [1, 2, 3].map(n => ({ replicaId: n, nodeId: `a${n}`, address: '' }))
  const table = { clusterId: 'c', epoch: 5, runs: [], moves: [], arbiters, sets: [set] }
  return { atMs: 0, nodes, table: table as unknown as RoutingTable }
}

describe('a cluster is fit for a rolling restart', () => {
  it('when every group is level and everybody has the table', () => {
    expect(wholenessFault(config, sampleOf({}))).toBeUndefined()
    for (const { id } of config.nodes) expect(stopFault(config, sampleOf({}), id)).toBeUndefined()
    expect(wholenessFault(config, sampleOf({ behind: ['n2', 200] }))).toBeUndefined()
  })

  it.each<[Scene, string, RegExp]>([
    [{ lost: true, silent: ['n2'] }, 'SET_LOST', /^set s1 is given up .* set recover s1/],
    [{ silent: ['n2'] }, 'REPLICA_DOWN', /^set s1: replica 2 \(n2\)/],
    [{ silent: ['a3'] }, 'REPLICA_DOWN', /^the arbiters: replica 3 \(a3\)/],
    [{ quarantined: 'n3' }, 'REPLICA_QUARANTINED', /^set s1: replica 3 \(n3\)/],
    [{ quarantined: 'a2' }, 'REPLICA_QUARANTINED', /^the arbiters: replica 2/],
    [{ behind: ['n2', 201] }, 'REPLICA_BEHIND', /^set s1: replica 2 \(n2\) lacks 201/],
    [{ leader: 'nobody' }, 'NO_LEADER', /^set s1/],
    [{ outgoing: [1, 2] }, 'CHANGE_PENDING', /^the arbiters: a change of its members/],
    [{ silent: ['g'] }, 'NODE_FAILED', /^node g: does not answer/],
    [{ state: ['g', 'stopping'] }, 'NODE_FAILED', /^node g: stopping/],
    [{ transfers: ['up', 'up', 'down'] }, 'CHANGE_PENDING', /transfer t3 is in the table/],
    [{ epochs: { a2: 4 } }, 'CHANGE_PENDING', /epoch 5 is on its way to a2/]
  ])('not with %j: %s', (scene, code, text) => {
    const fault = wholenessFault(config, sampleOf(scene))
    expect(fault?.code).toBe(code)
    expect(fault?.message).toMatch(text)
  })

  it.each<[Scene, string, string | undefined]>([
    [{ voters: [1, 2] }, 'n1', 'QUORUM_AT_RISK'],
    [{ voters: [1, 2] }, 'n3', undefined],
    [{ voters: [1] }, 'n1', 'QUORUM_AT_RISK'],
    [{ quarantined: 'n3' }, 'n2', 'QUORUM_AT_RISK'],
    [{ quarantined: 'n3' }, 'n3', undefined],
    [{ transfers: ['up', 'draining', 'down'] }, 'n1', 'LAST_TRANSFER'],
    [{ transfers: ['up', 'draining', 'down'] }, 'n2', undefined],
    [{ transfers: ['up', 'draining', 'down'] }, 'n3', undefined],
    [{ transfers: ['draining', 'draining', 'up'] }, 'g', 'LAST_TRANSFER']
  ])('with %j node %s may not stop: %s', (scene, node, code) => {
    expect(stopFault(config, sampleOf(scene), node)?.code).toBe(code)
  })
})

describe('the order of a rolling restart', () => {
  it('is arbiters, routers, the rest, and leaders last among their kind', () => {
    const left = [...config.nodes]
    const order: string[] = []
    while (left.length > 0) {
      const next = nextNode(left, sampleOf({}))
      order.push(next.id)
      left.splice(left.indexOf(next), 1)
    }
    expect(order).toEqual(['a2', 'a3', 'a1', 'n2', 'n3', 'n1', 'g'])
  })

  it('goes by who leads now', () => {
    const routers = config.nodes.filter(({ id }) => id.startsWith('n'))
    expect(nextNode(routers, sampleOf({ leader: 'n2' })).id).toBe('n1')
  })
})
