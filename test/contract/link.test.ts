import { afterEach, describe, expect, it } from 'vitest'
import { type Packet, packet } from '../../src/protocol/packet.ts'
import { fakeTable } from '../support/fake-table-keeper.ts'
import {
  type NetworkTestOptions,
  type NetworkUnderTest,
  startNetwork
} from '../support/peer-network-harness.ts'
import { helloFrame, SilentNode } from '../support/raw-node.ts'
import { frameOf, RawPeer } from '../support/raw-peer.ts'
import { until } from '../support/until.ts'

const started: NetworkUnderTest[] = []

async function start(options: NetworkTestOptions): Promise<NetworkUnderTest> {
  const under = await startNetwork(options)
  started.push(under)
  return under
}

/** Two processes, `a` with endpoint `x` and `b` with `y`; `a` knows where `y` is. */
async function pair(
  forA: Partial<NetworkTestOptions> = {},
  forB: Partial<NetworkTestOptions> = {}
): Promise<[NetworkUnderTest, NetworkUnderTest]> {
  const a = await start({ nodeId: 'a', endpoints: ['x'], ...forA })
  const b = await start({ nodeId: 'b', endpoints: ['y'], ...forB })
  a.network.learn('y', b.address)
  return [a, b]
}

afterEach(async () => {
  await Promise.all(started.splice(0).map(under => under.network.close()))
})

const numbered = (sequence: number) => packet('LOOKUP', { uids: ['a'] }, { bootId: 5, sequence })
const portOf = (under: NetworkUnderTest) => Number(under.address.split(':')[1])
const sequences = (under: NetworkUnderTest) => under.received.map(r => r.packet.sequence)
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

