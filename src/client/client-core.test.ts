import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ClientBench, page } from '../../test/support/client-bench.ts'
import { RingsetError } from '../base/errors.ts'
import type { Page, PayloadOf } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { Outgoing } from './outbox.ts'

describe('staying connected', () => {
  it('introduces itself with a growing connSeq, and asks for everything it lacks', () => {
    const bench = new ClientBench()
    const link = bench.online()
    const [connect] = bench.take(link, 'CONNECT')
    expect(connect!.payload).toMatchObject({ token: 'token', deviceId: 'd', connSeq: 5_000 })
    const [ping] = bench.take(link, 'PING')
    expect(ping!.payload).toMatchObject({ full: true, cursors: [], intervalMs: 30_000 })
    link.events.onClose(new RingsetError('UNREACHABLE'))
    bench.pass(300)
    expect(bench.take(bench.open(), 'CONNECT')[0]!.payload.connSeq).toBe(5_001)
    expect(bench.states.map(([state]) => state)).toEqual([
      'connecting',
      'connected',
      'waiting',
      'connecting'
    ])
  })

  it('tries all addresses, slower and slower', () => {
    const bench = new ClientBench()
    for (let i = 0; i < 12; i++) {
      bench.last.events.onClose(new RingsetError('UNREACHABLE'))
      while (bench.dialed.length < i + 2) bench.pass(100)
    }
    expect(bench.dialed).toHaveLength(13)
    expect(new Set(bench.dialed.map(({ address }) => address)).size).toBe(2)
    bench.last.events.onClose(new RingsetError('UNREACHABLE'))
    bench.pass(4_900)
    expect(bench.dialed).toHaveLength(13)
  })

  it('gives an attempt up that goes nowhere, and ignores what it does later', () => {
    const bench = new ClientBench()
    const stuck = bench.open()
    bench.pass(9_000)
    expect(stuck.closed).toBe(true)
    expect(bench.dialed.length).toBeGreaterThan(1)
    const states = bench.states.length
    stuck.events.onPacket(packet('KICK', { reason: '', by: '' }))
    stuck.events.onClose(undefined)
    expect(bench.states).toHaveLength(states)
  })

  it('follows REDIRECT at once, but not in circles', () => {
    const bench = new ClientBench()
    for (let i = 0; i < 3; i++) {
      const addresses = [`tcp://next${i}:1`]
      bench.open().events.onPacket(packet('REDIRECT', { setId: 's2', addresses }))
      expect(bench.last.address).toBe(`tcp://next${i}:1`)
    }
    bench.open().events.onPacket(packet('REDIRECT', { setId: 's1', addresses: [] }))
    expect(bench.states.at(-1)).toEqual(['waiting', 'MOVED'])
  })

  it('leaves within the time it is given, to where it is told, and sends there what is open', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.outbox.add(new Outgoing('p2p/a/b', 0, Buffer.from('x'), 60_000, () => {}))
    bench.core.pump()
    const [first] = link.sent.filter(({ kind }) => kind === 'SEND')
    link.events.onPacket(packet('RECONNECT', { withinMs: 2_000, addresses: ['tcp://three:1'] }))
    bench.pass(2_100)
    expect(link.closed).toBe(true)
    expect(bench.dialed).toHaveLength(2)
    expect(bench.last.address).toBe('tcp://three:1')
    const again = bench.online()
    const [second] = again.sent.filter(({ kind }) => kind === 'SEND')
    expect(second!.payload).toEqual(first!.payload)
  })

  it('finds a place by itself when it is told none', () => {
    const bench = new ClientBench()
    const { address, events } = bench.online()
    events.onPacket(packet('RECONNECT', { withinMs: 1, addresses: [] }))
    bench.pass(200)
    expect(bench.last.address).not.toBe(address)
  })

  it.each(['BAD_TOKEN', 'TOKEN_EXPIRED'] as const)(
    '%s ends it unless tokens can be fresh',
    code => {
      const fixed = new ClientBench()
      fixed.error(fixed.open(), packet('CONNECT', {} as PayloadOf<'CONNECT'>), code)
      expect(fixed.states.at(-1)).toEqual(['failed', code])
      const fresh = new ClientBench(true)
      fresh.error(fresh.open(), packet('CONNECT', {} as PayloadOf<'CONNECT'>), code)
      expect(fresh.states.at(-1)).toEqual(['waiting', code])
      fresh.pass(1_000)
      expect(fresh.dialed).toHaveLength(2)
    }
  )

  it('goes on without a token for now', () => {
    const bench = new ClientBench(true)
    bench.last.events.onClose(undefined)
    bench.token = new RingsetError('UNREACHABLE')
    bench.pass(2_000)
    expect(bench.dialed).toHaveLength(1)
    bench.token = 'again'
    bench.pass(5_000)
    expect(bench.dialed.length).toBeGreaterThan(1)
  })

  it('does not come back when it was kicked', () => {
    const bench = new ClientBench()
    const link = bench.online()
    const ends: unknown[] = []
    bench.outbox.add(new Outgoing('s', 0, Buffer.alloc(0), 90_000, end => ends.push(end)))
    bench.core.pump()
    bench.core.history({ session: 's', from: 1, limit: 1 }, 1_000, end => ends.push(end))
    link.events.onPacket(packet('KICK', { reason: 'elsewhere', by: 'x' }))
    bench.pass(30_000)
    expect(bench.states.at(-1)).toEqual(['kicked', 'KICKED'])
    expect(bench.dialed).toHaveLength(1)
    expect(ends).toHaveLength(2)
    // The message was under way: it may be done, and says why it was given up.
    expect(ends[0]).toMatchObject({ code: 'CANCELLED', facts: { reason: 'KICKED' } })
    expect(ends[1]).toMatchObject({ code: 'KICKED' })
  })

  it('says BYE', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.core.close()
    expect(bench.take(link, 'BYE')).toHaveLength(1)
    expect(link.closed).toBe(true)
    bench.pass(20_000)
    expect(bench.dialed).toHaveLength(1)
  })
})

