import { describe, expect, it } from 'vitest'
import { routerTable } from '../../test/support/router-table.ts'
import { RingsetError } from '../base/errors.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import { targetOwners } from '../table/ring.ts'
import { assignRuns, ownersOf, runsOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'
import type { SetOrder } from './control-source.ts'
import { type SetCluster, SetOperator } from './set-operator.ts'

const ring = (...ids: string[]): string[] =>
  targetOwners(
    64,
    ids.map(id => ({ id, weight: 1 }))
  )
const newSet = {
  id: 's3',
  zone: '',
  weight: 1,
  routers: [{ replica: 1, node: 'n', address: 'h:1' }]
}

/** A cluster that carries out at the next look what it was told. */
class FakeCluster implements SetCluster {
  table: RoutingTable
  readonly orders: SetOrder[] = []
  /** Refusals of the next orders, one each. */
  readonly refusals: ('SET_NOT_EMPTY' | 'BAD_PACKET' | 'SET_USED')[] = []
  /** Slots whose moves are called off, as often as said. */
  readonly stuck = new Map<number, number>()

  constructor(...sets: string[]) {
    const runs = runsOf(ring(...sets), new Array<number>(64).fill(1))
    this.table = routerTable(1, runs, sets).table!
  }

  node(): ReturnType<SetCluster['node']> {
    return {
      moveSlots: async ({ slots, to }) => {
        const known = this.table.moves.map(({ slot }) => slot)
        const fresh = slots.filter(slot => !known.includes(slot))
        const epoch = this.table.epoch + 1
        const moves = [...this.table.moves, ...fresh.map(slot => ({ slot, to, epoch }))]
        this.table = { ...this.table, epoch, moves }
        return epoch
      },
      abortMoves: async slots => {
        const moves = this.table.moves.filter(({ slot }) => !slots.includes(slot))
        this.table = { ...this.table, epoch: this.table.epoch + 1, moves }
        return this.table.epoch
      },
      changeSet: async order => {
        this.orders.push(order)
        const refusal = this.refusals.shift()
        if (refusal !== undefined) throw new RingsetError(refusal)
        if (order.change === 'drain') this.#state(order.set, 'draining')
        return this.table.epoch
      },
      drainTransfer: async () => true
    }
  }

  #state(id: string, state: 'draining'): void {
    const sets = this.table.sets.map(set => (set.id === id ? { ...set, state } : set))
    this.table = { ...this.table, epoch: this.table.epoch + 1, sets }
  }

  async tableOfNewest() {
    return (await this.sample()).table
  }

  async sample() {
    const status = StatusResponse.fromPartial({
      nodeId: 'n1',
      state: 'running',
      epoch: this.table.epoch,
      arbiters: [{ raft: { replica: 1, role: 'leader', term: 1 } }]
    })
    const sample = { id: 'n1', controlAddress: 'h:1', status, error: undefined }
    const { table } = this
    const arrived = new Map<number, string>()
    for (const { slot, to } of table.moves) {
      const stuck = this.stuck.get(slot) ?? 0
      if (stuck > 0) this.stuck.set(slot, stuck - 1)
      else arrived.set(slot, to)
    }
    const epoch = table.epoch + 1
    const runs = assignRuns(table.runs, arrived, epoch)
    if (table.moves.length > 0) this.table = { ...table, epoch, runs, moves: [] }
    return { atMs: 0, nodes: [sample], table }
  }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: RingsetError) => error.code
  )

