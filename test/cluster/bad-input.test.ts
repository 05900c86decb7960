import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import type { RingsetError } from '../../src/base/errors.ts'
import { judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { packet } from '../../src/protocol/packet.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import { ChatWorkload } from '../support/chat-workload.ts'
import { eventually } from '../support/eventually.ts'
import { frameOf, RawPeer } from '../support/raw-peer.ts'
import { ReplicaClient } from '../support/replica-client.ts'
import { TestCluster } from '../support/test-cluster.ts'

const kib = 1024
const limits = {
  handshakeMs: 1_000,
  pushBacklogSoftBytes: 64 * kib,
  pushBacklogHardBytes: 1_024 * kib
}

const numberOf = (code: ErrorCode): number => errorCodes[code].number
const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

describe('bad input', () => {
  let cluster: TestCluster
  let chat: ChatWorkload
  let normal: Promise<void>
  let going = true
  let pids: Map<string, number>
  const raws: RawPeer[] = []

  /** Two normal users, one in each set, chat all the while. */
  beforeAll(async () => {
    cluster = await TestCluster.start({ limits })
    pids = cluster.pids()
    const [ann] = await cluster.usersOf('s1', 1, 'normal')
    const [bob] = await cluster.usersOf('s2', 1, 'normal')
    chat = new ChatWorkload(cluster)
    await chat.connect([ann!, bob!])
    const pairs: [string, string][] = [
      [ann!, bob!],
      [bob!, ann!]
    ]
    normal = chat.run(pairs, 2, () => going)
  })

  afterEach(async () => {
    for (const raw of raws.splice(0)) raw.socket.destroy()
    if (!going) return
    const { acked } = chat
    await eventually('the normal users go on', 10_000, () => chat.acked > acked + 10)
  })

  afterAll(() => cluster?.close())

  function gateway(): RawPeer {
    const raw = new RawPeer(Number(new URL(cluster.gateways('s1')[0]!).port))
    raws.push(raw)
    return raw
  }

  function nodePort(): RawPeer {
    const raw = new RawPeer(Number(cluster.peerAddress('s1-a').split(':')[1]))
    raws.push(raw)
    return raw
  }

  const hello = (uid: string, token = cluster.token(uid)) =>
    packet('CONNECT', { token, deviceId: 'raw', class: 'desktop', sdkVersion: '1', connSeq: 1 })

  async function connected(uid: string): Promise<RawPeer> {
    const raw = gateway()
    raw.write(frameOf(hello(uid)))
    await raw.first('CONNECTED')
    return raw
  }

  /** A user of the set whose gateway is used. */
  const someone = async (name: string): Promise<string> =>
    (await cluster.usersOf('s1', 1, name))[0]!

  it('of random bytes gets BAD_FRAME or FRAME_TOO_LARGE at a gateway, and ends a node link', async () => {
    for (const text of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', '\0\0\0\x30'.padEnd(60, 'z')]) {
      const raw = gateway()
      raw.write(text)
      await raw.gone()
      expect([numberOf('BAD_FRAME'), numberOf('FRAME_TOO_LARGE')]).toContain(raw.errors[0])
      const node = nodePort()
      node.write(text)
      await node.gone()
    }
  })

  it('of a frame that announces 2 GiB gets FRAME_TOO_LARGE before and after CONNECT', async () => {
    const huge = Buffer.alloc(64)
    huge.writeUInt32BE(2 ** 31, 0)
    for (const raw of [gateway(), nodePort(), await connected(await someone('huge'))]) {
      raw.write(huge)
      await raw.gone()
      expect(raw.errors).toEqual([numberOf('FRAME_TOO_LARGE')])
    }
  })

  it('of half a frame, or one byte at a time, ends with HANDSHAKE_TIMEOUT', async () => {
    const frame = frameOf(hello(await someone('half')))
    const half = gateway()
    half.write(frame.subarray(0, 60))
    const cut = gateway()
    cut.write(frame.subarray(0, 60))
    cut.socket.end()
    const slow = gateway()
    for (let at = 0; !slow.closed && at < frame.length; at++) {
      slow.write(frame.subarray(at, at + 1))
      await pause(50)
    }
    await Promise.all([half.gone(), cut.gone(), slow.gone()])
    expect(half.errors).toEqual([numberOf('HANDSHAKE_TIMEOUT')])
    expect(slow.errors).toEqual([numberOf('HANDSHAKE_TIMEOUT')])
  })

  it('of a packet before CONNECT gets UNEXPECTED_PACKET', async () => {
    const session = p2pSession('a', 'b')
    for (const early of [
      packet('SEND', { clientMsgId: 1, session, type: 0, body: Buffer.from('x') }),
      packet('PING', { intervalMs: 30_000, full: true, cursors: [] }),
      packet('RAFT', { data: Buffer.from('x') })
    ]) {
      const raw = gateway()
      raw.write(frameOf(early))
      await raw.gone()
      expect(raw.errors).toEqual([numberOf('UNEXPECTED_PACKET')])
    }
  })

  it('of forged and expired tokens gets BAD_TOKEN and TOKEN_EXPIRED', async () => {
    const uid = await someone('token')
    const good = cluster.token(uid)
    const other = cluster.token('somebody-else').split('.')
    const forged = [
      'x',
      good.slice(0, -2),
      [...other.slice(0, 3), good.split('.')[3]].join('.'),
      good.replace(/\.\d+\./, '.9999999999999.')
    ]
    for (const token of forged) {
      expect(await codeOf(cluster.client(uid, { token }).connect()), token).toBe('BAD_TOKEN')
    }
    const expired = cluster.client(uid, { token: cluster.token(uid, -1_000) })
    expect(await codeOf(expired.connect())).toBe('TOKEN_EXPIRED')
  })

  it('of a body over the limit gets BODY_TOO_LARGE, and the connection lives', async () => {
    const uid = await someone('body')
    const session = p2pSession(uid, 'friend')
    const send = (clientMsgId: number, sizeBytes: number) =>
      frameOf(
        packet(
          'SEND',
          { clientMsgId, session, type: 1, body: Buffer.alloc(sizeBytes) },
          { bootId: 9, sequence: clientMsgId }
        )
      )
    const raw = await connected(uid)
    raw.write(send(1, 64 * kib + 1))
    await raw.first('ERROR')
    expect(raw.errors).toEqual([numberOf('BODY_TOO_LARGE')])
    raw.write(send(2, 64 * kib))
    expect((await raw.first('ACK')).payload).toMatchObject({ clientMsgId: 2, msgid: 1 })

    const client = cluster.client(uid, { deviceId: 'sdk' })
    await client.connect()
    const tooLarge = client.send({ session, type: 1, body: Buffer.alloc(64 * kib + 1) })
    expect(await codeOf(tooLarge)).toBe('BODY_TOO_LARGE')
  })

  it('of an unknown kind gets UNKNOWN_KIND, and the connection lives', async () => {
    const raw = await connected(await someone('kind'))
    const ping = packet(
      'PING',
      { intervalMs: 30_000, full: true, cursors: [] },
      { bootId: 9, sequence: 1 }
    )
    const strange = Buffer.from(frameOf(ping))
    strange[5] = 250
    raw.write(strange)
    await raw.first('ERROR')
    expect(raw.errors).toEqual([numberOf('UNKNOWN_KIND')])
    raw.write(frameOf(ping))
    await raw.first('PONG')
    expect(raw.closed).toBe(false)
  })

  it('of a wrong slot, a wrong set or a wrong epoch gets a coded error', async () => {
    const replicas = await ReplicaClient.connect(cluster)
    try {
      const [uid, friend] = (await cluster.usersOf('s1', 2, 'slot')) as [string, string]
      const session = p2pSession(uid, friend)
      const key = routingKey(session, parseSession(session))
      const leader = cluster.routerNodes('s1').indexOf(await cluster.leader('s1')) + 1
      const foreign = cluster.routerNodes('s2').indexOf(await cluster.leader('s2')) + 1
      const slot = replicas.view.slotOf(key)
      const append = (
        at: readonly [string, number],
        header: { slot?: number; slotEpoch?: number; hop?: number } = {},
        changes: { session?: string; uid?: string } = {}
      ) => {
        const message = { session, uid, deviceId: 'd', clientMsgId: 1, type: 0, ...changes }
        const body = Buffer.from('x')
        const sent = { ...message, body }
        return codeOf(replicas.ask(at, 'APPEND', sent, key, 'APPEND_OK', { header }))
      }
      const s1 = ['s1', leader] as const
      expect(await append(s1, { slot: (slot + 1) % 1024 })).toBe('BAD_PACKET')
      expect(await append(['s2', foreign])).toBe('MOVED')
      expect(await append(s1, { slotEpoch: 1_000_000 })).toBe('ROUTER_BEHIND')
      expect(await append(s1, { hop: 9 })).toBe('BAD_PACKET')
      expect(await append(s1, {}, { uid: 'stranger' })).toBe('FORBIDDEN')
      expect(await append(s1, {}, { session: 'p2p/only-one' })).toBe('BAD_SESSION')
      const latest = { sessions: [session] }
      const answer = await replicas.ask(s1, 'LATEST', latest, key, 'LATEST_OK')
      expect(answer.cursors).toEqual([{ session, msgid: 0 }])
      expect(await append(s1)).toBe('no error')
    } finally {
      await replicas.close()
    }
  })

  it('of a client that never reads costs that client only', async () => {
    const [lazy, sender] = (await cluster.usersOf('s1', 2, 'lazy')) as [string, string]
    const raw = await connected(lazy)
    raw.socket.pause()
    const client = cluster.client(sender)
    await client.connect()
    const session = p2pSession(lazy, sender)
    const body = Buffer.alloc(60 * kib, 7)
    const sends = Array.from({ length: 300 }, () => client.send({ session, type: 1, body }))
    const sent = await Promise.all(sends)
    expect(sent.at(-1)!.msgid).toBe(300)
    const dropped = await eventually('its pushes are dropped', 10_000, async () => {
      const samples = await Promise.all(
        ['s1-a', 's1-b'].map(id => cluster.cluster.node(id).status())
      )
      return samples.find(({ metrics }) => (metrics.client_pushes_dropped_total ?? 0) > 0)
    })
    expect(dropped.process!.rssBytes).toBeLessThan(512 * kib * kib)
    raw.socket.destroy()

    const again = cluster.client(lazy)
    let next = 1
    again.onMessage(message => {
      expect(message.msgid).toBe(next)
      next++
    })
    await again.connect()
    await eventually('it gets everything when it reads', 30_000, () => next === 301)
  })

  it('has lost nothing and ended no process', async () => {
    going = false
    await normal
    await chat.settled()
    expect(chat.errors).toEqual([])
    const judgement = chat.history.judge(onlyMessages)
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    console.log(`${judgementText(judgement)}\n  ${chat.summary()}`)
    expect(cluster.pids()).toEqual(pids)
    await cluster.cluster.waitReady()
  })
})
