import { describe, expect, it } from 'vitest'
import { RingsetError } from '../base/errors.ts'
import { StatusResponse } from '../gen/ringset/control/v1/control.ts'
import type { RoutingTable } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import {
  type DrainedCluster,
  type DrainedNode,
  type DrainProgress,
  TransferOperator
} from './transfer-operator.ts'

/** Gateway t1 on n1, of which one connection goes each time somebody looks; t2 of the same set on n2. */
class FakeCluster implements DrainedCluster {
  connections = 3
  moved = 0
  draining = false
  /** Looks after which nobody goes any more. */
  movesLeft = 100
  dead = ''
  otherState = 'up'
  refusal: RingsetError | undefined
  /** Looks after which the drain is taken back by somebody else. */
  undrainedAfter = 100
  readonly orders: unknown[] = []

  async sample(): Promise<ClusterSample> {
    const nodes = ['n1', 'n2'].map(id => {
      const status = id === this.dead ? undefined : this.#status(id)
      return { id, controlAddress: '', status, error: status ? undefined : ('TIMEOUT' as const) }
    })
    return { atMs: 0, nodes, table: this.#table() }
  }

  node(id: string): DrainedNode {
    return {
      status: async () => {
        this.#turn()
        return this.#status(id)
      },
      table: async () => this.#table(),
      drainTransfer: async order => {
        this.orders.push(order)
        if (this.refusal) throw this.refusal
        const changed = !this.draining
        this.draining = true
        return changed
      },
      undrainTransfer: async () => {
        const { draining: changed, moved, connections } = this
        this.draining = false
        return { changed, moved, connections }
      }
    }
  }

  #turn(): void {
    if (--this.undrainedAfter === 0) this.draining = false
    if (!this.draining || this.connections === 0 || this.movesLeft-- <= 0) return
    this.connections--
    this.moved++
  }

  #status(nodeId: string): StatusResponse {
    const { connections, moved } = this
    const state = this.draining ? 'draining' : 'up'
    const own = { id: 't1', set: 's1', state, connections, moved }
    return StatusResponse.fromPartial({ nodeId, transfers: nodeId === 'n1' ? [own] : [] })
  }

  #table(): RoutingTable {
    const place = { clientAddresses: [] }
    const transfers = [
      { ...place, id: 't1', nodeId: 'n1', state: 'draining' },
      { ...place, id: 't2', nodeId: 'n2', state: this.otherState }
    ]
    const sets = [{ id: 's1', state: 'active', transfers, logics: [], routers: [] }]
    const table = { epoch: 1, clusterId: 'c', runs: [], moves: [], arbiters: [], sets }
    return table as unknown as RoutingTable
  }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

describe('draining from outside', () => {
  it('waits until everybody has gone and tells how far it is', async () => {
    const cluster = new FakeCluster()
    const seen: DrainProgress[] = []
    const done = await new TransferOperator(cluster).drain('t1', {
      overMs: 50,
      onProgress: progress => seen.push(progress)
    })
    expect(cluster.orders).toEqual([{ transfer: 't1', overMs: 50, force: false }])
    expect(done).toMatchObject({
      transfer: 't1',
      node: 'n1',
      state: 'draining',
      connections: 0,
      moved: 3,
      changed: true
    })
    expect(seen.map(({ left, total }) => `${left}/${total}`)).toEqual(['2/3', '1/3', '0/3'])
  })

  it('is content with a threshold, and with a drain that is under way', async () => {
    const cluster = new FakeCluster()
    const operator = new TransferOperator(cluster)
    const first = await operator.drain('t1', { threshold: 2 })
    expect(first).toMatchObject({ connections: 2, changed: true })
    expect(await operator.drain('t1')).toMatchObject({ connections: 0, moved: 3, changed: false })
  })

  it('gives up when nobody goes any more, and says why', async () => {
    const cluster = new FakeCluster()
    cluster.movesLeft = 1
    cluster.otherState = 'down'
    const error = await new TransferOperator(cluster, 1_200)
      .drain('t1', { overMs: 1 })
      .catch((caught: RingsetError) => caught)
    expect(error).toMatchObject({ code: 'TIMEOUT' })
    expect((error as RingsetError).message).toMatch(/2 connections stay: no other gateway/)
  })

  it('notices that somebody took it back', async () => {
    const cluster = new FakeCluster()
    cluster.undrainedAfter = 2
    expect(await codeOf(new TransferOperator(cluster).drain('t1'))).toBe('CANCELLED')
  })

  it('passes on what the gateway refuses', async () => {
    const cluster = new FakeCluster()
    cluster.refusal = new RingsetError('LAST_TRANSFER')
    expect(await codeOf(new TransferOperator(cluster).drain('t1'))).toBe('LAST_TRANSFER')
  })

  it('knows no gateway of another name, and none whose node is silent', async () => {
    const cluster = new FakeCluster()
    const operator = new TransferOperator(cluster)
    const error = await operator.undrain('t3').catch((caught: RingsetError) => caught)
    expect(error).toMatchObject({ code: 'TRANSFER_UNKNOWN' })
    expect((error as RingsetError).message).toMatch(/there are t1, t2$/)
    expect(await codeOf(operator.drain('t2'))).toBe('UNREACHABLE')
    cluster.dead = 'n1'
    expect(await codeOf(operator.drain('t1'))).toBe('UNREACHABLE')
  })

  it('takes a drain back once', async () => {
    const cluster = new FakeCluster()
    const operator = new TransferOperator(cluster)
    await operator.drain('t1')
    expect(await operator.undrain('t1')).toMatchObject({ state: 'up', moved: 3, changed: true })
    expect(await operator.undrain('t1')).toMatchObject({ state: 'up', changed: false })
  })
})
