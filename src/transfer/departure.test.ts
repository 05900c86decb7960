import { describe, expect, it } from 'vitest'
import { TransferBench } from '../../test/support/transfer-bench.ts'
import { compileTable } from '../table/compile-table.ts'
import type { ProcessEntry } from '../table/table.ts'

const otherAddress = 'tcp://127.0.0.1:7060'

/** Gateway t1 with a neighbour t9 in its set. */
class PairBench extends TransferBench {
  constructor() {
    super()
    this.neighbour('up')
  }

  neighbour(state: ProcessEntry['state']): void {
    const table = this.view.table!
    const sets = table.sets.map(set => {
      if (set.id !== 's1') return set
      const own = set.transfers.find(({ id }) => id === 't1')!
      const other = { ...own, id: 't9', nodeId: 'n9', state, clientAddresses: [otherAddress] }
      return { ...set, transfers: [own, other] }
    })
    this.view = compileTable({ ...table, epoch: table.epoch + 1, sets })
    this.transfer.onTable()
  }

  asked(connIds: readonly number[]): number[] {
    return connIds.filter(connId => this.links.take(connId, 'RECONNECT').length > 0)
  }

  lastAnnounced(): boolean | undefined {
    this.transfer.tick()
    return this.take('ANNOUNCE').at(-1)?.packet.payload.stopping
  }
}

describe('a gateway that is drained', () => {
  it('asks its clients to go to the others of its set, spread over the window', () => {
    const bench = new PairBench()
    const connIds = Array.from({ length: 10 }, (_, i) => bench.online(bench.uid, `d${i}`))
    expect(bench.transfer.departure.drain(1_000, false)).toBe(true)
    expect(bench.transfer.departure.drain(1, false)).toBe(false)
    bench.pass(500)
    const half = connIds.slice(0, 5)
    const told = bench.links.sent.filter(({ packet: { kind } }) => kind === 'RECONNECT')
    expect(told.map(({ connId }) => connId)).toEqual(half)
    expect(told[0]!.packet.payload).toEqual({ withinMs: 200, addresses: [otherAddress] })
    for (const connId of half) bench.transfer.onClientClosed(connId)
    expect(bench.transfer.departure.moved).toBe(5)
    bench.pass(500)
    expect(bench.asked(connIds.slice(5))).toEqual(connIds.slice(5))
  })

  it('closes who was asked and stays', () => {
    const bench = new PairBench()
    const connId = bench.online()
    bench.transfer.departure.drain(10, false)
    bench.pass(3_000)
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.pass(300)
    expect(bench.links.closed.get(connId)).toBe(undefined)
    expect(bench.links.closed.has(connId)).toBe(true)
    expect(bench.transfer.connections).toBe(0)
    expect(bench.transfer.departure.moved).toBe(1)
  })

  it('sends newcomers there too, and asks those who were just coming in', () => {
    const bench = new PairBench()
    const opening = bench.open()
    bench.connect(opening)
    bench.transfer.departure.drain(10, false)
    const late = bench.open()
    bench.connect(late, bench.uid, 'tablet')
    const [redirect] = bench.links.take(late, 'REDIRECT')
    expect(redirect!.payload).toEqual({ setId: 's1', addresses: [otherAddress] })
    expect(bench.links.closed.has(late)).toBe(true)
    for (const open of bench.take('OPEN')) bench.reply(open, 'OPEN_OK', {})
    bench.pass(100)
    expect(bench.asked([opening])).toEqual([opening])
  })

  it('keeps everybody and takes newcomers while there is no other gateway', () => {
    const bench = new PairBench()
    bench.neighbour('down')
    const connId = bench.online()
    bench.transfer.departure.drain(10, false)
    bench.pass(1_000)
    expect(bench.asked([connId])).toEqual([])
    const late = bench.online(bench.uid, 'tablet')
    bench.neighbour('up')
    bench.pass(100)
    expect(bench.asked([connId, late])).toEqual([connId, late])
    for (const gone of [connId, late]) bench.transfer.onClientClosed(gone)
    expect(bench.transfer.departure.moved).toBe(2)
  })

  it('sends them away all the same when it is forced, also later', () => {
    const bench = new PairBench()
    bench.neighbour('draining')
    const connId = bench.online()
    bench.transfer.departure.drain(10, false)
    bench.pass(100)
    expect(bench.transfer.departure.drain(10, true)).toBe(true)
    bench.pass(100)
    expect(bench.asked([connId])).toEqual([connId])
    const late = bench.open()
    bench.connect(late, bench.uid, 'tablet')
    expect(bench.links.take(late, 'REDIRECT')[0]!.payload.addresses).toEqual([])
  })

  it('says so to the arbiters at once, and that it is over', () => {
    const bench = new PairBench()
    expect(bench.lastAnnounced()).toBe(false)
    bench.transfer.departure.drain(10, false)
    expect(bench.take('ANNOUNCE').at(-1)?.packet.payload.stopping).toBe(true)
    expect(bench.transfer.departure.undrain()).toBe(true)
    expect(bench.take('ANNOUNCE').at(-1)?.packet.payload.stopping).toBe(false)
    expect(bench.transfer.departure.undrain()).toBe(false)
  })

  it('lets everybody stay when the drain is taken back', () => {
    const bench = new PairBench()
    const connIds = ['a', 'b'].map(deviceId => bench.online(bench.uid, deviceId))
    bench.transfer.departure.drain(1_000, false)
    bench.pass(100)
    expect(bench.asked(connIds)).toEqual([connIds[0]])
    bench.transfer.departure.undrain()
    bench.pass(10_000)
    expect(bench.asked(connIds)).toEqual([])
    expect(connIds.map(connId => bench.links.closed.has(connId))).toEqual([false, false])
    bench.online(bench.uid, 'c')
  })

  it('has nobody left to ask when its process stops afterwards', () => {
    const bench = new PairBench()
    const connId = bench.online()
    bench.transfer.departure.drain(10, false)
    bench.pass(100)
    bench.transfer.onClientClosed(connId)
    for (const close of bench.take('CLOSE')) bench.reply(close, 'CLOSE_OK', {})
    expect(bench.transfer.stopping()).toBe(true)
  })
})