describe('packets between processes', () => {
  it('arrive in order, both ways, those sent before the link is up included', async () => {
    const [a, b] = await pair()
    for (const i of upTo(500)) expect(a.network.send('x', 'y', numbered(i))).toBe(true)
    await until('all at b', () => b.received.length === 500)
    for (const i of upTo(500)) expect(b.network.send('y', 'x', numbered(i))).toBe(true)
    await until('all at a', () => a.received.length === 500)
    expect(sequences(a)).toEqual(upTo(500))
    expect(sequences(b)).toEqual(upTo(500))
    expect(b.received[0]).toMatchObject({ to: 'y', from: 'x' })
    expect(a.peers).toEqual(['y up'])
    expect(b.peers).toEqual(['x up'])
  })

  it('arrive in order when both sides dial at once and two links cross', async () => {
    for (let round = 0; round < 10; round++) {
      const [a, b] = await pair()
      b.network.learn('x', a.address)
      for (const i of upTo(50)) {
        a.network.send('x', 'y', numbered(i))
        b.network.send('y', 'x', numbered(i))
      }
      let next = 50
      await until('both are up', () => {
        a.network.send('x', 'y', numbered(next))
        b.network.send('y', 'x', numbered(next++))
        return a.peers.length > 0 && b.peers.length > 0
      })
      await until('all', () => a.received.length === next && b.received.length === next)
      expect(sequences(a)).toEqual(upTo(next))
      expect(sequences(b)).toEqual(upTo(next))
      expect([a.peers, b.peers]).toEqual([['y up'], ['x up']])
      await Promise.all([a.network.close(), b.network.close()])
    }
  })

  it('go on over the link that opened first, until that proves dead; then over the other', async () => {
    const limits = { suspectMs: 300, linkTimeoutMs: 100_000 }
    const a = await start({ nodeId: 'a', endpoints: ['x'], limits })
    const silent = new SilentNode('y')
    a.network.learn('y', await silent.listen())
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    const raw = new RawPeer(portOf(a))
    const endpoints = [{ index: 0, id: 'y' }]
    raw.write(await helloFrame(raw, { nodeId: 'silent', bootId: 4, endpoints }))
    await raw.first('WELCOME')
    a.network.send('x', 'y', numbered(1))
    await until('on the first', () => silent.frames.some(f => f.packet.sequence === 1))
    await until('told that something may be lost', () => a.peers.length === 3)
    expect(a.peers).toEqual(['y up', 'y down', 'y up'])
    a.network.send('x', 'y', numbered(2))
    expect((await raw.first('LOOKUP')).sequence).toBe(2)
    raw.socket.destroy()
    silent.close()
  })

  it('may be large once the handshake is through', async () => {
    const [a, b] = await pair()
    const data = Buffer.alloc(3_000_000, 7)
    a.network.send('x', 'y', packet('RAFT', { data }))
    await until('delivered', () => b.received.length === 1)
    b.network.send('y', 'x', packet('RAFT', { data }))
    await until('answered', () => a.received.length === 1)
    const { payload } = a.received[0]!.packet as Packet<'RAFT'>
    expect(payload.data.equals(data)).toBe(true)
  })

  it('share one link whatever endpoints they are for', async () => {
    const [a, b] = await pair({ endpoints: ['x', 'x2'] }, { endpoints: ['y', 'y2'] })
    a.network.learn('y2', b.address)
    a.network.send('x2', 'y2', numbered(1))
    a.network.send('x', 'y', numbered(2))
    await until('both', () => b.received.length === 2)
    expect(b.received.map(r => [r.from, r.to])).toEqual([
      ['x2', 'y2'],
      ['x', 'y']
    ])
    expect(a.network.links).toBe(1)
    expect(b.network.links).toBe(1)
  })

  it('are certainly dropped without an address, over the frame limit, or while nobody listens', async () => {
    const [a, b] = await pair({ limits: { frameBytes: 1_000, waitingPackets: 3 } })
    expect(a.network.send('x', 'nowhere', numbered(1))).toBe(false)
    for (const fits of [true, true, true, false]) {
      expect(a.network.send('x', 'y', numbered(1))).toBe(fits)
    }
    await until('up', () => a.peers.length === 1)
    const data = Buffer.alloc(1_000)
    expect(a.network.send('x', 'y', packet('RAFT', { data }))).toBe(false)
    expect(a.network.send('x', 'y', numbered(9))).toBe(true)
    await until('all but the large one', () => b.received.length === 4)
    expect(sequences(b)).toEqual([1, 1, 1, 9])
    await b.network.close()
    await until('refused', () => a.peers.length === 2)
    await until('dropped while it waits to dial again', () => {
      return !a.network.send('x', 'y', numbered(1))
    })
  })

  it('reach endpoints that were added after the link was made', async () => {
    const [a, b] = await pair()
    a.network.interest('y')
    await until('up', () => b.peers.length === 1)
    b.network.addLocal('late')
    await until('announced', () => a.peers.includes('late up'))
    expect(a.network.send('x', 'late', numbered(1))).toBe(true)
    await until('delivered', () => b.received.length === 1)
    expect(b.received[0]!.to).toBe('late')
  })

  it('inside one process come as the same object, in order, but never from inside send', async () => {
    const depths: number[] = []
    let depth = 0
    const a = await start({
      nodeId: 'a',
      endpoints: ['x', 'y'],
      table: fakeTable(6),
      onPacket: (to, from, got) => {
        depths.push(depth)
        depth++
        if (got.sequence < 5) a.network.send(to, from, numbered(got.sequence + 1))
        depth--
      }
    })
    const first = numbered(1)
    expect(a.network.send('x', 'y', first)).toBe(true)
    expect(a.received).toEqual([])
    await until('all', () => a.received.length === 5)
    expect(a.received[0]!.packet).toBe(first)
    expect(first).toMatchObject({ epoch: 6, clusterTag: 7 })
    expect(sequences(a)).toEqual([1, 2, 3, 4, 5])
    expect(depths).toEqual([0, 0, 0, 0, 0])
  })

  it('inside one process are bounded too', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['x', 'y'], limits: { localPackets: 2 } })
    expect([1, 2, 3].map(i => a.network.send('x', 'y', numbered(i)))).toEqual([true, true, false])
    await until('delivered', () => a.received.length === 2)
    expect(a.network.send('x', 'y', numbered(4))).toBe(true)
  })
})

