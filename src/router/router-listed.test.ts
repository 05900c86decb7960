import { describe, expect, it } from 'vitest'
import { oneSetTable, routerTable } from '../../test/support/router-table.ts'
import { RouterWorld } from '../../test/support/router-world.ts'
import { packet } from '../protocol/packet.ts'
import { encodeRaftMessage } from '../raft/codec.ts'
import type { RaftMessage } from '../raft/types.ts'
import { compileTable } from '../table/compile-table.ts'
import type { TableView } from '../table/table-view.ts'

/** The table of one set with these routers only. */
function tableWith(epoch: number, replicas: readonly number[]): TableView {
  const { table } = oneSetTable(epoch)
  const sets = table!.sets.map(set => ({
    ...set,
    routers: set.routers.filter(({ replicaId }) => replicas.includes(replicaId))
  }))
  return compileTable({ ...table!, sets })
}

const asksForVote: RaftMessage = {
  type: 'preVote',
  from: 1,
  to: 3,
  term: 9,
  lastIndex: 0,
  lastTerm: 0,
  force: false,
  commit: 0,
  commitTerm: 0
}
const heartbeat: RaftMessage = { type: 'heartbeat', from: 1, to: 3, term: 9, commit: 0, round: 0 }

describe('a replica that the table does not list', () => {
  it('keeps still, gives no vote, and takes part again once it is listed', () => {
    const world = new RouterWorld(oneSetTable(1), ['s1'])
    const { router, replica } = world.node('s1', 3)
    const hear = (message: RaftMessage): number => {
      const before = replica.stepped.length
      router.onPacket('router/s1/1', packet('RAFT', { data: encodeRaftMessage(message) }))
      return replica.stepped.length - before
    }
    const ticksOf = (run: () => void): number => {
      const before = replica.ticks
      run()
      return replica.ticks - before
    }
    expect(hear(asksForVote)).toBe(1)
    world.adopt(tableWith(2, [1, 2]))
    world.outside = []
    expect(router.listed()).toBe(false)
    expect(ticksOf(() => world.pass(3_000))).toBe(0)
    expect(hear(asksForVote)).toBe(0)
    expect(hear(heartbeat)).toBe(1)
    expect(world.outside.filter(({ from }) => from === 'router/s1/3')).toEqual([])
    world.adopt(oneSetTable(3))
    expect(ticksOf(() => world.pass(100))).toBe(10)
    expect(hear(asksForVote)).toBe(1)
  })

  it('says once that it was removed, and nothing while it waits to be added', () => {
    const world = new RouterWorld(oneSetTable(1), ['s1'])
    const group = world.groups.get('s1')!
    const { env } = world.node('s1', 3)
    const told = () => env.events.filter(({ event }) => event === 'replica_removed').length
    world.pass(100)
    expect(told()).toBe(0)
    const { term } = group
    group.term = 0
    world.adopt(tableWith(2, [1, 2]))
    world.pass(100)
    expect(told()).toBe(0)
    group.term = term
    world.pass(100)
    world.adopt(tableWith(3, [1, 2]))
    world.pass(100)
    expect(told()).toBe(1)
  })

  it('goes on while it leads, so that it can hand over', () => {
    const world = new RouterWorld(oneSetTable(1), ['s1'])
    world.lead('s1', 3)
    world.adopt(tableWith(2, [1, 2]))
    const { replica } = world.node('s1', 3)
    const before = replica.ticks
    world.pass(100)
    expect(replica.ticks).toBe(before + 10)
  })

  it('keeps still also while the table does not list its whole set', () => {
    const world = new RouterWorld(oneSetTable(1), ['s1'])
    const { router, replica } = world.node('s1', 3)
    const runs = [{ first: 0, count: 64, setId: 's2', slotEpoch: 1 }]
    world.adopt(routerTable(2, runs, ['s2']))
    const before = replica.ticks
    world.pass(1_000)
    expect([router.listed(), replica.ticks]).toEqual([false, before])
  })
})
