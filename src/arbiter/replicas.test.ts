import { describe, expect, it } from 'vitest'
import { ArbiterNode, bootstrap, peers } from '../../test/support/arbiter-node.ts'
import { FakeGroup } from '../../test/support/fake-replica.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import type { PlacedRouter } from './arbiter-commands.ts'
import { firstTable } from './first-table.ts'
import { withPlaced } from './replicas.ts'

const table = firstTable(bootstrap, peers)

const place = (more: Partial<PlacedRouter>): PlacedRouter => ({
  setId: 's1',
  replicaId: 4,
  role: 'learner',
  nodeId: 'n4',
  address: '10.0.0.4:7000',
  ...more
})

const routersOf = (result: ReturnType<typeof withPlaced>, setId = 's1') =>
  typeof result === 'string'
    ? result
    : result.sets.find(({ id }) => id === setId)!.routers.map(r => `${r.replicaId} ${r.role}`)

const voters = ['1 voter', '2 voter', '3 voter']

describe('the place of a replica in the table', () => {
  it('is at the end of its set, without a vote, until it is promoted; then it can leave', () => {
    const added = withPlaced(table, place({}), 0)
    expect(routersOf(added)).toEqual([...voters, '4 learner'])
    expect(routersOf(added, 's2')).toEqual(voters)
    if (typeof added === 'string') throw new Error(added)
    expect(withPlaced(added, place({}), 4)).toBe(added)
    const promoted = withPlaced(added, place({ role: 'voter', nodeId: '' }), 4)
    expect(routersOf(promoted)).toEqual([...voters, '4 voter'])
    const left = withPlaced(added, place({ role: 'none', nodeId: '' }), 4)
    expect(routersOf(left)).toEqual(voters)
    expect(withPlaced(table, place({ role: 'none' }), 4)).toBe(table)
  })

  it('is never that of another replica', () => {
    for (const replicaId of [1, 3, 4]) {
      expect(withPlaced(table, place({ replicaId }), 4)).toBe('usedReplica')
    }
    expect(routersOf(withPlaced(table, place({ replicaId: 5 }), 4))).toContain('5 learner')
  })

  it('must make sense', () => {
    expect(withPlaced(table, place({ setId: 's9' }), 0)).toBe('unknownSet')
    expect(withPlaced(table, place({ role: 'voter' }), 0)).toBe('unknownReplica')
    expect(withPlaced(table, place({ address: '' }), 0)).toBe('malformed')
    expect(withPlaced(table, place({ nodeId: 'n\u0000' }), 0)).toBe('malformed')
    const sets = table.sets.map(set => ({ ...set, routers: set.routers.slice(0, 1) }))
    const last = place({ replicaId: 1, role: 'none' })
    expect(withPlaced({ ...table, sets }, last, 0)).toBe('lastReplica')
  })
})

describe('placing at the arbiters', () => {
  function placed(node: ArbiterNode, router: PlacedRouter): (ErrorCode | undefined)[] {
    const answers: (ErrorCode | undefined)[] = []
    node.arbiter.changes.place(router, refusal => answers.push(refusal))
    node.run(50)
    return answers
  }

  it('is logged, shows in the next table, and is answered once', () => {
    const group = new FakeGroup()
    const node = new ArbiterNode(group, 1)
    expect(placed(node, place({}))).toEqual(['NO_LEADER'])
    group.lead(1)
    node.run(200)
    const { epoch } = node
    expect(placed(node, place({}))).toEqual([undefined])
    expect(node.epoch).toBe(epoch + 1)
    expect(placed(node, place({}))).toEqual([undefined])
    expect(node.epoch).toBe(epoch + 1)
    const { routers } = node.keeper.view().set('s1')!
    expect(routers.map(({ replicaId }) => replicaId)).toEqual([1, 2, 3, 4])
  })

  it('remembers numbers after their replica is gone, also at the next leader', () => {
    const group = new FakeGroup()
    const nodes = [new ArbiterNode(group, 1), new ArbiterNode(group, 2)]
    group.lead(1)
    nodes[0]!.run(200)
    placed(nodes[0]!, place({}))
    placed(nodes[0]!, place({ role: 'none' }))
    nodes[1]!.run(200)
    group.lead(2)
    nodes[1]!.run(200)
    expect(placed(nodes[1]!, place({}))).toEqual(['REPLICA_USED'])
    expect(placed(nodes[1]!, place({ replicaId: 5 }))).toEqual([undefined])
    expect(placed(nodes[1]!, place({ setId: 's9' }))).toEqual(['SET_UNKNOWN'])
  })

  it('that waits is refused when another takes its place, or leadership ends', () => {
    const group = new FakeGroup()
    const node = new ArbiterNode(group, 1)
    group.lead(1)
    node.run(200)
    const answers: unknown[] = []
    node.arbiter.changes.place(place({}), refusal => answers.push(['first', refusal]))
    node.arbiter.changes.place(place({ address: '10.0.0.5:1' }), refusal => {
      answers.push(['second', refusal])
    })
    expect(answers).toEqual([['first', 'CANCELLED']])
    group.lead(2)
    node.run(50)
    expect(answers.at(-1)).toEqual(['second', 'NOT_LEADER'])
    expect(answers).toHaveLength(2)
  })
})