describe('what is told about a peer', () => {
  it('is refused when its process ended, and up when it is back', async () => {
    const [a, b] = await pair()
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    await b.network.close()
    await until('down', () => a.peers.length === 2)
    await start({ nodeId: 'b', endpoints: ['y'], port: portOf(b) })
    await until('up again', () => a.peers.length === 3)
    expect(a.peers).toEqual(['y up', 'y refused', 'y up'])
  })

  it('is down and up again when only the connection broke and is back at once', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['x'] })
    const silent = new SilentNode('y')
    a.network.learn('y', await silent.listen())
    const enter = async () => {
      const raw = new RawPeer(portOf(a))
      raw.write(await helloFrame(raw, { endpoints: [{ index: 0, id: 'y' }] }))
      await raw.first('WELCOME')
      return raw
    }
    const first = await enter()
    first.socket.destroy()
    await until('noticed', () => a.network.links === 0)
    const second = await enter()
    await until('up again', () => a.peers.length >= 3)
    expect(a.peers).toEqual(['y up', 'y down', 'y up'])
    second.socket.destroy()
    silent.close()
  })

  it('is nothing before it was ever up', async () => {
    const [a, b] = await pair()
    await b.network.close()
    a.network.interest('y')
    await start({ nodeId: 'b', endpoints: ['y'], port: portOf(b) })
    await until('up', () => a.peers.length > 0)
    expect(a.peers).toEqual(['y up'])
  })

  it('is refused by whoever was dialed, too, if it knows the address', async () => {
    const [a, b] = await pair()
    b.network.learn('x', a.address)
    a.network.send('x', 'y', numbered(1))
    await until('delivered', () => b.received.length === 1)
    b.network.send('y', 'x', numbered(1))
    await a.network.close()
    await until('refused', () => b.peers.includes('x refused'))
  })

  it('is down, not refused, when it has gone silent, and refused once it has ended as well', async () => {
    const limits = { linkTimeoutMs: 400, handshakeTimeoutMs: 400, pingMs: 100 }
    const a = await start({ nodeId: 'a', endpoints: ['x'], limits })
    const silent = new SilentNode('y')
    a.network.learn('y', await silent.listen())
    a.network.interest('y')
    await until('down', () => a.peers.length === 2)
    silent.close()
    await until('gone', () => a.peers.length === 3)
    expect(a.peers).toEqual(['y up', 'y down', 'y refused'])
  })

  it('is refused and up again when its node shows a new boot id', async () => {
    const [a] = await pair()
    const b = started[1]!
    b.network.learn('x', a.address)
    b.network.interest('x')
    await until('up', () => a.peers.length === 1)
    const twin = await start({ nodeId: 'b', endpoints: ['y'] })
    twin.network.learn('x', a.address)
    twin.network.send('y', 'x', numbered(1))
    await until('heard', () => a.received.length === 1)
    expect(a.peers.slice(0, 3)).toEqual(['y up', 'y refused', 'y up'])
  })

  it('includes its leader hints for the side that dials', async () => {
    const hint = { setId: 's', replicaId: 2, term: 9 }
    const [a] = await pair({}, { greetWith: [hint] })
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    expect(a.hints).toEqual([hint])
  })

  it('ends with forget: no more dialing', async () => {
    const [a, b] = await pair()
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    a.network.forget('y')
    await b.network.close()
    await until('down', () => a.peers.length === 2)
    expect(a.peers).toEqual(['y up', 'y down'])
    expect(a.network.send('x', 'y', numbered(1))).toBe(false)
    expect(a.network.links).toBe(0)
  })

  it('comes from the newest address learned', async () => {
    const [a, b] = await pair()
    await b.network.close()
    a.network.interest('y')
    const moved = await start({ nodeId: 'b', endpoints: ['y'] })
    a.network.learn('y', moved.address)
    await until('up', () => a.peers.length === 1)
  })
})

