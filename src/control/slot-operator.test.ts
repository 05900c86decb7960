import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import { targetOwners } from '../table/ring.ts'
import { ownersOf, runsOf } from '../table/runs.ts'
import { slotOfKey } from '../table/slot-of.ts'
import type { Pin, RoutingTable, SlotMove } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import { type MoveProgress, type SlotCluster, SlotOperator } from './slot-operator.ts'

const slotCount = 128

/** Sets s1, with all the slots at first, and s2. Each look at it ends one move, well or, of slots in `stuck`, not. */
class FakeCluster implements SlotCluster {
  epoch = 1
  readonly owners = Array<string>(slotCount).fill('s1')
  moves: SlotMove[] = []
  pins: Pin[] = []
  leader = 'n1'
  silent = false
  frozen = false
  /** The node that is asked for its table alone has an old one. */
  behind = false
  /** What a node was asked for that was asked for its table alone: newer than an epoch, waiting so long. */
  readonly looks: [number, number][] = []
  onLook = (): void => {}
  /** How often all nodes were asked. */
  samples = 0
  readonly stuck = new Set<number>()
  readonly calls: string[] = []
  readonly refusals: RingsetError[] = []
  /** The most moves that were under way at once. */
  most = 0

  async tableOfNewest(epoch: number, waitMs: number) {
    this.looks.push([epoch, waitMs])
    this.onLook()
    if (this.behind) return { ...this.#table(), epoch: 1 }
    this.#goOn()
    return this.#table()
  }

  async sample(): Promise<ClusterSample> {
    this.samples++
    this.#goOn()
    const nodes = ['n1', 'n2'].map((id, i) => {
      const raft = { replica: i + 1, role: id === this.leader ? 'leader' : 'follower', term: 1 }
      const status = StatusResponse.fromPartial({ nodeId: id, arbiters: [{ raft }] })
      return this.silent
        ? { id, controlAddress: '', status: undefined, error: 'UNREACHABLE' as const }
        : { id, controlAddress: '', status, error: undefined }
    })
    return { atMs: 0, nodes, table: this.#table() }
  }

  node(id: string): ReturnType<SlotCluster['node']> {
    return {
      moveSlots: async ({ slots, to }) => {
        this.#called(id, `move ${slots.length} ${to}`)
        this.epoch++
        for (const slot of slots) {
          if (this.owners[slot] !== to) this.moves.push({ slot, to, epoch: this.epoch })
        }
        this.most = Math.max(this.most, this.moves.length)
        return this.epoch
      },
      abortMoves: async slots => {
        this.#called(id, `abort ${slots}`)
        this.moves = this.moves.filter(({ slot }) => slots.length > 0 && !slots.includes(slot))
        return ++this.epoch
      }
    }
  }

  #goOn(): void {
    const move = this.frozen ? undefined : this.moves.shift()
    if (move === undefined) return
    this.epoch++
    if (!this.stuck.has(move.slot)) this.owners[move.slot] = move.to
  }

  #called(node: string, call: string): void {
    this.calls.push(`${node} ${call}`)
    const refusal = this.refusals.shift()
    if (refusal !== undefined) throw refusal
  }

  #table(): RoutingTable {
    const runs = runsOf(this.owners, Array<number>(slotCount).fill(1))
    const sets = ['s1', 's2'].map(id => {
      return { id, state: 'active', weight: 1, transfers: [], logics: [], routers: [] }
    })
    const moves = [...this.moves]
    const { epoch, pins } = this
    const rest = { tenants: [], arbiters: [] }
    const table = { epoch, clusterId: 'c', slotCount, runs, moves, pins, sets, ...rest }
    return table as unknown as RoutingTable
  }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

