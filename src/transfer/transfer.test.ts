import { describe, expect, it } from 'vitest'
import { FakeClientLinks } from '../../test/support/fake-client-links.ts'
import { imTable, uidIn } from '../../test/support/fake-im-table.ts'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import type { KindName, Page, PayloadOf, Route } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { emptyTableView } from '../table/compile-table.ts'
import { Transfer } from './transfer.ts'
import {
  defaultTransferLimits,
  defaultTransferTimes,
  type TransferLimits
} from './transfer-options.ts'

interface FromTransfer<K extends KindName> {
  readonly to: string
  readonly packet: Packet<K>
}

/** A transfer `t1` of set `s1` on node `n1`; the test plays clients, logics and router. */
class Bench {
  readonly env = new FakeRoleEnv('transfer/t1', 55)
  readonly links = new FakeClientLinks()
  view = imTable(2)
  readonly uid = uidIn(this.view, 's1')
  readonly stranger = uidIn(this.view, 's2')
  readonly transfer: Transfer
  #lastConnId = 0

  constructor(limits: Partial<TransferLimits> = {}) {
    this.env.view = () => this.view
    this.transfer = new Transfer(
      this.env,
      this.links,
      token => (token === 'bad' ? 'BAD_TOKEN' : { uid: token }),
      {
        id: 't1',
        setId: 's1',
        nodeId: 'n1',
        address: '127.0.0.1:7001',
        clientAddresses: ['tcp://127.0.0.1:7050'],
        version: '1',
        arbiters: [],
        limits: { ...defaultTransferLimits, ...limits },
        times: { ...defaultTransferTimes, heartbeatMinMs: 1_000, heartbeatMaxMs: 60_000 }
      }
    )
    this.transfer.start()
  }

  open(): number {
    this.transfer.onClientOpen(++this.#lastConnId)
    return this.#lastConnId
  }

  client(connId: number, sent: Packet): void {
    this.transfer.onClientPacket(connId, sent)
    this.transfer.flush()
  }

  connect(connId: number, uid = this.uid, deviceId = 'phone', connSeq = 1): void {
    const connect = { token: uid, deviceId, class: 'mobile' as const, sdkVersion: '1', connSeq }
    this.client(connId, packet('CONNECT', connect))
  }

  /** A connection that got CONNECTED. */
  online(uid = this.uid, deviceId = 'phone', connSeq = 1): number {
    const connId = this.open()
    this.connect(connId, uid, deviceId, connSeq)
    for (const open of this.take('OPEN')) this.reply(open, 'OPEN_OK', {})
    expect(this.links.take(connId, 'CONNECTED')).toHaveLength(1)
    return connId
  }

  /** Takes the packets of a kind sent to other processes. */
  take<K extends KindName>(kind: K): FromTransfer<K>[] {
    const taken = this.env.sent.filter(({ packet: one }) => one.kind === kind)
    for (const one of taken) this.env.sent.splice(this.env.sent.indexOf(one), 1)
    return taken as unknown as FromTransfer<K>[]
  }

  reply<K extends KindName>(request: FromTransfer<KindName>, kind: K, payload: PayloadOf<K>): void {
    this.transfer.onPacket(request.to, answer(request.packet, kind, payload))
    this.transfer.flush()
  }

  refuse(request: FromTransfer<KindName>, code: ErrorCode, retryAfterMs = 0): void {
    const payload = { code: errorCodes[code].number, text: '', retryAfterMs, hint: undefined }
    this.reply(request, 'ERROR', payload)
  }

  send(connId: number, sequence = 1, body = Buffer.from('hi')): void {
    const send = { clientMsgId: sequence, session: 'p2p/a/b', type: 0, body }
    this.client(connId, packet('SEND', send, { bootId: 9, sequence }))
  }

  deliver(connIds: number[], pages: Page[], transferBootId = this.transfer.transferBootId): void {
    const items = pages.map(page => ({ connIds, page }))
    this.transfer.onPacket('router/s1/1', packet('DELIVER', { transferBootId, items }))
    this.transfer.flush()
  }

  /** Lets time pass; the router grants every lease. */
  pass(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.transfer.tick()
      for (const renew of this.take('RENEW')) this.reply(renew, 'RENEW_OK', { leaseMs: 3_000 })
      this.take('ANNOUNCE')
      this.transfer.flush()
    }
  }
}