describe('heartbeats', () => {
  it('come in the interval, which grows while it is survived', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.pong(link, bench.take(link, 'PING')[0]!)
    const intervals: number[] = []
    for (let i = 0; i < 4; i++) {
      const startMs = bench.now
      let ping: Packet<'PING'> | undefined
      while (!ping) {
        bench.pass(100)
        ping = bench.take(link, 'PING')[0]
      }
      intervals.push(Math.round((bench.now - startMs) / 1_000))
      bench.pong(link, ping)
    }
    expect(intervals).toEqual([30, 45, 60, 60])
  })

  it('without an answer end the connection, and shrink', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.pong(link, bench.take(link, 'PING')[0]!)
    bench.pass(30_100)
    expect(bench.take(link, 'PING')).toHaveLength(1)
    bench.pass(10_100)
    expect(link.closed).toBe(true)
    bench.pass(1_000)
    const [ping] = bench.take(bench.online(), 'PING')
    expect(ping!.payload.intervalMs).toBe(24_000)
  })

  const send = (bench: ClientBench): void => {
    bench.outbox.add(new Outgoing('s', 0, Buffer.alloc(0), bench.now + 60_000, () => {}))
    bench.core.pump()
  }
  const ask = (bench: ClientBench): void => {
    bench.core.history({ session: 's', from: 1, limit: 1 }, 60_000, () => {})
  }

  it.each([
    ['a message', send],
    ['a history call', ask]
  ])('do not wait for their turn when %s meets silence', (_, request) => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.pong(link, bench.take(link, 'PING')[0]!)
    bench.pass(30_100)
    bench.pong(link, bench.take(link, 'PING')[0]!)
    // The next heartbeat would come after 45 s, and its answer could be missed 10 s later.
    bench.pass(25_000)
    request(bench)
    bench.pass(5_400)
    expect(bench.take(link, 'PING')).toEqual([])
    bench.pass(200)
    expect(bench.take(link, 'PING')).toHaveLength(1)
    bench.pass(9_700)
    expect(bench.take(link, 'PING')).toEqual([])
    expect(link.closed).toBe(false)
    bench.pass(700)
    expect(link.closed).toBe(true)
    expect(bench.dialed).toHaveLength(2)
  })

  it('keep to their turn while anything is heard, and come once per silence', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.pong(link, bench.take(link, 'PING')[0]!)
    ask(bench)
    bench.pass(4_000)
    bench.push(link, page(1, 1))
    bench.pass(4_000)
    expect(bench.take(link, 'PING')).toEqual([])
    ask(bench)
    bench.pass(5_600)
    const [ping] = bench.take(link, 'PING')
    bench.pong(link, ping!)
    bench.pass(20_000)
    expect(bench.take(link, 'PING')).toEqual([])
    expect(link.closed).toBe(false)
  })

  it('go on at once while there is more, and slowly without progress', () => {
    const bench = new ClientBench()
    const link = bench.online()
    const [first] = bench.take(link, 'PING')
    bench.push(link, page(1, 3))
    bench.pong(link, first!, true)
    const [second] = bench.take(link, 'PING')
    expect(second!.payload).toMatchObject({ full: true, cursors: [{ session: 's', msgid: 3 }] })
    bench.pong(link, second!, true)
    expect(bench.take(link, 'PING')).toEqual([])
    bench.pass(400)
    expect(bench.take(link, 'PING')).toHaveLength(1)
  })

  it('are sent at once for a gap, and are repeated after a refusal', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.pong(link, bench.take(link, 'PING')[0]!)
    bench.push(link, page(3, 3))
    const [ping] = bench.take(link, 'PING')
    expect(ping!.payload).toMatchObject({ full: false, cursors: [{ session: 's', msgid: 0 }] })
    bench.push(link, page(4, 4))
    expect(bench.take(link, 'PING')).toEqual([])
    bench.error(link, ping!, 'TIMEOUT', 500)
    bench.pass(400)
    expect(bench.take(link, 'PING')).toEqual([])
    bench.pass(300)
    const [again] = bench.take(link, 'PING')
    bench.push(link, page(1, 4))
    bench.pong(link, again!)
    expect(bench.got).toEqual([1, 2, 3, 4])
    bench.pass(20_000)
    expect(bench.take(link, 'PING')).toEqual([])
  })
})

