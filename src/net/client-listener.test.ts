import { afterEach, describe, expect, it } from 'vitest'
import {
  type ListenerTestOptions,
  type ListenerUnderTest,
  startListener
} from '../../test/support/client-listener-harness.ts'
import { fakeTable } from '../../test/support/fake-table-keeper.ts'
import { frameOf, RawPeer } from '../../test/support/raw-peer.ts'
import { until } from '../../test/support/until.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { packet } from '../protocol/packet.ts'

const started: ListenerUnderTest[] = []
const raws: RawPeer[] = []

async function start(options: ListenerTestOptions = {}): Promise<ListenerUnderTest> {
  const under = await startListener(options)
  started.push(under)
  return under
}

function dial(under: ListenerUnderTest): RawPeer {
  const raw = new RawPeer(under.port)
  raws.push(raw)
  return raw
}

afterEach(async () => {
  for (const raw of raws.splice(0)) raw.socket.destroy()
  await Promise.all(started.splice(0).map(under => under.listener.stop()))
})

const connectPacket = packet('CONNECT', {
  token: 't',
  deviceId: 'd',
  class: 'mobile',
  sdkVersion: '1',
  connSeq: 1
})
const bye = packet('BYE', {})
const send = (bytes: number, sequence = 1) =>
  packet(
    'SEND',
    { clientMsgId: 1, session: 's', type: 0, body: Buffer.alloc(bytes) },
    { bootId: 3, sequence }
  )
const push = (bytes: number) => {
  const message = {
    msgid: 1,
    from: 'a',
    deviceId: 'd',
    clientMsgId: 1,
    type: 0,
    atMs: 1,
    body: Buffer.alloc(bytes)
  }
  return packet('PUSH', { pages: [{ session: 's', first: 1, latest: 1, messages: [message] }] })
}
const number = (code: ErrorCode) => errorCodes[code].number

/** A connection the transfer has let in, and its connId. */
async function enter(under: ListenerUnderTest, epoch = 0): Promise<[RawPeer, number]> {
  const raw = dial(under)
  const before = under.received.length
  raw.write(frameOf(connectPacket, { epoch }))
  await until('connected', () => under.received.length > before)
  return [raw, under.received.at(-1)!.connId]
}

describe('ClientListener', () => {
  it('tells the transfer of connections and packets, in order, with growing ids', async () => {
    const under = await start()
    const [raw, first] = await enter(under)
    const [, second] = await enter(under)
    expect(second).toBeGreaterThan(first)
    for (let i = 0; i < 50; i++) raw.write(frameOf(send(10, i)))
    await until('all', () => under.received.length === 52)
    const own = under.received.filter(r => r.connId === first && r.packet.kind === 'SEND')
    expect(own.map(r => r.packet.sequence)).toEqual(own.map((_, i) => i))
    raw.socket.destroy()
    await until('closed', () => under.closed.length === 1)
    expect([under.opened, under.closed]).toEqual([[first, second], [first]])
    expect(under.listener.send(first, bye)).toBe(false)
    expect(under.listener.connections).toBe(1)
  })

  it('writes what one turn sends to a client as it was sent, to many clients alike', async () => {
    const under = await start()
    const clients = [await enter(under), await enter(under), await enter(under)]
    const shared = push(100)
    for (let i = 0; i < 20; i++) {
      for (const [, connId] of clients) {
        expect(under.listener.send(connId, shared)).toBe(true)
        const page = { serverTimeMs: i, more: false }
        expect(under.listener.send(connId, packet('PONG', page))).toBe(true)
      }
      for (const [, connId] of clients) under.listener.send(connId, shared)
    }
    for (const [raw] of clients) {
      await until('all', () => raw.frames.length === 60)
      expect(raw.frames.filter(f => f.packet.kind === 'PUSH').length).toBe(40)
      const times = raw.frames.flatMap(f =>
        f.packet.kind === 'PONG' ? [f.packet.payload.serverTimeMs] : []
      )
      expect(times).toEqual(times.map((_, i) => i))
      expect(raw.frames[0]!.packet.payload).toEqual(shared.payload)
    }
  })

  it('closes on request: reason first, then the end, and the transfer is told', async () => {
    const under = await start()
    const [raw, connId] = await enter(under)
    under.listener.send(connId, bye)
    under.listener.close(connId, 'KICKED', 'by another')
    expect(under.listener.send(connId, bye)).toBe(false)
    expect(under.closed).toEqual([])
    await raw.gone()
    expect(raw.frames.map(f => f.packet.kind)).toEqual(['BYE', 'ERROR'])
    expect(raw.errors).toEqual([number('KICKED')])
    await until('told', () => under.closed.length === 1)
    under.listener.close(connId)
  })

  it('stops, having handed over what was sent', async () => {
    const under = await start()
    const [raw, connId] = await enter(under)
    for (let i = 0; i < 100; i++) under.listener.send(connId, bye)
    await under.listener.stop()
    await raw.gone()
    expect(raw.frames.length).toBe(100)
    const late = dial(under)
    await late.gone()
  })

  it('stops accepting without closing anybody', async () => {
    const under = await start()
    const [raw, connId] = await enter(under)
    under.listener.stopAccepting()
    const late = dial(under)
    await late.gone()
    under.listener.send(connId, bye)
    await raw.first('BYE')
  })

  it('holds back a client that is not to be read', async () => {
    const under = await start()
    const [raw, connId] = await enter(under)
    const [other] = await enter(under)
    under.listener.setReading(connId, false)
    raw.write(frameOf(send(10)))
    other.write(frameOf(send(10)))
    await until('the other', () => under.received.length === 3)
    under.listener.setReading(connId, true)
    await until('the one', () => under.received.length === 4)
    expect(under.received[3]!.connId).toBe(connId)
  })
})