const page = (session: string, from: number, to: number): Page => ({
  session,
  first: 1,
  latest: to,
  messages: Array.from({ length: to - from + 1 }, (_, i) => ({
    msgid: from + i,
    from: 'a',
    deviceId: 'x',
    clientMsgId: from + i,
    type: 0,
    atMs: 1,
    body: Buffer.from('hello')
  }))
})

describe('connecting', () => {
  it('registers through the logic of its own process, and only then answers CONNECTED', () => {
    const bench = new Bench()
    const connId = bench.open()
    bench.connect(connId)
    expect(bench.links.trusted.has(connId)).toBe(true)
    expect(bench.links.take(connId, 'CONNECTED')).toEqual([])
    const [open] = bench.take('OPEN')
    expect(open!.to).toBe('logic/l1')
    expect(open!.packet.payload.route).toMatchObject({
      deviceId: 'phone',
      transferId: 't1',
      transferBootId: bench.transfer.transferBootId,
      connId
    })
    bench.reply(open!, 'OPEN_OK', {})
    const [connected] = bench.links.take(connId, 'CONNECTED')
    expect(connected!.payload).toMatchObject({ connId, heartbeatMinMs: 1_000 })
  })

  it('refuses bad tokens, device ids, and anything before CONNECT', () => {
    const bench = new Bench()
    const [bad, odd, early] = [bench.open(), bench.open(), bench.open()]
    bench.connect(bad, 'bad')
    bench.connect(odd, bench.uid, 'a\nb')
    bench.send(early)
    expect([bad, odd, early].map(connId => bench.links.closed.get(connId))).toEqual([
      'BAD_TOKEN',
      'BAD_PACKET',
      'UNEXPECTED_PACKET'
    ])
    expect(bench.take('OPEN')).toEqual([])
    expect(bench.transfer.connections).toBe(0)
  })

  it('sends users of another set there', () => {
    const bench = new Bench()
    const connId = bench.open()
    bench.connect(connId, bench.stranger)
    const [redirect] = bench.links.take(connId, 'REDIRECT')
    expect(redirect!.payload).toEqual({ setId: 's2', addresses: ['tcp://127.0.0.1:7150'] })
    expect(bench.links.closed.has(connId)).toBe(true)
    expect(bench.take('OPEN')).toEqual([])
  })

  it('sends them there too when their slot moves while they are connected', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.view = imTable(3, 0)
    bench.transfer.onTable()
    expect(bench.links.take(connId, 'REDIRECT')).toHaveLength(1)
    expect(bench.take('CLOSE')).toHaveLength(1)
  })

  it('has nothing to offer without a table', () => {
    const bench = new Bench()
    bench.view = emptyTableView
    const connId = bench.open()
    bench.connect(connId)
    expect(bench.links.closed.get(connId)).toBe('NO_TABLE')
  })

  it('does not wait for ever for CONNECT', () => {
    const bench = new Bench()
    const connId = bench.open()
    bench.pass(5_100)
    expect(bench.links.closed.get(connId)).toBe('HANDSHAKE_TIMEOUT')
  })

  it('bounds connections, and those without CONNECT', () => {
    const bench = new Bench({ connections: 3, unauthenticated: 2 })
    const [, , third] = [bench.open(), bench.open(), bench.open()]
    expect(bench.links.closed.get(third!)).toBe('TOO_MANY_CONNECTIONS')
    const free = new Bench({ connections: 1 })
    free.online()
    expect(free.links.closed.get(free.open())).toBe('TOO_MANY_CONNECTIONS')
  })

  it('takes the route back when the client left during OPEN, or its outcome is unknown', () => {
    const gone = new Bench()
    const connId = gone.open()
    gone.connect(connId)
    const [open] = gone.take('OPEN')
    gone.transfer.onClientClosed(connId)
    expect(gone.take('CLOSE')).toEqual([])
    gone.reply(open!, 'OPEN_OK', {})
    expect(gone.take('CLOSE')[0]!.packet.payload).toEqual(open!.packet.payload)

    const silent = new Bench()
    const second = silent.open()
    silent.connect(second)
    silent.pass(5_100)
    expect(silent.links.closed.get(second)).toBe('TIMEOUT')
    expect(silent.take('CLOSE').length).toBeGreaterThan(0)
  })

  it('refuses what comes while it is still opening, and a second CONNECT', () => {
    const bench = new Bench()
    const connId = bench.open()
    bench.connect(connId)
    bench.send(connId, 7)
    expect(bench.links.take(connId, 'ERROR')[0]).toMatchObject({
      sequence: 7,
      payload: { code: errorCodes.UNEXPECTED_PACKET.number }
    })
    const online = bench.online(bench.uid, 'other')
    bench.connect(online, bench.uid, 'other')
    expect(bench.links.take(online, 'ERROR')).toHaveLength(1)
    expect(bench.links.closed.has(online)).toBe(false)
  })

  it('lets the newer connection of a device win, whichever comes last', () => {
    const bench = new Bench()
    const first = bench.online(bench.uid, 'phone', 5)
    const second = bench.online(bench.uid, 'phone', 6)
    expect(bench.links.take(first, 'KICK')).toHaveLength(1)
    expect(bench.links.closed.has(first)).toBe(true)
    const late = bench.open()
    bench.connect(late, bench.uid, 'phone', 5)
    expect(bench.links.take(late, 'KICK')).toHaveLength(1)
    expect(bench.take('OPEN')).toEqual([])
    bench.deliver([second], [page('p2p/a/b', 1, 1)])
    expect(bench.links.take(second, 'PUSH')).toHaveLength(1)
  })
})

