import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import { OperationHand } from './operations.ts'
import { parseScenario } from './scenario.ts'

/** Sixteen slots of two sets, and a cluster that moves them at once. */
function setUp(setIds: readonly string[] = ['s1', 's2']) {
  const owners: string[] = Array.from({ length: 16 }, (_, slot) => (slot < 8 ? 's1' : 's2'))
  let epoch = 1
  const table = () => ({
    clusterId: '',
    epoch,
    slotCount: 16,
    runs: owners.map((setId, first) => ({ first, count: 1, setId, slotEpoch: 1 })),
    moves: [],
    pins: [],
    grey: [],
    sets: setIds.map(id => ({ id, transfers: [], logics: [], routers: [] })),
    arbiters: []
  })
  const orders: string[] = []
  const node = {
    table: async () => table(),
    moveSlots: async ({ slots, to }: { slots: number[]; to: string }) => {
      for (const slot of slots) owners[slot] = to
      orders.push(to)
      return ++epoch
    }
  }
  const raft = { replica: 1, role: 'leader', term: 1 }
  const status = StatusResponse.fromPartial({ nodeId: 'a1', arbiters: [{ raft }] })
  const control = {
    any: <T>(ask: (client: typeof node) => Promise<T>) => ask(node),
    node: () => node,
    tableOfNewest: async () => table(),
    sample: async () => ({ atMs: 0, nodes: [{ id: 'a1', status }], table: table() })
  }
  const stop = new AbortController()
  const hand = new OperationHand({
    cluster: { control, config: { nodes: [] } } as never,
    processes: undefined,
    random: new Prng(3),
    roll: async () => {},
    signal: stop.signal,
    over: new AbortController().signal
  })
  return { owners, orders, hand, stop }
}

describe('slots that a drill moves', () => {
  const [fault] = parseScenario(
    'name: a\nproves: it does something\nfaults: [{ do: moveSlots, slots: 5, at: 1 }]',
    'a'
  ).faults

  it('are put back where they were, however often they moved', async () => {
    const { owners, orders, hand } = setUp()
    const before = [...owners]
    await hand.putBack()
    expect(orders).toEqual([])
    const order = { fault: fault!, nodes: [], ledGroups: [] }
    for (let time = 0; time < 2; time++) await hand.do(order)
    expect(owners).not.toEqual(before)
    await hand.putBack()
    expect(owners).toEqual(before)
  })

  it('are none where there is nowhere to go, or no time any more', async () => {
    const order = { fault: fault!, nodes: [], ledGroups: [] }
    const alone = setUp(['s1'])
    await expect(alone.hand.do(order)).rejects.toMatchObject({ code: 'DRILL_UNABLE' })
    const late = setUp()
    late.stop.abort()
    expect(await late.hand.do(order)).toBeUndefined()
    expect([...alone.orders, ...late.orders]).toEqual([])
  })
})

describe('a gateway that a drill drains', () => {
  it('is told to take clients again until it hears it', async () => {
    const refusals = [new RingsetError('UNREACHABLE'), new RingsetError('TIMEOUT')]
    const told: string[] = []
    const transfer = { id: 't1', set: 's1', state: 'draining', connections: 0, moved: 0 }
    const status = StatusResponse.fromPartial({ nodeId: 'n1', transfers: [transfer] })
    const node = {
      status: async () => status,
      drainTransfer: async () => true,
      undrainTransfer: async (id: string) => {
        told.push(id)
        const refusal = refusals.shift()
        if (refusal !== undefined) throw refusal
        return { changed: true, moved: 0, connections: 0 }
      }
    }
    const sets = [
      {
        id: 's1',
        routers: [],
        logics: [],
        transfers: [{ id: 't1', nodeId: 'n1', state: 'draining' }]
      }
    ]
    const table = {
      epoch: 1,
      clusterId: '',
      slotCount: 1,
      runs: [],
      moves: [],
      pins: [],
      grey: [],
      tenants: [],
      arbiters: [],
      sets
    }
    const control = {
      node: () => node,
      sample: async () => ({ atMs: 0, nodes: [{ id: 'n1', status }], table })
    }
    const config = { nodes: [{ id: 'n1', roles: [{ role: 'transfer', id: 't1' }] }] }
    const hand = new OperationHand({
      cluster: { control, config } as never,
      processes: undefined,
      random: new Prng(3),
      roll: async () => {},
      signal: new AbortController().signal,
      over: new AbortController().signal
    })
    const order = { fault: { do: 'drain' } as never, nodes: ['n1'], ledGroups: [] }
    await hand.do(order)
    await hand.undo(order)
    expect(told).toHaveLength(1)
    await hand.putBack()
    expect(told).toHaveLength(3)
    await hand.putBack()
    expect(told).toHaveLength(3)
  })
})

describe('an operation that has nothing to do', () => {
  it.each(['handOver', 'drain'] as const)('is refused: %s', async action => {
    const { hand } = setUp()
    const fault = { do: action, seconds: 1 } as never
    const done = hand.do({ fault, nodes: ['n1'], ledGroups: [] })
    await expect(done).rejects.toMatchObject({ code: 'DRILL_UNABLE' })
  })
})