describe('requests', () => {
  it('history survives a reconnect, and its deadline', () => {
    const bench = new ClientBench()
    const results: (Page | RingsetError)[] = []
    bench.core.history({ session: 's', from: 1, limit: 5 }, 5_000, one => results.push(one))
    const link = bench.online()
    expect(bench.take(link, 'HISTORY')).toHaveLength(1)
    link.events.onClose(undefined)
    bench.pass(300)
    const next = bench.online()
    const [again] = bench.take(next, 'HISTORY')
    next.events.onPacket(answer(again!, 'HISTORY_OK', page(1, 2)))
    next.events.onPacket(answer(again!, 'HISTORY_OK', page(1, 2)))
    expect(results).toHaveLength(1)
    bench.core.history({ session: 's', from: 1, limit: 5 }, 5_000, one => results.push(one))
    bench.error(next, bench.take(next, 'HISTORY')[0]!, 'FORBIDDEN')
    bench.core.history({ session: 's', from: 1, limit: 5 }, 5_000, one => results.push(one))
    bench.pass(5_100)
    expect(results.slice(1).map(one => (one as RingsetError).code)).toEqual([
      'FORBIDDEN',
      'TIMEOUT'
    ])
  })

  it('acknowledges pushes in batches', () => {
    const bench = new ClientBench()
    const link = bench.online()
    bench.push(link, page(1, 2))
    bench.push(link, page(3, 3))
    bench.pass(100)
    const acks = bench.take(link, 'PUSH_ACK')
    expect(acks.map(({ payload }) => payload.cursors)).toEqual([[{ session: 's', msgid: 3 }]])
    bench.pass(1_000)
    expect(bench.take(link, 'PUSH_ACK')).toEqual([])
  })
})

describe('against a gateway that loses, doubles, reorders and dies', () => {
  const event = fc.oneof(
    fc.record({ op: fc.constant('store' as const), push: fc.boolean() }),
    fc.record({
      op: fc.constant('push' as const),
      from: fc.integer({ min: 1, max: 30 }),
      length: fc.integer({ min: 1, max: 6 })
    }),
    fc.record({ op: fc.constant('serve' as const), pageSize: fc.integer({ min: 1, max: 4 }) }),
    fc.constant({ op: 'die' as const }),
    fc.record({ op: fc.constant('pass' as const), ms: fc.integer({ min: 100, max: 15_000 }) })
  )

  it('everything stored is delivered exactly once, in order', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 50 }), fc.nat(), (events, seed) => {
        const bench = new ClientBench(false, seed)
        let stored = 0
        let link = bench.online()
        const served = (pageSize: number): void => {
          if (bench.core.state === 'connecting' && bench.last !== link) link = bench.online()
          for (const ping of bench.take(link, 'PING')) {
            const cursor = ping.payload.cursors[0]?.msgid ?? 0
            const to = Math.min(stored, cursor + pageSize)
            if (to > cursor) bench.push(link, page(cursor + 1, to))
            bench.pong(link, ping, to < stored)
          }
        }
        for (const one of events) {
          if (one.op === 'store') {
            stored++
            if (one.push) bench.push(link, page(stored, stored))
          } else if (one.op === 'push') {
            const to = Math.min(one.from + one.length - 1, stored)
            if (one.from <= to) bench.push(link, page(one.from, to))
          } else if (one.op === 'serve') served(one.pageSize)
          else if (one.op === 'die') link.events.onClose(new RingsetError('UNREACHABLE'))
          else bench.pass(one.ms)
          expect(bench.got).toEqual(Array.from({ length: bench.got.length }, (_, i) => i + 1))
        }
        // Two minutes of good weather: at least one heartbeat.
        for (let i = 0; i < 1_200; i++) {
          bench.pass(100)
          served(3)
        }
        expect(bench.got).toEqual(Array.from({ length: stored }, (_, i) => i + 1))
      }),
      { numRuns: 40 }
    )
  })
})