describe('a hostile client', () => {
  it.each([
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 'FRAME_TOO_LARGE'],
    ['a length of 2 GiB', Buffer.from('7fffffff', 'hex'), 'FRAME_TOO_LARGE'],
    ['zeros', Buffer.alloc(100), 'BAD_FRAME'],
    ['a large frame before CONNECT', frameOf(send(5_000)), 'FRAME_TOO_LARGE']
  ] as const)('is told why and closed after %s; others are not hurt', async (_, bytes, code) => {
    const under = await start()
    const [witness] = await enter(under)
    const raw = dial(under)
    raw.write(bytes)
    await raw.gone()
    expect(raw.errors).toEqual([number(code)])
    witness.write(frameOf(send(5_000)))
    await until('the witness', () => under.received.length === 2)
    await until('told', () => under.closed.length === 1)
  })

  it('is closed when it sends a lot before CONNECT', async () => {
    const under = await start({ limits: { greetingBytes: 1_000 } })
    const raw = dial(under)
    for (let i = 0; i < 100; i++) raw.write(frameOf(bye))
    await raw.gone()
    expect(raw.errors).toEqual([number('UNEXPECTED_PACKET')])
    expect(under.received.length).toBeLessThan(100)
  })

  it('is closed when it does not finish its first packet in time, dripping or not', async () => {
    const under = await start({ limits: { greetingTimeoutMs: 200 } })
    const [kept] = await enter(under)
    const silent = dial(under)
    const dripping = dial(under)
    const drip = setInterval(() => dripping.write('\0'), 50)
    await Promise.all([silent.gone(), dripping.gone()])
    clearInterval(drip)
    expect(silent.errors).toEqual([number('HANDSHAKE_TIMEOUT')])
    expect(kept.closed).toBe(false)
  })

  it('is answered, not closed, after an unknown kind or a malformed packet', async () => {
    const under = await start()
    const [raw] = await enter(under)
    const unknown = frameOf(send(1, 7))
    unknown[5] = 222
    const malformed = frameOf(send(1, 8))
    malformed[41] = 255
    raw.write(unknown, malformed, frameOf(send(1, 9)))
    await until('the good one', () => under.received.length === 2)
    await until('answers', () => raw.errors.length === 2)
    expect(raw.errors).toEqual([number('UNKNOWN_KIND'), number('BAD_PACKET')])
    expect(raw.frames.map(f => [f.packet.bootId, f.packet.sequence])).toEqual([
      [3, 7],
      [3, 8]
    ])
  })

  it('is closed after an unknown kind or a malformed packet before CONNECT', async () => {
    const under = await start()
    for (const [at, value, code] of [
      [5, 222, 'UNKNOWN_KIND'],
      [41, 255, 'BAD_PACKET']
    ] as const) {
      const raw = dial(under)
      const frame = frameOf(send(1, 7))
      frame[at] = value
      raw.write(...Array<Buffer>(20).fill(frame))
      await raw.gone()
      expect(raw.errors).toEqual([number(code)])
    }
  })

  it('finds no room when there are too many, or too many that have not connected', async () => {
    const under = await start({ limits: { connections: 3, greetings: 2 } })
    dial(under)
    dial(under)
    await until('two wait', () => under.opened.length === 2)
    const third = dial(under)
    await third.gone()
    expect(third.errors).toEqual([number('TOO_MANY_CONNECTIONS')])
    for (const raw of raws) raw.write(frameOf(connectPacket))
    await until('both are in', () => under.received.length === 2)
    await enter(under)
    const fifth = dial(under)
    await fifth.gone()
    expect(fifth.errors).toEqual([number('TOO_MANY_CONNECTIONS')])
    expect(under.opened.length).toBe(3)
  })

  it('from another cluster is told so', async () => {
    const under = await start({ table: fakeTable(1, '', 7) })
    const [raw] = await enter(under)
    raw.write(frameOf(send(1), { clusterTag: 8 }))
    await raw.first('ERROR')
    expect(raw.errors).toEqual([number('WRONG_CLUSTER')])
    expect(under.received.length).toBe(1)
  })

  it('that never reads loses pushes at the soft bound, and the connection at the hard one', async () => {
    const limits = { softBacklogBytes: 100_000, hardBacklogBytes: 300_000, closingMs: 300 }
    const under = await start({ limits })
    const [raw, connId] = await enter(under)
    raw.socket.pause()
    const pushed = push(20_000)
    await until('a dropped push', () => !under.listener.send(connId, pushed))
    expect(under.closed).toEqual([])
    const history = packet('HISTORY_OK', pushed.payload.pages[0]!)
    expect(under.listener.send(connId, history)).toBe(true)
    await until('cut off', () => !under.listener.send(connId, history))
    await until('told', () => under.closed.length === 1)
  })

  it('that stays over the soft bound is closed after a while', async () => {
    const limits = { softBacklogBytes: 50_000, slowMs: 300, closingMs: 300 }
    const under = await start({ limits })
    const [raw, connId] = await enter(under)
    raw.socket.pause()
    const pushed = push(20_000)
    await until('a dropped push', () => !under.listener.send(connId, pushed))
    await until('told', () => under.closed.length === 1)
    raw.socket.resume()
    await raw.gone()
  })

  it('that closes half-way through a frame leaves nothing behind', async () => {
    const under = await start()
    const [raw] = await enter(under)
    raw.write(frameOf(send(10_000)).subarray(0, 5_000))
    raw.socket.end()
    await until('told', () => under.closed.length === 1)
    expect(under.listener.connections).toBe(0)
  })
})