describe('sending', () => {
  it('passes the outcome on under the sequence of the SEND', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.send(connId, 41)
    const [submit] = bench.take('SUBMIT')
    expect(submit!.packet.payload).toMatchObject({ uid: bench.uid, deviceId: 'phone' })
    bench.reply(submit!, 'SUBMIT_OK', { msgid: 3, duplicate: true, atMs: 9 })
    const [ack] = bench.links.take(connId, 'ACK')
    expect(ack).toMatchObject({
      bootId: 9,
      sequence: 41,
      payload: { clientMsgId: 41, session: 'p2p/a/b', msgid: 3, duplicate: true, atMs: 9 }
    })
    bench.send(connId, 42)
    bench.refuse(bench.take('SUBMIT')[0]!, 'FORBIDDEN')
    expect(bench.links.take(connId, 'ERROR')[0]).toMatchObject({
      sequence: 42,
      payload: { code: errorCodes.FORBIDDEN.number }
    })
  })

  it('repeats the same request at another logic, then says that it does not know', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.send(connId, 1)
    const [first] = bench.take('SUBMIT')
    bench.pass(2_100)
    const [second] = bench.take('SUBMIT')
    expect([first!.to, second!.to]).toEqual(['logic/l1', 'logic/l2'])
    expect(second!.packet).toMatchObject({
      bootId: first!.packet.bootId,
      sequence: first!.packet.sequence,
      payload: first!.packet.payload
    })
    bench.pass(18_200)
    expect(bench.links.take(connId, 'ERROR')[0]!.payload.code).toBe(errorCodes.TIMEOUT.number)
  })

  it('goes on at another logic at once when the link is lost', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.send(connId)
    const [first] = bench.take('SUBMIT')
    bench.transfer.onPeer('logic/l1', false)
    const [second] = bench.take('SUBMIT')
    expect(second!.to).toBe('logic/l2')
    bench.reply(second!, 'SUBMIT_OK', { msgid: 1, duplicate: false, atMs: 1 })
    bench.reply(first!, 'SUBMIT_OK', { msgid: 1, duplicate: true, atMs: 1 })
    expect(bench.links.take(connId, 'ACK')).toHaveLength(1)
  })

  it('retries what logic says may be retried, and reports a certain refusal as such', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.send(connId)
    for (let waited = 0; waited < 20_100; waited += 100) {
      for (const submit of bench.take('SUBMIT')) bench.refuse(submit, 'SLOT_SEALED', 50)
      bench.pass(100)
    }
    expect(bench.links.take(connId, 'ERROR')[0]!.payload.code).toBe(errorCodes.SLOT_SEALED.number)
  })

  it('bounds the body, the unanswered requests of one connection, their rate, and the queue', () => {
    const bench = new Bench({ unackedPerConnection: 2, bodyBytes: 10 })
    const connId = bench.online()
    bench.send(connId, 1, Buffer.alloc(11))
    for (const sequence of [2, 3, 4]) bench.send(connId, sequence)
    const codes = bench.links
      .take(connId, 'ERROR')
      .map(({ sequence, payload }) => [sequence, payload.code])
    expect(codes).toEqual([
      [1, errorCodes.BODY_TOO_LARGE.number],
      [4, errorCodes.OVERLOADED.number]
    ])
    expect(bench.take('SUBMIT')).toHaveLength(2)

    const fast = new Bench({ sendsPerSecond: 5 })
    const hasty = fast.online()
    for (let sequence = 1; sequence <= 6; sequence++) fast.send(hasty, sequence)
    expect(fast.links.take(hasty, 'ERROR')[0]).toMatchObject({
      sequence: 6,
      payload: { code: errorCodes.RATE_LIMITED.number }
    })
    fast.pass(1_000)
    fast.send(hasty, 7)
    expect(fast.links.take(hasty, 'ERROR')).toEqual([])

    const full = new Bench({ pending: 1 })
    const sender = full.online()
    full.send(sender, 1)
    full.send(sender, 2)
    expect(full.links.take(sender, 'ERROR')[0]).toMatchObject({
      sequence: 2,
      payload: { code: errorCodes.OVERLOADED.number }
    })
    full.reply(full.take('SUBMIT')[0]!, 'SUBMIT_OK', { msgid: 1, duplicate: false, atMs: 1 })
    full.send(sender, 3)
    expect(full.take('SUBMIT')).toHaveLength(1)
  })
})

