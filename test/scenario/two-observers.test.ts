import { describe, expect, it } from 'vitest'
import type { SimProcess } from '../../src/sim/sim-process.ts'
import { Trace } from '../../src/sim/trace.ts'
import { World } from '../../src/sim/world.ts'
import type { RoutingTable } from '../../src/table/table.ts'

const downAfterMs = 3_000

/** A calm cluster of one set and three arbiters, some seconds after its start. */
class Calm {
  readonly world: World

  constructor(seed: number) {
    const calm = { faults: [], tiny: false, lasting: false, repeats: 0, diskMeanMs: 1 }
    const shape = { sets: 1, routers: 3, arbiters: 3, spare: false, users: 3, sendEveryMs: 2_000 }
    const network = { latencyMinMs: 0.1, latencyMeanMs: 0.5, drift: 0 }
    this.world = new World(seed, new Trace(undefined), undefined, { ...calm, ...shape, ...network })
    this.pass(6_000)
  }

  get leader(): SimProcess {
    const leads = ({ replicas }: SimProcess): boolean =>
      replicas.some(({ group, api }) => group === 'arbiter' && api.leading())
    return this.world.nodes.find(leads)!
  }

  cut(from: SimProcess, to: SimProcess, cut = true): void {
    this.world.network.setCut(from, to, cut)
  }

  pass(forMs: number): void {
    this.world.kernel.runUntil(this.world.kernel.nowMs() + forMs)
  }

  /** The states, by the arbiters' table, of everything that a node runs. */
  statesOf(nodeId: string): string[] {
    const table = this.leader.keeper.view().table as RoutingTable
    return table.sets
      .flatMap(({ transfers, logics, routers }) => [...transfers, ...logics, ...routers])
      .filter(entry => entry.nodeId === nodeId)
      .map(({ state }) => state)
  }

  /** All states of a node while time passes. */
  watch(nodeId: string, forMs: number): string[] {
    const seen = new Set<string>()
    for (let passedMs = 0; passedMs < forMs; passedMs += 100) {
      this.pass(100)
      for (const state of this.statesOf(nodeId)) seen.add(state)
    }
    return [...seen]
  }
}

const up = ['up']
const allDown = ['down', 'down', 'down']

describe('a node that the leading arbiter does not hear', () => {
  it.each([1, 2, 3])(
    'stays up while only their link is cut, and is down when it dies, %i',
    seed => {
      const calm = new Calm(seed)
      const { leader, world } = calm
      const node = world.node('s1-a')
      calm.cut(leader, node)
      calm.cut(node, leader)
      expect(calm.watch('s1-a', 6 * downAfterMs)).toEqual(up)
      expect(calm.leader).toBe(leader)
      expect(world.counts.get('arbiter.node_heard_by_others')).toBeGreaterThan(0)
      node.crash('killed', 0)
      calm.pass(1_500)
      expect(calm.statesOf('s1-a')).toEqual(allDown)
    }
  )

  it.each([1, 2])('stays up while packets pass one way only, %i', seed => {
    for (const there of [true, false]) {
      const calm = new Calm(seed)
      const { leader, world } = calm
      const node = world.node('s1-b')
      if (there) calm.cut(leader, node)
      else calm.cut(node, leader)
      expect(calm.watch('s1-b', 4 * downAfterMs)).toEqual(up)
    }
  })

  it.each([1, 2, 3])('is down at once when it dies in front of everybody, %i', seed => {
    const calm = new Calm(seed)
    calm.world.node('s1-a').crash('killed', 0)
    calm.pass(700)
    expect(calm.statesOf('s1-a')).toEqual(allDown)
  })

  it.each([1, 2, 3])('is down after downAfterMs when its machine falls silent, %i', seed => {
    const calm = new Calm(seed)
    calm.world.node('s1-a').crash('powerLoss', 0)
    calm.pass(downAfterMs - 600)
    expect(calm.statesOf('s1-a')).not.toEqual(allDown)
    calm.pass(1_100)
    expect(calm.statesOf('s1-a')).toEqual(allDown)
  })

  it.each([1, 2])('is down when it is cut off from everybody, and up again after, %i', seed => {
    const calm = new Calm(seed)
    const node = calm.world.node('s1-c')
    const others = calm.world.nodes.filter(other => other !== node)
    const cutAll = (cut: boolean): void => {
      for (const other of others) {
        calm.cut(node, other, cut)
        calm.cut(other, node, cut)
      }
    }
    cutAll(true)
    calm.pass(downAfterMs + 1_000)
    expect(calm.statesOf('s1-c')).toEqual(['down'])
    cutAll(false)
    calm.pass(5_000)
    expect(calm.statesOf('s1-c')).toEqual(up)
  })

  it('is down when the whole set is gone and nobody of it is left to ask', () => {
    const calm = new Calm(1)
    for (const id of ['s1-a', 's1-b', 's1-c']) calm.world.node(id).crash('powerLoss', 0)
    calm.pass(downAfterMs + 1_000)
    for (const id of ['s1-a', 's1-b', 's1-c']) {
      expect(new Set(calm.statesOf(id))).toEqual(new Set(['down']))
    }
  })
})
