import { afterEach, describe, expect, it } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { logicClientSecret } from '../../src/net/handshake.ts'
import type { PayloadOf } from '../../src/protocol/kinds.ts'
import { packet } from '../../src/protocol/packet.ts'
import { fakeTable } from '../support/fake-table-keeper.ts'
import {
  type NetworkTestOptions,
  type NetworkUnderTest,
  startNetwork,
  testSecret
} from '../support/peer-network-harness.ts'
import { type Claims, helloFrame, SilentNode } from '../support/raw-node.ts'
import { frameOf, RawPeer } from '../support/raw-peer.ts'
import { until } from '../support/until.ts'

const started: NetworkUnderTest[] = []
const raws: RawPeer[] = []

async function start(options: Partial<NetworkTestOptions> = {}): Promise<NetworkUnderTest> {
  const under = await startNetwork({ nodeId: 'victim', endpoints: ['router/s/1'], ...options })
  started.push(under)
  return under
}

function dial(under: NetworkUnderTest): RawPeer {
  const raw = new RawPeer(Number(under.address.split(':')[1]))
  raws.push(raw)
  return raw
}

/** A connection that has gone through the handshake with these claims. */
async function enter(under: NetworkUnderTest, claims: Claims = {}): Promise<RawPeer> {
  const raw = dial(under)
  raw.write(await helloFrame(raw, claims))
  await raw.first('WELCOME')
  return raw
}

const request = (sequence: number, bootId = 5) =>
  packet('LOOKUP', { uids: ['a'] }, { bootId, sequence })
const number = (code: ErrorCode) => errorCodes[code].number

/** Proof that nobody else is hurt: another process still gets through. */
async function stillServes(under: NetworkUnderTest): Promise<void> {
  const raw = await enter(under, { nodeId: 'witness', bootId: 900 })
  raw.write(frameOf(request(1, 900), { to: 0, from: 0 }))
  await until('the witness is heard', () => under.received.some(r => r.packet.bootId === 900))
}

afterEach(async () => {
  for (const raw of raws.splice(0)) raw.socket.destroy()
  await Promise.all(started.splice(0).map(under => under.network.close()))
})

describe('a connection before its handshake', () => {
  it.each([
    ['text', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), 'FRAME_TOO_LARGE'],
    ['a length of 2 GiB', Buffer.from('7fffffff', 'hex'), 'FRAME_TOO_LARGE'],
    ['a length below a header', Buffer.from('0000000100', 'hex'), 'BAD_FRAME'],
    ['zeros', Buffer.alloc(400), 'BAD_FRAME'],
    ['another packet', frameOf(request(1)), 'UNEXPECTED_PACKET'],
    ['a frame over the small limit', Buffer.from('00010000', 'hex'), 'FRAME_TOO_LARGE']
  ] as const)('is told why and closed after %s', async (_, bytes, code) => {
    const under = await start()
    const raw = dial(under)
    raw.write(bytes)
    await raw.gone()
    expect(raw.errors).toEqual([number(code)])
    expect(under.received).toEqual([])
    await stillServes(under)
  })

  it('is closed when it says nothing, or drips', async () => {
    const under = await start({ limits: { handshakeTimeoutMs: 150 } })
    const silent = dial(under)
    const dripping = dial(under)
    const drip = setInterval(() => dripping.write('\0'), 20)
    await Promise.all([silent.gone(), dripping.gone()])
    clearInterval(drip)
    expect(silent.errors).toEqual([number('HANDSHAKE_TIMEOUT')])
    await stillServes(under)
  })

  it('is refused with a wrong secret, and learns nothing but the nonce', async () => {
    const under = await start({ table: fakeTable(3, 'secret addresses') })
    const raw = dial(under)
    raw.write(await helloFrame(raw, { secret: Buffer.from('guess') }))
    await raw.gone()
    expect(raw.errors).toEqual([number('UNAUTHENTICATED')])
    expect(raw.frames.map(frame => frame.table)).toEqual([undefined, undefined])
    expect(under.peers).toEqual([])
  })

  it('is refused when it replays a HELLO made for another nonce', async () => {
    const under = await start()
    const first = dial(under)
    const hello = await helloFrame(first, {})
    const second = dial(under)
    await second.first('CHALLENGE')
    second.write(hello)
    await second.gone()
    expect(second.errors).toEqual([number('UNAUTHENTICATED')])
  })

  it('is refused when it claims to be a node with the credential of guests', async () => {
    const under = await start()
    const secret = logicClientSecret(testSecret)
    const raw = dial(under)
    raw.write(await helloFrame(raw, { secret }))
    await raw.gone()
    expect(raw.errors).toEqual([number('UNAUTHENTICATED')])
    await enter(under, { secret, purpose: 'logic-client' })
  })

  it('is refused from another cluster', async () => {
    const under = await start({ table: fakeTable(1, '', 7) })
    const raw = dial(under)
    raw.write(await helloFrame(raw, { clusterTag: 8 }))
    await raw.gone()
    expect(raw.errors).toEqual([number('WRONG_CLUSTER')])
  })

  it('does not take the place of the others when there are too many', async () => {
    const under = await start({ limits: { handshakes: 3 } })
    const waiting = [dial(under), dial(under), dial(under)]
    await Promise.all(waiting.map(raw => raw.first('CHALLENGE')))
    const refused = dial(under)
    await refused.gone()
    expect(refused.frames).toEqual([])
    waiting[0]!.socket.destroy()
    await until('there is room again', () => {
      if (raws.at(-1)!.frames.length > 0) return true
      if (raws.at(-1)!.closed) dial(under)
      return false
    })
  })
})