describe('heartbeats', () => {
  const ping = (intervalMs: number, sequence = 1): Packet<'PING'> => {
    const cursors = [{ session: 'p2p/a/b', msgid: 2 }]
    return packet('PING', { intervalMs, full: true, cursors }, { bootId: 9, sequence })
  }

  it('are answered with what is missing, then PONG', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.client(connId, ping(30_000))
    const [catchUp] = bench.take('CATCH_UP')
    expect(catchUp!.packet.payload).toMatchObject({ uid: bench.uid, full: true })
    bench.reply(catchUp!, 'CATCH_UP_OK', { pages: [page('p2p/a/b', 3, 4)], more: true })
    const kinds = bench.links.sent.filter(one => one.connId === connId).map(one => one.packet.kind)
    expect(kinds).toEqual(['PUSH', 'PONG'])
    expect(bench.links.take(connId, 'PONG')[0]).toMatchObject({
      sequence: 1,
      payload: { more: true }
    })
  })

  it('say that there is more when pushes had to be dropped', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.links.stuffed.add(connId)
    bench.client(connId, ping(30_000))
    const pages = [page('p2p/a/b', 3, 4)]
    bench.reply(bench.take('CATCH_UP')[0]!, 'CATCH_UP_OK', { pages, more: false })
    expect(bench.links.take(connId, 'PONG')[0]!.payload.more).toBe(true)
  })

  it('are served one at a time', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.client(connId, ping(30_000, 1))
    bench.client(connId, ping(30_000, 2))
    expect(bench.take('CATCH_UP')).toHaveLength(1)
    expect(bench.links.take(connId, 'ERROR')[0]).toMatchObject({ sequence: 2 })
  })

  it('keep the connection; twice the announced silence ends it', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.client(connId, ping(2_000))
    bench.pass(3_000)
    bench.client(connId, packet('PUSH_ACK', { cursors: [] }))
    bench.pass(3_900)
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.pass(300)
    expect(bench.links.closed.get(connId)).toBe('IDLE_TIMEOUT')
    expect(bench.take('CLOSE').length).toBeGreaterThan(0)
  })

  it.each([
    [0, 2_000],
    [Number.MAX_SAFE_INTEGER, 120_000]
  ])('cannot announce an interval of %i ms', (intervalMs, endsMs) => {
    const bench = new Bench()
    const connId = bench.online()
    bench.client(connId, ping(intervalMs))
    bench.take('CATCH_UP')
    bench.pass(endsMs - 100)
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.pass(300)
    expect(bench.links.closed.get(connId)).toBe('IDLE_TIMEOUT')
  })
})