describe('the routing table', () => {
  it('rides on the first packet to who is behind, is in force before that is delivered, and comes once', async () => {
    const [a, b] = await pair({ table: fakeTable(3, 'three') })
    for (const i of upTo(10)) a.network.send('x', 'y', numbered(i))
    await until('all', () => b.received.length === 10)
    expect(b.received.map(r => r.epoch)).toEqual(new Array(10).fill(3))
    expect(b.keeper.adoptions).toEqual(['adopted'])
    expect(a.counts.get('link_tables_sent_total')).toBe(1)
  })

  it('goes from the side that was dialed as well', async () => {
    const [a, b] = await pair({}, { table: fakeTable(3, 'three') })
    a.network.send('x', 'y', numbered(1))
    await until('delivered', () => b.received.length === 1)
    b.network.send('y', 'x', numbered(2))
    await until('answered', () => a.received.length === 1)
    expect(a.received[0]!.epoch).toBe(3)
  })

  it('is attached once per link and epoch while it changes and both sides talk', async () => {
    const [a, b] = await pair({ table: fakeTable(1) })
    for (let epoch = 2; epoch < 20; epoch++) {
      a.keeper.adopt(fakeTable(epoch))
      for (const i of upTo(5)) {
        a.network.send('x', 'y', numbered(i))
        if (b.peers.length > 0) b.network.send('y', 'x', numbered(i))
      }
      await until(`epoch ${epoch} at b`, () => b.keeper.view().epoch === epoch)
    }
    expect(b.keeper.adoptions).toEqual(new Array(b.keeper.adoptions.length).fill('adopted'))
    expect(a.counts.get('link_tables_sent_total')).toBe(b.keeper.adoptions.length)
    expect(a.keeper.adoptions.length).toBe(18)
  })

  it('spreads over idle links by their pings', async () => {
    const limits = { pingMs: 100 }
    const [a, b] = await pair({ limits }, { limits })
    a.network.interest('y')
    await until('up', () => a.peers.length === 1 && b.peers.length === 1)
    b.keeper.adopt(fakeTable(8, 'new'))
    await until('adopted', () => a.keeper.view().epoch === 8)
    expect(a.keeper.adoptions).toEqual(['adopted'])
  })

  it('rides on every packet in the mode that always carries', async () => {
    const [a, b] = await pair({ table: fakeTable(3), carry: 'always' })
    for (const i of upTo(10)) a.network.send('x', 'y', numbered(i))
    await until('all', () => b.received.length === 10)
    expect(a.counts.get('link_tables_sent_total')).toBe(10)
    expect(b.keeper.adoptions).toEqual(['adopted'])
  })

  it('is pulled from who shows a newer one without sending it', async () => {
    const a = await start({ nodeId: 'a', endpoints: ['x'], table: fakeTable(5) })
    const raw = new RawPeer(portOf(a))
    raw.write(await helloFrame(raw, { epoch: 9 }))
    await raw.first('WELCOME')
    for (const i of upTo(20)) raw.write(frameOf(numbered(i), { to: 0, from: 0, epoch: 9 }))
    await raw.first('TABLE_PULL')
    await until('all', () => a.received.length === 20)
    raw.write(frameOf(packet('LINK_PING', {})))
    await raw.first('LINK_PONG')
    expect(raw.frames.filter(f => f.packet.kind === 'TABLE_PULL').length).toBe(1)
    raw.write(frameOf(packet('TABLE', {}), { epoch: 9, table: fakeTable(9) }))
    await until('adopted', () => a.keeper.view().epoch === 9)
    raw.socket.destroy()
  })

  it('is sent again to who asks', async () => {
    const [a, b] = await pair({ table: fakeTable(3) })
    a.network.send('x', 'y', numbered(1))
    await until('delivered', () => b.received.length === 1)
    b.network.send('y', 'x', packet('TABLE_PULL', {}, { bootId: 3, sequence: 4 }))
    await until('answered', () => b.received.length === 2)
    expect(b.received[1]).toMatchObject({
      to: 'y',
      from: 'x',
      packet: { kind: 'TABLE', sequence: 4 }
    })
    expect(a.counts.get('link_tables_sent_total')).toBe(2)
  })
})

describe('listening', () => {
  it('says when the port is taken', async () => {
    const a = await start({ nodeId: 'a' })
    await expect(start({ nodeId: 'b', port: portOf(a) })).rejects.toMatchObject({
      code: 'ALREADY_RUNNING'
    })
  })

  it('ends with close, which hands over what was sent', async () => {
    const [a, b] = await pair()
    a.network.interest('y')
    await until('up', () => a.peers.length === 1)
    for (const i of upTo(200)) a.network.send('x', 'y', numbered(i))
    await a.network.close()
    await until('all', () => b.received.length === 200)
    const raw = new RawPeer(portOf(a))
    raw.write(frameOf(numbered(1)))
    await raw.gone()
    expect(raw.frames).toEqual([])
    expect(a.network.send('x', 'y', numbered(1))).toBe(false)
  })
})
