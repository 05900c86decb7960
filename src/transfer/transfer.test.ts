import { describe, expect, it } from 'vitest'
import { imTable } from '../../test/support/fake-im-table.ts'
import { page, TransferBench } from '../../test/support/transfer-bench.ts'
import { errorCodes } from '../base/error-codes.ts'
import type { Route } from '../protocol/kinds.ts'
import { packet } from '../protocol/packet.ts'
import { emptyTableView } from '../table/compile-table.ts'

describe('connecting', () => {
  it('registers through the logic of its own process, and only then answers CONNECTED', () => {
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
    const connId = bench.open()
    bench.connect(connId, bench.stranger)
    const [redirect] = bench.links.take(connId, 'REDIRECT')
    expect(redirect!.payload).toEqual({ setId: 's2', addresses: ['tcp://127.0.0.1:7150'] })
    expect(bench.links.closed.has(connId)).toBe(true)
    expect(bench.take('OPEN')).toEqual([])
  })

  it('sends them there too when their slot moves while they are connected', () => {
    const bench = new TransferBench()
    const connId = bench.online()
    bench.view = imTable(3, 0)
    bench.transfer.onTable()
    expect(bench.links.take(connId, 'REDIRECT')).toHaveLength(1)
    expect(bench.take('CLOSE')).toHaveLength(1)
  })

  it('sends them there too when their slot moves while they are registered', () => {
    const bench = new TransferBench()
    const connId = bench.open()
    bench.connect(connId)
    const [open] = bench.take('OPEN')
    bench.view = imTable(3, 0)
    bench.transfer.onTable()
    bench.reply(open!, 'OPEN_OK', {})
    expect(bench.links.take(connId, 'CONNECTED')).toEqual([])
    expect(bench.links.take(connId, 'REDIRECT')).toHaveLength(1)
    expect(bench.take('CLOSE')[0]!.packet.payload).toEqual(open!.packet.payload)
  })

  it('has nothing to offer without a table', () => {
    const bench = new TransferBench()
    bench.view = emptyTableView
    const connId = bench.open()
    bench.connect(connId)
    expect(bench.links.closed.get(connId)).toBe('NO_TABLE')
  })

  it('does not wait for ever for CONNECT', () => {
    const bench = new TransferBench()
    const connId = bench.open()
    bench.pass(5_100)
    expect(bench.links.closed.get(connId)).toBe('HANDSHAKE_TIMEOUT')
  })

  it('bounds connections, and those without CONNECT', () => {
    const bench = new TransferBench({ connections: 3, unauthenticated: 2 })
    const [, , third] = [bench.open(), bench.open(), bench.open()]
    expect(bench.links.closed.get(third!)).toBe('TOO_MANY_CONNECTIONS')
    const free = new TransferBench({ connections: 1 })
    free.online()
    expect(free.links.closed.get(free.open())).toBe('TOO_MANY_CONNECTIONS')
  })

  it('takes the route back when the client left during OPEN, or its outcome is unknown', () => {
    const gone = new TransferBench()
    const connId = gone.open()
    gone.connect(connId)
    const [open] = gone.take('OPEN')
    gone.transfer.onClientClosed(connId)
    expect(gone.take('CLOSE')).toEqual([])
    gone.reply(open!, 'OPEN_OK', {})
    expect(gone.take('CLOSE')[0]!.packet.payload).toEqual(open!.packet.payload)

    const silent = new TransferBench()
    const second = silent.open()
    silent.connect(second)
    silent.pass(5_100)
    expect(silent.links.closed.get(second)).toBe('TIMEOUT')
    expect(silent.take('CLOSE').length).toBeGreaterThan(0)
  })

  it('refuses what comes while it is still opening, and a second CONNECT', () => {
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
    const connId = bench.online()
    bench.send(connId)
    for (let waited = 0; waited < 20_100; waited += 100) {
      for (const submit of bench.take('SUBMIT')) bench.refuse(submit, 'SLOT_SEALED', 50)
      bench.pass(100)
    }
    expect(bench.links.take(connId, 'ERROR')[0]!.payload.code).toBe(errorCodes.SLOT_SEALED.number)
  })

  it('bounds the body, the unanswered requests of one connection, their rate, and the queue', () => {
    const bench = new TransferBench({ unackedPerConnection: 2, bodyBytes: 10 })
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

    const fast = new TransferBench({ sendsPerSecond: 5 })
    const hasty = fast.online()
    for (let sequence = 1; sequence <= 6; sequence++) fast.send(hasty, sequence)
    expect(fast.links.take(hasty, 'ERROR')[0]).toMatchObject({
      sequence: 6,
      payload: { code: errorCodes.RATE_LIMITED.number }
    })
    fast.pass(1_000)
    fast.send(hasty, 7)
    expect(fast.links.take(hasty, 'ERROR')).toEqual([])

    const full = new TransferBench({ pending: 1 })
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

  it.each([
    ['one connection', { heldBytesPerConnection: 25 }, [3, 3]],
    ['all connections', { heldBytes: 45 }, [2, 3]]
  ] as const)('bounds the bytes of messages without an answer of %s', (_whose, limits, refused) => {
    const bench = new TransferBench(limits)
    const senders = ['phone', 'tablet'].map(device => bench.online(bench.uid, device))
    const sendAll = (): number[] => {
      for (const connId of senders) {
        for (const sequence of [1, 2, 3]) bench.send(connId, sequence, Buffer.alloc(10))
      }
      const errors = senders.flatMap(connId => bench.links.take(connId, 'ERROR'))
      expect(new Set(errors.map(({ payload }) => payload.code))).toEqual(
        new Set([errorCodes.OVERLOADED.number])
      )
      return errors.map(({ sequence }) => sequence)
    }
    const first = sendAll()
    expect(first).toEqual(refused)
    for (const submit of bench.take('SUBMIT')) {
      bench.reply(submit, 'SUBMIT_OK', { msgid: 1, duplicate: false, atMs: 1 })
    }
    expect(sendAll(), 'answers make room').toEqual(refused)
  })
})

describe('leaving', () => {
  it('takes the route back, and keeps trying within a bound', () => {
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
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
    const bench = new TransferBench()
    const connId = bench.online()
    expect(bench.transfer.stopping()).toBe(false)
    expect(bench.links.take(connId, 'RECONNECT')).toHaveLength(1)
    expect(bench.links.closed.has(bench.open())).toBe(true)
    bench.pass(2_100)
    expect(bench.transfer.stopping()).toBe(false)
    expect(bench.links.closed.has(connId)).toBe(true)
    for (const close of bench.take('CLOSE')) bench.reply(close, 'CLOSE_OK', {})
    expect(bench.transfer.stopping()).toBe(true)

    const deaf = new TransferBench()
    deaf.online()
    deaf.transfer.stopping()
    deaf.pass(5_100)
    expect(deaf.transfer.stopping()).toBe(true)
  })
})