describe('the routing table of a client', () => {
  it('comes with the first packet after it is let in, once, and again when it is newer', async () => {
    const under = await start({ table: fakeTable(4, 'addresses') })
    const raw = dial(under)
    raw.write(frameOf(packet('TABLE_PULL', {}, { bootId: 1, sequence: 1 })))
    await until('heard', () => under.received.length === 1)
    const connId = under.received[0]!.connId
    under.listener.send(connId, bye)
    raw.write(frameOf(connectPacket))
    await until('in', () => under.received.length === 2)
    for (let i = 0; i < 3; i++) under.listener.send(connId, bye)
    under.keeper.adopt(fakeTable(5, 'newer'))
    for (let i = 0; i < 3; i++) under.listener.send(connId, bye)
    await until('all', () => raw.frames.length === 7)
    expect(raw.frames.map(f => f.table?.readUInt32BE(2))).toEqual([
      undefined,
      4,
      undefined,
      undefined,
      5,
      undefined,
      undefined
    ])
    expect(raw.frames.map(f => f.packet.epoch)).toEqual([4, 4, 4, 4, 5, 5, 5])
  })

  it('does not come to who shows that epoch, unless asked for', async () => {
    const under = await start({ table: fakeTable(4) })
    const [raw, connId] = await enter(under, 4)
    under.listener.send(connId, bye)
    raw.write(frameOf(packet('TABLE_PULL', {}, { bootId: 1, sequence: 2 })))
    await raw.first('TABLE')
    expect(raw.frames.map(f => f.table !== undefined)).toEqual([false, true])
    expect(raw.frames[1]!.packet).toMatchObject({ bootId: 1, sequence: 2 })
  })

  it('is never taken from it', async () => {
    const under = await start({ table: fakeTable(4) })
    const [raw] = await enter(under)
    raw.write(frameOf(send(1), { epoch: 50, table: fakeTable(50) }))
    await until('heard', () => under.received.length === 2)
    expect(under.keeper.adoptions).toEqual([])
  })
})