describe('pushes', () => {
  it('are fenced by the life of the gateway and by their sender', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 1)], bench.transfer.transferBootId + 1)
    const items = [{ connIds: [connId], page: page('p2p/a/b', 1, 1) }]
    const { transferBootId } = bench.transfer
    bench.transfer.onPacket('logic/l1', packet('DELIVER', { transferBootId, items }))
    bench.transfer.flush()
    expect(bench.links.take(connId, 'PUSH')).toEqual([])
    expect(bench.env.counts.get('transfer_fenced_total')).toBe(2)
  })

  it('share one packet between connections, and merge the pages of one turn', () => {
    const bench = new Bench()
    const one = bench.online(bench.uid, 'a')
    const two = bench.online(bench.uid, 'b')
    bench.deliver([one, two], [page('p2p/a/b', 1, 1)])
    expect(bench.links.take(one, 'PUSH')[0]).toBe(bench.links.take(two, 'PUSH')[0])
    bench.deliver([one], [page('p2p/a/b', 2, 2), page('p2p/a/c', 1, 1)])
    const pushes = bench.links.take(one, 'PUSH')
    expect(pushes).toHaveLength(1)
    expect(pushes[0]!.payload.pages).toHaveLength(2)
  })

  it('are cut to the size of a push', () => {
    const bench = new Bench({ pushBytes: 200 })
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 20), page('p2p/a/c', 1, 1)])
    const pages = bench.links.take(connId, 'PUSH').flatMap(({ payload }) => payload.pages)
    expect(pages.length).toBeGreaterThan(5)
    const ids = pages
      .filter(({ session }) => session === 'p2p/a/b')
      .flatMap(({ messages }) => messages.map(({ msgid }) => msgid))
    expect(ids).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('are repeated twice from the history, and no more', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 4, 6)])
    bench.links.take(connId, 'PUSH')
    const acked = [{ session: 'p2p/a/b', msgid: 4 }]
    bench.client(connId, packet('PUSH_ACK', { cursors: acked }))
    for (const ms of [1_100, 3_100]) {
      bench.pass(ms)
      const reads = bench.take('READ_PAGE')
      expect(reads).toHaveLength(1)
      expect(reads[0]!.packet.payload).toMatchObject({ session: 'p2p/a/b', from: 5, limit: 2 })
      bench.reply(reads[0]!, 'READ_PAGE_OK', page('p2p/a/b', 5, 6))
      expect(bench.links.take(connId, 'PUSH')).toHaveLength(1)
    }
    bench.pass(10_000)
    expect(bench.take('READ_PAGE')).toEqual([])
  })

  it('are not repeated once they are acknowledged', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.deliver([connId], [page('p2p/a/b', 1, 3)])
    const cursors = [
      { session: 'p2p/a/b', msgid: 3 },
      { session: 'never heard of', msgid: 9 }
    ]
    bench.client(connId, packet('PUSH_ACK', { cursors }))
    bench.pass(8_000)
    expect(bench.take('READ_PAGE')).toEqual([])
  })

  it('of a client that never reads cost a bounded number of sessions', () => {
    const bench = new Bench({ watchedSessions: 4 })
    const connId = bench.online()
    bench.links.stuffed.add(connId)
    for (let i = 0; i < 50; i++) bench.deliver([connId], [page(`p2p/a/b${i}`, 1, 1)])
    bench.pass(1_600)
    expect(bench.take('READ_PAGE').length).toBe(4)
  })

  it('for a connection that is gone make it take the route back again', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.transfer.onClientClosed(connId)
    bench.reply(bench.take('CLOSE')[0]!, 'CLOSE_OK', {})
    bench.deliver([connId], [page('p2p/a/b', 1, 1)])
    bench.deliver([connId], [page('p2p/a/b', 2, 2)])
    expect(bench.take('CLOSE')).toHaveLength(1)
  })
})