describe('a set that is added', () => {
  it('is planned to get its share and nothing else, before it is there and afterwards', async () => {
    const cluster = new FakeCluster('s1', 's2')
    const before = ownersOf(cluster.table.runs)
    const due = ring('s1', 's2', 's3').flatMap((to, slot) =>
      to === 's3' ? [{ slot, from: before[slot]!, to }] : []
    )
    expect(due.length).toBeGreaterThan(10)
    expect(await new SetOperator(cluster, 0).planFill('s3', newSet)).toEqual(due)
    cluster.table = {
      ...cluster.table,
      sets: [...cluster.table.sets, { ...cluster.table.sets[0]!, id: 's3' }]
    }
    const shown: string[] = []
    const report = await new SetOperator(cluster, 0).fill('s3', {
      onMoves: ({ moved, total }) => shown.push(`${moved}/${total}`)
    })
    expect(report).toEqual({ moved: due.length, total: due.length, aborted: [] })
    expect(shown.at(-1)).toBe(`${due.length}/${due.length}`)
    expect(ownersOf(cluster.table.runs)).toEqual(ring('s1', 's2', 's3'))
  })

  it('is refused when its name was used, which is asked without adding anything', async () => {
    const cluster = new FakeCluster('s1')
    cluster.refusals.push('SET_USED', 'BAD_PACKET')
    const operator = new SetOperator(cluster, 0)
    expect(await codeOf(operator.mustBeFree('s3'))).toBe('SET_USED')
    expect(await codeOf(operator.mustBeFree('s4'))).toBe('done')
    for (const { routers } of cluster.orders) expect(routers).toEqual([])
  })
})

describe('a set that is removed', () => {
  it('gives its slots to the others by the ring, also those that are called off once', async () => {
    const cluster = new FakeCluster('s1', 's2', 's3')
    const own = ring('s1', 's2', 's3').flatMap((id, slot) => (id === 's3' ? [slot] : []))
    cluster.stuck.set(own[0]!, 1)
    const report = await new SetOperator(cluster, 0).drain('s3')
    expect(report).toEqual({ moved: own.length, total: own.length, aborted: [] })
    expect(ownersOf(cluster.table.runs)).toEqual(ring('s1', 's2'))
    expect(cluster.orders.map(({ change }) => change)).toEqual(['drain'])
  })

  it('tells of those that do not get through, and tries them no more', async () => {
    const cluster = new FakeCluster('s1', 's2')
    const own = ring('s1', 's2').flatMap((id, slot) => (id === 's2' ? [slot] : []))
    cluster.stuck.set(own[3]!, Number.POSITIVE_INFINITY)
    const report = await new SetOperator(cluster, 0).drain('s2')
    expect(report).toEqual({ moved: own.length - 1, total: own.length, aborted: [own[3]] })
  })

  it('is waited for until nothing is left in it', async () => {
    const cluster = new FakeCluster('s1', 's2')
    cluster.refusals.push('SET_NOT_EMPTY', 'SET_NOT_EMPTY')
    const waits: string[] = []
    const operator = new SetOperator(cluster, 0)
    expect(await operator.remove('s2', { onWait: text => waits.push(text) })).toBe(true)
    expect(waits).toEqual(['s2 has no leader', 's2 has no leader'])
    cluster.refusals.push('SET_NOT_EMPTY')
    const stop = new AbortController()
    const work = { signal: stop.signal, onWait: () => stop.abort() }
    expect(await operator.remove('s2', work)).toBe(false)
  })

  it.each([
    ['SET_UNKNOWN', 's9'],
    ['LAST_SET', 's1'],
    ['SET_PINNED', 's2']
  ])('is refused with %s before anything changes', async (code, id) => {
    const cluster = new FakeCluster('s1', 's2')
    const pins = [{ match: 'uid' as const, value: 'ann', setId: 's2' }]
    const sets = cluster.table.sets.map(set => {
      return set.id === 's2' && code === 'LAST_SET' ? { ...set, state: 'draining' as const } : set
    })
    cluster.table = { ...cluster.table, pins, sets }
    const operator = new SetOperator(cluster, 0)
    expect(await codeOf(operator.planDrain(id))).toBe(code)
    expect(await codeOf(operator.drain(id))).toBe(code)
    expect(cluster.orders).toEqual([])
  })
})