describe('a process after its handshake', () => {
  it('is told about an unknown kind and a malformed packet, and goes on', async () => {
    const under = await start()
    const raw = await enter(under)
    const unknown = frameOf(request(11), { to: 0, from: 0 })
    unknown[5] = 200
    const malformed = frameOf(request(12), { to: 0, from: 0 })
    malformed[40] = 255
    raw.write(unknown, malformed, frameOf(request(13), { to: 0, from: 0 }))
    await until('the good one', () => under.received.length === 1)
    await until('both answers', () => raw.errors.length === 2)
    expect(raw.errors).toEqual([number('UNKNOWN_KIND'), number('BAD_PACKET')])
    const answers = raw.frames.filter(frame => frame.packet.kind === 'ERROR')
    expect(answers.map(f => [f.packet.bootId, f.packet.sequence, f.to, f.from])).toEqual([
      [5, 11, 0, 0],
      [5, 12, 0, 0]
    ])
    expect(under.received[0]!.packet.sequence).toBe(13)
    expect(raw.closed).toBe(false)
  })

  it('is not answered when what it garbles is an ERROR', async () => {
    const under = await start()
    const raw = await enter(under)
    const payload = { code: 1, text: '', retryAfterMs: 0, hint: undefined }
    const error = frameOf(packet('ERROR', payload, { bootId: 5, sequence: 1 }), { to: 0, from: 0 })
    error[error.length - 1] = 1
    const stranger = frameOf(packet('ERROR', payload), { to: 0, from: 77 })
    raw.write(error, stranger, frameOf(request(2), { to: 0, from: 0 }))
    await until('the good one', () => under.received.length === 1)
    raw.write(frameOf(packet('LINK_PING', {})))
    await raw.first('LINK_PONG')
    expect(raw.errors).toEqual([])
  })

  it.each([
    ['an index it has not announced', { to: 0, from: 9 }, 'FORBIDDEN'],
    ['the index of the link itself', { to: 0, from: 0xff }, 'FORBIDDEN'],
    ['an endpoint that is not here', { to: 9, from: 0 }, 'UNREACHABLE']
  ] as const)('may not use %s', async (_, at, code) => {
    const under = await start()
    const raw = await enter(under)
    raw.write(frameOf(request(1), at), frameOf(request(2), { to: 0, from: 0 }))
    await until('the good one', () => under.received.length === 1)
    expect(under.received[0]!.packet.sequence).toBe(2)
    await until('answered', () => raw.errors.length === 1)
    expect(raw.errors).toEqual([number(code)])
  })

  it('cannot claim an endpoint that is here', async () => {
    const under = await start({ endpoints: ['router/s/1', 'logic/l1'] })
    await enter(under, { endpoints: [{ index: 0, id: 'logic/l1' }] })
    under.network.send('router/s/1', 'logic/l1', request(1))
    await until('delivered here', () => under.received.length === 1)
    expect(under.received[0]!.to).toBe('logic/l1')
    expect(under.peers).toEqual([])
  })

  it('is closed after garbage, and its endpoints are reported down', async () => {
    const under = await start()
    const raw = await enter(under)
    raw.write(frameOf(request(1), { to: 0, from: 0 }), Buffer.alloc(64, 0xff))
    await raw.gone()
    expect(raw.errors).toEqual([number('FRAME_TOO_LARGE')])
    expect(under.received.length).toBe(1)
    await until('down', () => under.peers.length === 2)
    expect(under.peers).toEqual(['logic/raw up', 'logic/raw down'])
    await stillServes(under)
  })

  it('is cut off when it is silent for too long', async () => {
    const under = await start({ limits: { linkTimeoutMs: 300, pingMs: 50 } })
    const raw = await enter(under)
    await raw.first('LINK_PING')
    await raw.gone()
    await until('down', () => under.peers.length === 2)
  })

  it('makes send return false when it never reads, and holds no more than the bound', async () => {
    const queueBytes = 256 * 1024
    const under = await start({ limits: { queueBytes } })
    const raw = await enter(under)
    raw.socket.pause()
    const numbered = (sequence: number) =>
      packet('RAFT', { data: Buffer.alloc(64 * 1024, sequence) }, { sequence })
    let accepted = 0
    await until('backpressure', () => {
      for (let i = 0; i < 3; i++) {
        if (!under.network.send('router/s/1', 'logic/raw', numbered(accepted))) return true
        accepted++
      }
      return false
    })
    expect(under.counts.get('link_dropped_total')).toBe(1)
    raw.socket.resume()
    const arrived = () => raw.frames.filter(frame => frame.packet.kind === 'RAFT')
    await until('all that was accepted', () => arrived().length === accepted)
    const intact = arrived().map(({ packet: got }, i) => {
      const { data } = got.payload as PayloadOf<'RAFT'>
      return got.sequence === i && data.equals(numbered(i).payload.data)
    })
    expect(intact).not.toContain(false)
    expect(under.network.send('router/s/1', 'logic/raw', request(1))).toBe(true)
  })

  it('is delivered although the table it attached is no table, or of another cluster', async () => {
    const under = await start({ table: fakeTable(4, 'own') })
    const raw = await enter(under)
    const at = { to: 0, from: 0, epoch: 9, clusterTag: 7 }
    raw.write(
      frameOf(request(1), { ...at, table: Buffer.from('no') }),
      frameOf(request(2), { ...at, table: fakeTable(9, '', 8) })
    )
    await until('both', () => under.received.length === 2)
    expect(under.keeper.adoptions).toEqual(['malformed', 'foreign'])
    expect(under.keeper.view().epoch).toBe(4)
  })
})