describe('leaving', () => {
  it('takes the route back, and keeps trying within a bound', () => {
    const bench = new Bench()
    const connId = bench.online()
    bench.client(connId, packet('BYE', {}))
    bench.transfer.onClientClosed(connId)
    const closes = bench.take('CLOSE')
    expect(closes).toHaveLength(1)
    expect(closes[0]!.packet.payload.route).toMatchObject({ connId } satisfies Partial<Route>)
    bench.pass(65_000)
    const repeated = bench.take('CLOSE').length
    expect(repeated).toBeGreaterThan(3)
    bench.pass(20_000)
    expect(bench.take('CLOSE')).toEqual([])
  })

  it('kicks whom the router evicts, if it means this life of the gateway', () => {
    const bench = new Bench()
    const connId = bench.online()
    const { transferBootId } = bench.transfer
    const evict = { transferBootId, connId, reason: 'elsewhere', by: 'tablet' }
    const wrong = { ...evict, transferBootId: transferBootId + 1 }
    bench.transfer.onPacket('router/s1/1', packet('EVICT', wrong))
    expect(bench.links.closed.has(connId)).toBe(false)
    bench.transfer.onPacket('router/s1/1', packet('EVICT', evict))
    expect(bench.links.take(connId, 'KICK')[0]!.payload).toEqual({
      reason: 'elsewhere',
      by: 'tablet'
    })
    expect(bench.links.closed.has(connId)).toBe(true)
  })

  it('begins a new life when the lease has run out', () => {
    const bench = new Bench()
    const connId = bench.online()
    const { transferBootId } = bench.transfer
    bench.transfer.tick()
    const [renew] = bench.take('RENEW')
    expect(renew!.packet.payload).toEqual({ transferId: 't1', transferBootId, connections: 1 })
    bench.refuse(renew!, 'TRANSFER_EXPIRED')
    expect(bench.transfer.transferBootId).not.toBe(transferBootId)
    expect(bench.links.take(connId, 'RECONNECT')).toHaveLength(1)
    expect(bench.links.closed.has(connId)).toBe(true)
    expect(bench.transfer.connections).toBe(0)
    bench.transfer.tick()
    const next = bench.take('RENEW')[0]!.packet.payload.transferBootId
    expect(next).toBe(bench.transfer.transferBootId)
    bench.online()
  })

  it('asks its clients to go, closes who stays, and finishes within a bound', () => {
    const bench = new Bench()
    const connId = bench.online()
    expect(bench.transfer.stopping()).toBe(false)
    expect(bench.links.take(connId, 'RECONNECT')).toHaveLength(1)
    expect(bench.links.closed.has(bench.open())).toBe(true)
    bench.pass(2_100)
    expect(bench.transfer.stopping()).toBe(false)
    expect(bench.links.closed.has(connId)).toBe(true)
    for (const close of bench.take('CLOSE')) bench.reply(close, 'CLOSE_OK', {})
    expect(bench.transfer.stopping()).toBe(true)

    const deaf = new Bench()
    deaf.online()
    deaf.transfer.stopping()
    deaf.pass(5_100)
    expect(deaf.transfer.stopping()).toBe(true)
  })
})
