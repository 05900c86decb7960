import { afterEach, describe, expect, it } from 'vitest'
import { packet } from '../../src/protocol/packet.ts'
import { fakeTable } from '../support/fake-table-keeper.ts'
import {
  type NetworkTestOptions,
  type NetworkUnderTest,
  startNetwork
} from '../support/peer-network-harness.ts'
import { until } from '../support/until.ts'

const started: NetworkUnderTest[] = []

async function start(options: NetworkTestOptions): Promise<NetworkUnderTest> {
  const under = await startNetwork(options)
  started.push(under)
  return under
}

afterEach(async () => {
  await Promise.all(started.splice(0).map(under => under.network.close()))
})

const numbered = (sequence: number) => packet('LOOKUP', { uids: ['a'] }, { bootId: 5, sequence })

describe('links between processes', () => {
  it('carries packets in order, both ways, over one connection', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['router/s/1'] })
    const b = await start({ nodeId: 'b', endpoints: ['router/s/2'] })
    a.network.learn('router/s/2', b.address)
    for (let i = 0; i < 500; i++) {
      expect(a.network.send('router/s/1', 'router/s/2', numbered(i))).toBe(true)
    }
    await until('all at b', () => b.received.length === 500)
    for (let i = 0; i < 500; i++) b.network.send('router/s/2', 'router/s/1', numbered(i))
    await until('all at a', () => a.received.length === 500)
    for (const { received } of [a, b]) {
      expect(received.map(r => r.packet.sequence)).toEqual(received.map((_, i) => i))
    }
    expect(b.received[0]).toMatchObject({ to: 'router/s/2', from: 'router/s/1' })
    expect(a.peers).toEqual(['router/s/2 up'])
    expect(b.peers).toEqual(['router/s/1 up'])
  })

  it('tells refused when the process ended, and up when it is back with a new boot id', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['x'] })
    const b = await start({ nodeId: 'b', endpoints: ['y'] })
    a.network.learn('y', b.address)
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    await b.network.close()
    await until('down', () => a.peers.length === 2)
    const port = Number(b.address.split(':')[1])
    await start({ nodeId: 'b', endpoints: ['y'], port })
    await until('up again', () => a.peers.length === 3)
    expect(a.peers).toEqual(['y up', 'y refused', 'y up'])
  })

  it('carries a newer table once', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['x'], table: fakeTable(3, 'three') })
    const b = await start({ nodeId: 'b', endpoints: ['y'] })
    a.network.learn('y', b.address)
    for (let i = 0; i < 10; i++) a.network.send('x', 'y', numbered(i))
    await until('all', () => b.received.length === 10)
    expect(b.received.map(r => r.epoch)).toEqual(new Array(10).fill(3))
    expect(b.keeper.adoptions).toEqual(['adopted'])
  })
})