describe('moving slots from outside', () => {
  it('waits until the table lists none of them, and tells how far it is', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    cluster.owners[4] = 's2'
    const plan = await operator.plan([3, 4, 5], 's2')
    expect(plan).toEqual([3, 5].map(slot => ({ slot, from: 's1', to: 's2' })))
    expect(cluster.calls).toEqual([])
    const seen: MoveProgress[] = []
    const report = await operator.carry(plan, { onProgress: progress => seen.push(progress) })
    expect(report).toMatchObject({ moved: 2, total: 2, aborted: [] })
    expect(cluster.calls).toEqual(['n1 move 2 s2'])
    expect(seen.map(({ moved, total }) => `${moved}/${total}`)).toEqual(['0/2', '1/2', '2/2'])
    expect(await operator.plan([3, 4, 5], 's2')).toEqual([])
    expect(await operator.carry([])).toMatchObject({ moved: 0, total: 0 })
  })

  it('begins no more in a second than it may', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([0, 1, 2, 3], 's2')
    const startMs = performance.now()
    const report = await operator.carry(plan, { perSecond: 5 })
    // The first at once, then one each fifth of a second.
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(600)
    expect(report).toMatchObject({ moved: 4, total: 4 })
    expect(cluster.calls).toEqual(plan.map(() => 'n1 move 1 s2'))
    expect(cluster.most).toBe(1)
    // Nobody looks while nothing is under way.
    expect(cluster.looks).toHaveLength(4)
  })

  it('has a node tell it when a few are through', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([0, 1, 2], 's2')
    expect(await operator.carry(plan, { atOnce: 1 })).toMatchObject({ moved: 3 })
    // Each begins with a table of its own, and ends with the next.
    expect(cluster.looks).toEqual([2, 4, 6].map(epoch => [epoch, 200]))
  })

  it('asks ever less often where nodes answer at once', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    cluster.frozen = true
    const enough = new AbortController()
    const startMs = performance.now()
    let tookMs = 0
    cluster.onLook = () => {
      if (cluster.looks.length < 12) return
      tookMs = performance.now() - startMs
      enough.abort()
    }
    await operator.carry([{ slot: 9, from: 's1', to: 's2' }], { signal: enough.signal })
    // The first six after 0, 20, 40, 60, 80 and 100 ms, each of the others a quarter later than the one before: 381 ms. Every 20 ms: 220.
    expect(tookMs).toBeGreaterThan(350)
  })

  it('tells moves that ended where they began', async () => {
    const cluster = new FakeCluster()
    cluster.stuck.add(7)
    const operator = new SlotOperator(cluster)
    const report = await operator.carry(await operator.plan([6, 7], 's2'))
    expect(report).toMatchObject({ moved: 1, total: 2, aborted: [7] })
  })

  it('returns at once when asked to, and when somebody stops it', async () => {
    const cluster = new FakeCluster()
    cluster.frozen = true
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([1, 2], 's2')
    expect(await operator.carry(plan, { wait: false })).toMatchObject({ moved: 0, total: 2 })
    expect(cluster.moves.length).toBe(2)
    const stop = new AbortController()
    const carried = operator.carry(await operator.plan([1, 2, 3], 's2'), {
      atOnce: 2,
      signal: stop.signal,
      onProgress: () => stop.abort()
    })
    expect(await carried).toMatchObject({ moved: 0, total: 3 })
    expect(cluster.calls.at(-1)).toBe('n1 move 2 s2')
  })

  it('asks again what passes by itself, and passes on the rest', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([1], 's2')
    cluster.refusals.push(new RingsetError('NOT_LEADER'), new RingsetError('TIMEOUT'))
    expect(await operator.carry(plan)).toMatchObject({ moved: 1 })
    cluster.refusals.push(new RingsetError('EPOCH_CONFLICT'))
    expect(await codeOf(operator.carry([{ slot: 1, from: 's2', to: 's1' }]))).toBe('EPOCH_CONFLICT')
    cluster.leader = ''
    const impatient = new SlotOperator(cluster, 1)
    expect(await codeOf(impatient.carry([{ slot: 1, from: 's2', to: 's1' }]))).toBe('NO_LEADER')
    cluster.silent = true
    expect(await codeOf(impatient.plan([1], 's2'))).toBe('UNREACHABLE')
  })

  it('waits for nobody any more once that is over', async () => {
    const cluster = new FakeCluster()
    const over = new AbortController()
    const patient = new SlotOperator(cluster, 3_600_000, over.signal)
    const plan = await patient.plan([1], 's2')
    cluster.leader = ''
    const refused = codeOf(patient.carry(plan))
    cluster.silent = true
    const unheard = codeOf(patient.plan([1], 's2'))
    over.abort()
    expect(await refused).toBe('NO_LEADER')
    expect(await unheard).toBe('UNREACHABLE')
  })

  it('asks who led last before it asks all who leads', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([1, 2, 3], 's2')
    expect(await operator.carry(plan, { atOnce: 1 })).toMatchObject({ moved: 3 })
    expect(cluster.calls).toEqual(plan.map(() => 'n1 move 1 s2'))
    // For the plan, and for the first call.
    expect(cluster.samples).toBe(2)
    cluster.leader = 'n2'
    cluster.refusals.push(new RingsetError('NOT_LEADER'))
    cluster.calls.length = 0
    await operator.carry(await operator.plan([4], 's2'))
    expect(cluster.calls).toEqual(['n1 move 1 s2', 'n2 move 1 s2'])
  })

  it('sees that moves have ended though the node that it asks is behind', async () => {
    const cluster = new FakeCluster()
    cluster.behind = true
    const operator = new SlotOperator(cluster)
    const plan = await operator.plan([1, 2], 's2')
    expect(await operator.carry(plan)).toMatchObject({ moved: 2, aborted: [] })
  })

  it('plans nothing for a set or a slot that is not there, or for one that goes elsewhere', async () => {
    const cluster = new FakeCluster()
    cluster.frozen = true
    const operator = new SlotOperator(cluster)
    expect(await codeOf(operator.plan([1], 's3'))).toBe('SET_UNKNOWN')
    expect(await codeOf(operator.plan([slotCount], 's2'))).toBe('SLOT_UNKNOWN')
    expect(await codeOf(operator.abort([slotCount]))).toBe('SLOT_UNKNOWN')
    await cluster.node('n1').moveSlots({ slots: [9], to: 's2' })
    expect(await codeOf(operator.plan([9], 's1'))).toBe('SLOT_MOVING')
    expect(await operator.plan([9, 10], 's2')).toHaveLength(2)
  })

  it('leaves pinned slots where they are held, and brings those there that are not', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const slotOf = (uid: string) => slotOfKey(uid, { slotCount, tenants: [] })
    const ring = targetOwners(
      slotCount,
      ['s1', 's2'].map(id => ({ id, weight: 1 }))
    )
    const names = Array.from({ length: 50 }, (_, i) => `user-${i}`)
    const ann = names.find(uid => ring[slotOf(uid)] === 's1')!
    const bob = names.find(uid => ring[slotOf(uid)] === 's2')!
    cluster.pins = [
      { match: 'uid', value: ann, setId: 's2' },
      { match: 'uid', value: bob, setId: 's1' }
    ]
    cluster.owners[slotOf(ann)] = 's2'
    expect(await codeOf(operator.plan([slotOf(ann)], 's1'))).toBe('SLOT_PINNED')
    expect(await operator.plan([slotOf(ann)], 's2')).toEqual([])
    const slotsOf = async () =>
      (await operator.planRebalance()).map(({ slot, to }) => `${slot} ${to}`)
    expect(await slotsOf()).not.toContain(`${slotOf(ann)} s1`)
    expect(await slotsOf()).not.toContain(`${slotOf(bob)} s2`)
    cluster.owners[slotOf(ann)] = 's1'
    cluster.owners[slotOf(bob)] = 's2'
    const astray = [`${slotOf(ann)} s2`, `${slotOf(bob)} s1`]
    expect(await slotsOf()).toEqual(expect.arrayContaining(astray))
  })

  it('calls moves off, and tells for which it was too late', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    await cluster.node('n1').moveSlots({ slots: [1, 2, 3, 4], to: 's2' })
    // The look before the call ends the move of 1, the one at the leader that of 2.
    expect(await operator.abort()).toEqual({ aborted: [3, 4], moved: [2] })
    expect(await operator.abort([3])).toEqual({ aborted: [], moved: [] })
  })

  it('brings every set to its share, so many slots at once', async () => {
    const cluster = new FakeCluster()
    const operator = new SlotOperator(cluster)
    const targets = targetOwners(slotCount, [
      { id: 's1', weight: 1 },
      { id: 's2', weight: 1 }
    ])
    const plan = await operator.planRebalance()
    expect(plan.length).toBe(targets.filter(id => id === 's2').length)
    expect(plan.length).toBeGreaterThan(30)
    const few = plan.slice(0, 10)
    expect(await operator.carry(few, { atOnce: 4 })).toMatchObject({ moved: 10 })
    expect(cluster.most).toBe(4)
    for (const { slot } of few) expect(cluster.owners[slot]).toBe('s2')
    expect(await operator.planRebalance()).toEqual(plan.slice(10))
    expect(
      ownersOf(
        runsOf(
          cluster.owners,
          cluster.owners.map(() => 1)
        )
      )
    ).toEqual(cluster.owners)
  })
})
