import { afterEach, describe, expect, it } from 'vitest'
import { startListener } from '../../test/support/client-listener-harness.ts'
import { FaultTime } from '../../test/support/fault-time.ts'
import { type NetworkUnderTest, startNetwork } from '../../test/support/peer-network-harness.ts'
import { frameOf, RawPeer } from '../../test/support/raw-peer.ts'
import { until } from '../../test/support/until.ts'
import { packet, priorities } from '../protocol/packet.ts'
import { DelayLine, type LinePlan } from './delay-line.ts'
import { clientPeer, type LinkFault, LinkFaults } from './link-faults.ts'

const limits = { linkTimeoutMs: 600, pingMs: 50, handshakeTimeoutMs: 300 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

const fault = (change: Partial<LinkFault>): LinkFault => ({
  peer: 'b',
  address: '',
  direction: 'out',
  cut: false,
  flapMs: 0,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: 0,
  ...change
})
const numbered = (sequence: number, uids = 1) =>
  packet('LOOKUP', { uids: Array<string>(uids).fill('a') }, { bootId: 5, sequence })
const sequences = (under: NetworkUnderTest) => under.received.map(r => r.packet.sequence)

/** `a`, whose links can be disturbed, with endpoint `x`, and `b` with `y`, linked. */
async function pair(forLimits: object = {}) {
  const time = new FaultTime()
  const faults = new LinkFaults(time)
  const a = await startNetwork({ nodeId: 'a', endpoints: ['x'], faults, limits: forLimits })
  const b = await startNetwork({ nodeId: 'b', endpoints: ['y'], limits: forLimits })
  cleanups.push(() => Promise.all([a.network.close(), b.network.close()]))
  cleanups.push(() => faults.stop())
  a.network.learn('y', b.address)
  a.network.interest('y')
  await until('linked', () => a.peers.length === 1 && b.peers.length === 1)
  return { a, b, time, faults, set: (...all: LinkFault[]) => faults.set(all) }
}

/** Something that goes from `b` to `a` and is there: whatever left `a` before has had its time. */
async function fence(a: NetworkUnderTest, b: NetworkUnderTest): Promise<void> {
  const before = a.received.length
  b.network.send('y', 'x', numbered(99))
  await until('the fence', () => a.received.length > before)
}

describe('a link that is cut', () => {
  it('one way holds what is sent until it is healed, and brings all in order', async () => {
    const { a, b, set } = await pair()
    a.network.send('x', 'y', numbered(1))
    set(fault({ cut: true }))
    for (const i of [2, 3, 4]) a.network.send('x', 'y', numbered(i))
    await fence(a, b)
    await fence(a, b)
    expect(sequences(b)).toEqual([1])
    set()
    a.network.send('x', 'y', numbered(5))
    await until('all', () => b.received.length === 5)
    expect(sequences(b)).toEqual([1, 2, 3, 4, 5])
    expect(a.peers).toEqual(['y up'])
  })

  it('for what comes, hears nothing: not what is sent, nor that the other end has gone', async () => {
    const { a, b, set } = await pair()
    set(fault({ cut: true, direction: 'in' }))
    b.network.send('y', 'x', numbered(1))
    await b.network.close()
    expect([a.received, a.peers]).toEqual([[], ['y up']])
    set()
    await until('heard', () => a.peers.length > 1)
    expect(sequences(a)).toEqual([1])
  })

  it('is given up after the usual time, not made again while it lasts, and made when it is healed', async () => {
    const { a, b, set } = await pair(limits)
    set(fault({ cut: true, direction: 'both', address: b.address }))
    await until('given up', () => a.peers.at(-1) === 'y down')
    expect(a.peers).toEqual(['y up', 'y down'])
    const attempts = a.failures.length
    await until('tried again in vain', () => a.failures.length > attempts + 1)
    expect(new Set(a.failures)).toEqual(new Set(['HANDSHAKE_TIMEOUT']))
    expect(a.peers).toEqual(['y up', 'y down'])
    set()
    await until('made again', () => a.peers.at(-1) === 'y up')
    a.network.send('x', 'y', numbered(1))
    await until('arrives', () => sequences(b).includes(1))
  })

  it('keeps the bound of its queue, and what is urgent goes first when it is healed', async () => {
    const { a, b, set } = await pair({ queueBytes: 10_000 })
    set(fault({ cut: true }))
    let sent = 0
    while (a.network.send('x', 'y', numbered(++sent, 100))) expect(sent).toBeLessThan(1_000)
    expect(sent).toBeGreaterThan(20)
    const first = { sequence: 1_000, priority: priorities.urgent }
    const urgent = packet('RAFT', { data: Buffer.alloc(9) }, first)
    expect(a.network.send('x', 'y', urgent)).toBe(true)
    set()
    await until('all', () => b.received.length === sent)
    expect(sequences(b).slice(0, 2)).toEqual([1_000, 1])
  })

  it('over and over lets through what came meanwhile each time it is whole', async () => {
    const { a, b, time, set } = await pair()
    set(fault({ cut: true, flapMs: 100 }))
    a.network.send('x', 'y', numbered(1))
    time.advance(99)
    await fence(a, b)
    expect(b.received).toEqual([])
    time.advance(1)
    await until('the first', () => b.received.length === 1)
    time.advance(100)
    a.network.send('x', 'y', numbered(2))
    await fence(a, b)
    expect(b.received).toHaveLength(1)
    time.advance(100)
    await until('the second', () => b.received.length === 2)
  })

  it('touches no other link', async () => {
    const { a, b, set } = await pair()
    const c = await startNetwork({ nodeId: 'c', endpoints: ['z'] })
    cleanups.push(() => c.network.close())
    a.network.learn('z', c.address)
    set(fault({ cut: true, direction: 'both' }))
    a.network.send('x', 'z', numbered(1))
    await until('at c', () => c.received.length === 1)
    expect(b.received).toEqual([])
  })
})

describe('faults', () => {
  it('leave no trace at a link once they are over', async () => {
    const { a, b, time, set } = await pair()
    set(fault({ delayMs: 50, direction: 'both' }))
    a.network.send('x', 'y', numbered(1))
    b.network.send('y', 'x', numbered(1))
    await until('on their way', () => time.timers >= 2)
    set()
    time.advance(50)
    await until('there', () => b.received.length === 1 && a.received.length === 1)
    a.network.send('x', 'y', numbered(2))
    await until('there', () => b.received.length === 2)
    expect(time.timers).toBe(0)
  })
})

describe('clients', () => {
  it('are cut off from a gateway and come back', async () => {
    const time = new FaultTime()
    const faults = new LinkFaults(time)
    const under = await startListener({ faults })
    cleanups.push(() => under.listener.stop())
    const [one, two] = [new RawPeer(under.port), new RawPeer(under.port)]
    cleanups.push(() => {
      one.socket.destroy()
      two.socket.destroy()
    })
    const connectBytes = frameOf(
      packet('CONNECT', { token: 't', deviceId: 'd', class: 'mobile', sdkVersion: '1', connSeq: 1 })
    )
    one.write(connectBytes)
    await until('connected', () => under.received.length === 1)
    const { connId } = under.received[0]!
    faults.set([fault({ peer: clientPeer, direction: 'both', cut: true })])
    under.listener.send(connId, packet('BYE', {}))
    one.write(frameOf(packet('LINK_PING', {})))
    two.write(connectBytes)
    const three = new RawPeer(under.port)
    cleanups.push(() => three.socket.destroy())
    await until('all are there', () => under.opened.length === 3)
    one.socket.resetAndDestroy()
    await until('gone', () => one.closed)
    const four = new RawPeer(under.port)
    cleanups.push(() => four.socket.destroy())
    await until('what was told has been heard', () => under.opened.length === 4)
    expect([one.frames, under.received.length, under.closed]).toEqual([[], 1, []])
    faults.set([])
    await until('the other is heard', () => under.received.length === 2)
    await until('the end is heard', () => under.closed.length === 1)
  })
})

class Line {
  readonly time = new FaultTime()
  readonly arrived: string[] = []
  resets = 0
  rooms = 0
  readonly line = new DelayLine(this.time, {
    deliver: bytes => this.arrived.push(`${bytes?.length ?? 'end'} at ${this.time.nowMs()}`),
    onRoom: () => this.rooms++,
    onReset: () => this.resets++
  })

  constructor(plan: Partial<LinePlan>) {
    const free = { cut: false, delayMs: 0, jitterMs: 0, lossShare: 0, bytesPerSecond: 0 }
    this.line.plan = { ...free, ...plan }
  }

  push(...sizes: number[]): this {
    for (const size of sizes) this.line.push(Buffer.alloc(size))
    return this
  }

  /** What has arrived when all had its time. */
  all(): string[] {
    this.time.advance(1_000_000)
    return this.arrived
  }
}

describe('a line', () => {
  it('delays, with jitter, and never changes the order', () => {
    const jittery = new Line({ delayMs: 100, jitterMs: 40 })
    jittery.push(1)
    jittery.time.advance(10)
    jittery.time.chance = 0
    jittery.push(2)
    jittery.line.push(undefined)
    expect(jittery.all()).toEqual(['1 at 120', '2 at 120', 'end at 120'])
  })

  it('loses: what follows waits until what was lost has been sent again', () => {
    const lossy = new Line({ lossShare: 0.2 })
    lossy.push(1)
    lossy.time.chance = 0.1
    const { random } = lossy.time
    let draws = 0
    lossy.time.random = () => (++draws > 3 ? 0.9 : random.call(lossy.time))
    lossy.push(2)
    lossy.push(3)
    expect(lossy.all()).toEqual(['1 at 0', '2 at 600', '3 at 600'])
    expect(lossy.resets).toBe(0)
    const broken = new Line({ lossShare: 0.2 })
    broken.time.chance = 0.001
    broken.push(1)
    expect(broken.resets).toBe(1)
  })

  it('lets no more bytes through in a second than it is told', () => {
    const narrow = new Line({ bytesPerSecond: 1_000, delayMs: 5 })
    expect(narrow.push(500, 250).all()).toEqual(['500 at 505', '250 at 755'])
    narrow.push(1_000)
    expect(narrow.all()[2]).toBe('1000 at 1001005')
  })

  it('tells when it is full and when it has room', () => {
    const narrow = new Line({ bytesPerSecond: 64 * 1024 }).push(32 * 1024)
    expect(narrow.line.full).toBe(false)
    narrow.push(32 * 1024)
    expect(narrow.line.full).toBe(true)
    narrow.time.advance(500)
    expect([narrow.rooms, narrow.line.full]).toEqual([1, false])
    narrow.line.plan = { ...narrow.line.plan, cut: true }
    expect(narrow.line.full).toBe(true)
    narrow.time.advance(10_000)
    expect([narrow.arrived.length, narrow.rooms]).toEqual([1, 1])
    narrow.line.plan = { ...narrow.line.plan, cut: false }
    expect([narrow.arrived.length, narrow.rooms]).toEqual([2, 2])
  })
})