describe('a listener that is not of the cluster', () => {
  it('is left when it cannot prove the secret', async () => {
    const impostor = new SilentNode('logic/raw', Buffer.from('guess'))
    const address = await impostor.listen()
    const under = await start()
    under.network.learn('logic/raw', address)
    under.network.send('router/s/1', 'logic/raw', request(1))
    await until('given up', () => under.failures.includes('UNAUTHENTICATED'))
    expect(under.peers).toEqual([])
    impostor.close()
  })
})

describe('a guest', () => {
  const guest: Claims = {
    purpose: 'logic-client',
    endpoints: [
      { index: 0, id: 'router/s/2' },
      { index: 4, id: 'router/s/2' }
    ]
  }

  it('gets a name of its own, whatever it calls itself, and can be answered', async () => {
    const under = await start()
    const raw = await enter(under, guest)
    const twin = await enter(under, guest)
    raw.write(frameOf(request(1), { to: 0, from: 4 }))
    twin.write(frameOf(request(2), { to: 0, from: 4 }))
    await until('heard', () => under.received.length === 2)
    const names = under.received.map(r => r.from)
    expect(new Set(names).size).toBe(2)
    for (const name of names) expect(name).toMatch(/^client\/5\/\d+$/)
    expect(under.network.send('router/s/1', 'router/s/2', request(3))).toBe(false)
    for (const {
      from,
      packet: { sequence }
    } of under.received) {
      under.network.send('router/s/1', from, packet('REGISTER_OK', {}, { sequence }))
    }
    expect((await raw.first('REGISTER_OK')).sequence).toBe(1)
    expect((await twin.first('REGISTER_OK')).sequence).toBe(2)
    expect(raw.frames.at(-1)).toMatchObject({ to: 4, from: 0 })
  })

  it('does not push a node of the same name aside', async () => {
    const under = await start()
    const node = await enter(under, { nodeId: 'n', bootId: 5 })
    await enter(under, { ...guest, nodeId: 'n', bootId: 6 })
    node.write(frameOf(request(1), { to: 0, from: 0 }))
    await until('the node is heard', () => under.received.length === 1)
    expect(under.peers).not.toContain('logic/raw refused')
  })

  it('may not send what only the cluster may', async () => {
    const under = await start()
    const raw = await enter(under, guest)
    const forbidden = [
      packet('RAFT', { data: Buffer.alloc(1) }, { bootId: 5, sequence: 1 }),
      packet('CHANNEL_OK', { position: 1 }, { bootId: 5, sequence: 2 }),
      packet('RENEW', { transferId: 't', transferBootId: 1, connections: 0 }, { sequence: 3 }),
      packet('DELIVER', { transferBootId: 1, items: [] }, { bootId: 5, sequence: 4 })
    ]
    for (const sent of forbidden) raw.write(frameOf(sent, { to: 0, from: 0 }))
    await until('all refused', () => raw.errors.length === forbidden.length)
    expect(new Set(raw.errors)).toEqual(new Set([number('FORBIDDEN')]))
    expect(under.received).toEqual([])
  })

  it('cannot plant a table, and is forgotten when it leaves', async () => {
    const under = await start({ table: fakeTable(4, 'own') })
    const raw = await enter(under, guest)
    const at = { to: 0, from: 0, epoch: 99, clusterTag: 7, table: fakeTable(99, 'mine') }
    raw.write(frameOf(request(1), at))
    await until('heard', () => under.received.length === 1)
    expect(under.keeper.view().epoch).toBe(4)
    const name = under.received[0]!.from
    raw.socket.destroy()
    await until('down', () => under.peers.includes(`${name} down`))
    expect(under.network.send('router/s/1', name, request(2))).toBe(false)
  })
})
