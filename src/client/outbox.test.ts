import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { defaultOutboxOptions, Outbox, type OutboxOptions, Outgoing } from './outbox.ts'

/** An outbox with a connection that the test can break. */
class Bench {
  now = 0
  connected = true
  sequence = 0
  readonly sent: { clientMsgId: number; session: string; sequence: number; name: string }[] = []
  readonly ends: { name: string; msgid: number; code: string | undefined }[] = []
  readonly errors: RingsetError[] = []
  readonly outbox: Outbox

  constructor(options: Partial<OutboxOptions> = {}, firstId = 1, ceiling = 1_000_000) {
    this.outbox = new Outbox(0, firstId, ceiling, { ...defaultOutboxOptions, ...options })
  }

  add(name: string, session = 's', deadlineMs = 60_000): void {
    const item = new Outgoing(session, 0, Buffer.from(name), this.now + deadlineMs, result => {
      const failed = result instanceof RingsetError
      const code = failed ? result.code : undefined
      if (failed) this.errors.push(result)
      this.ends.push({ name, msgid: failed ? 0 : result.msgid, code })
    })
    this.outbox.add(item)
    this.pump()
  }

  pump(): void {
    if (!this.connected) return
    this.outbox.pump(
      this.now,
      () => ++this.sequence,
      ({ clientMsgId, session, sequence, body }) => {
        this.sent.push({ clientMsgId, session, sequence, name: body.toString() })
        return true
      }
    )
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 50
      if (this.outbox.tick(this.now)) this.pump()
    }
  }

  ack(at: number, msgid = 1): void {
    const { sequence, clientMsgId, session } = this.sent[at]!
    this.outbox.acked(sequence, { clientMsgId, session, msgid, duplicate: false, atMs: 0 })
    this.pump()
  }

  refuse(at: number, code: ErrorCode, retryAfterMs = 0): void {
    this.outbox.refused(this.now, this.sent[at]!.sequence, code, '', retryAfterMs)
    this.pump()
  }
}

describe('an outbox', () => {
  it('counts ids within a session, and finishes by ACK', () => {
    const bench = new Bench({}, 5)
    for (const session of ['s', 's', 't']) bench.add('m', session)
    expect(bench.sent.map(one => [one.session, one.clientMsgId])).toEqual([
      ['s', 5],
      ['s', 6],
      ['t', 5]
    ])
    bench.ack(1, 9)
    bench.ack(1, 9)
    expect(bench.ends).toEqual([{ name: 'm', msgid: 9, code: undefined }])
    expect(bench.outbox.unacked).toBe(2)
  })

  it('repeats with the same id and sequence: after silence, and on a new connection, in order', () => {
    const bench = new Bench()
    bench.add('a')
    bench.add('b')
    bench.pass(8_100)
    expect(bench.sent.slice(2)).toEqual(bench.sent.slice(0, 2))
    bench.connected = false
    bench.add('c')
    bench.pass(1_000)
    expect(bench.sent).toHaveLength(4)
    bench.connected = true
    bench.outbox.reconnected()
    bench.pump()
    expect(bench.sent.slice(4).map(({ name }) => name)).toEqual(['a', 'b', 'c'])
    expect(bench.sent[4]).toEqual(bench.sent[0])
  })

  it('keeps 32 unacknowledged per session, and the rest in order', () => {
    const bench = new Bench()
    for (let i = 0; i < 40; i++) bench.add(`${i}`)
    bench.add('other', 't')
    expect(bench.sent).toHaveLength(33)
    bench.ack(3)
    expect(bench.sent.at(-1)).toMatchObject({ name: '32', clientMsgId: 33 })
  })

  it('never lets an id fall out of the window that the router remembers', () => {
    const bench = new Bench()
    for (let i = 0; i < 200; i++) bench.add(`${i}`)
    for (let at = 1; at < bench.sent.length; at++) bench.ack(at)
    expect(bench.sent.length).toBeLessThan(64)
    bench.ack(0)
    expect(bench.sent.length).toBeGreaterThan(64)
  })

  it('keeps the bound on all sessions together, and on those that wait', () => {
    const bench = new Bench({ total: 3, queued: 2 })
    for (let i = 0; i < 6; i++) bench.add(`${i}`, `s${i}`)
    expect(bench.sent).toHaveLength(3)
    expect(bench.ends).toEqual([{ name: '5', msgid: 0, code: 'OVERLOADED' }])
    bench.ack(0)
    bench.ack(1)
    expect(bench.sent.map(({ name }) => name)).toEqual(['0', '1', '2', '3', '4'])
  })

  it('tells what was certainly refused from what is unknown', () => {
    const bench = new Bench()
    bench.add('sent', 's', 1_000)
    bench.add('refused')
    bench.refuse(1, 'FORBIDDEN')
    bench.connected = false
    bench.add('never sent', 't', 1_000)
    bench.pass(1_100)
    expect(bench.ends.map(({ name, code }) => [name, code])).toEqual([
      ['refused', 'FORBIDDEN'],
      ['sent', 'TIMEOUT'],
      ['never sent', 'UNREACHABLE']
    ])
    expect(bench.outbox.queued + bench.outbox.unacked).toBe(0)
  })

  it('waits as asked after a refusal that may pass', () => {
    const bench = new Bench()
    bench.add('a')
    bench.refuse(0, 'OVERLOADED', 2_000)
    bench.pass(1_900)
    expect(bench.sent).toHaveLength(1)
    bench.pass(200)
    expect(bench.sent[1]).toEqual(bench.sent[0])
  })

  it('uses no id from the ceiling on until it is raised', () => {
    const bench = new Bench({}, 1, 3)
    for (const name of ['a', 'b', 'c']) bench.add(name)
    expect(bench.sent).toHaveLength(2)
    expect(bench.outbox.idsLeft).toBe(0)
    bench.outbox.raiseCeiling(10)
    bench.pump()
    expect(bench.sent.at(-1)).toMatchObject({ name: 'c', clientMsgId: 3 })
  })

  it('does not use an id twice in a session it has forgotten meanwhile', () => {
    const bench = new Bench({ total: 2 })
    const used = new Set<string>()
    for (let i = 0; i < 60; i++) {
      bench.add('m', `s${i % 7}`)
      const { session, clientMsgId } = bench.sent.at(-1)!
      expect(used.has(`${session} ${clientMsgId}`)).toBe(false)
      used.add(`${session} ${clientMsgId}`)
      bench.ack(bench.sent.length - 1)
    }
  })

  it('gives everything up when told', () => {
    const bench = new Bench({ total: 1 })
    bench.add('a')
    bench.add('b')
    bench.outbox.cancelAll(new RingsetError('CANCELLED'))
    expect(bench.ends.map(({ code }) => code)).toEqual(['CANCELLED', 'CANCELLED'])
    expect(bench.outbox.queued + bench.outbox.unacked).toBe(0)
  })

  it.each(['KICKED', 'TOKEN_EXPIRED', 'BAD_TOKEN'] as const)(
    'ended by %s, does not deny what may be done',
    code => {
      const bench = new Bench()
      bench.add('sent')
      bench.add('refused')
      bench.refuse(1, 'OVERLOADED', 2_000)
      bench.connected = false
      bench.add('never sent')
      const end = new RingsetError(code)
      bench.outbox.cancelAll(end)
      expect(bench.ends.map(one => [one.name, one.code])).toEqual([
        ['sent', 'CANCELLED'],
        ['refused', code],
        ['never sent', code]
      ])
      expect(bench.errors[0]).toMatchObject({ outcome: 'unknown', facts: { reason: code } })
      expect(bench.errors[0]!.cause).toBe(end)
    }
  )

  it('does not take the refusal of a repetition for that of the first transmission', () => {
    const bench = new Bench()
    bench.add('repeated')
    bench.pass(8_100)
    bench.refuse(1, 'FORBIDDEN')
    bench.add('lost')
    bench.outbox.reconnected()
    bench.pump()
    bench.refuse(3, 'DUPLICATE_EXPIRED')
    bench.add('answered')
    bench.refuse(4, 'OVERLOADED')
    bench.pass(200)
    bench.refuse(5, 'FORBIDDEN')
    bench.add('uncertain')
    bench.refuse(6, 'PROPOSAL_DROPPED')
    bench.pass(200)
    bench.refuse(7, 'FORBIDDEN')
    expect(bench.errors.map(({ code, facts }) => [code, facts.reason])).toEqual([
      ['CANCELLED', 'FORBIDDEN'],
      ['CANCELLED', 'DUPLICATE_EXPIRED'],
      ['FORBIDDEN', undefined],
      ['CANCELLED', 'FORBIDDEN']
    ])
  })

  it('ends every message exactly once under any history', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('add' as const), session: fc.constantFrom('s', 't') }),
      fc.record({ op: fc.constant('ack' as const), at: fc.nat(40) }),
      fc.record({
        op: fc.constant('refuse' as const),
        at: fc.nat(40),
        code: fc.constantFrom<ErrorCode[]>('OVERLOADED', 'TIMEOUT', 'FORBIDDEN', 'INTERNAL')
      }),
      fc.record({ op: fc.constant('link' as const), up: fc.boolean() }),
      fc.record({ op: fc.constant('pass' as const), ms: fc.nat(12_000) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const bench = new Bench({ perSession: 3, total: 4, queued: 10 })
        let added = 0
        for (const one of steps) {
          if (one.op === 'add') bench.add(`${added++}`, one.session, 20_000)
          else if (one.op === 'ack' && bench.sent[one.at]) bench.ack(one.at)
          else if (one.op === 'refuse' && bench.sent[one.at]) bench.refuse(one.at, one.code)
          else if (one.op === 'pass') bench.pass(one.ms)
          else if (one.op === 'link') {
            bench.connected = one.up
            if (one.up) bench.outbox.reconnected()
            bench.pump()
          }
          expect(bench.outbox.unacked).toBeLessThanOrEqual(4)
        }
        bench.pass(20_100)
        expect(bench.ends.map(({ name }) => Number(name)).sort((a, b) => a - b)).toEqual(
          Array.from({ length: added }, (_, i) => i)
        )
        const ids = new Map(bench.sent.map(one => [one.name, `${one.session} ${one.clientMsgId}`]))
        expect(new Set(ids.values()).size).toBe(ids.size)
        for (const one of bench.sent) {
          expect(ids.get(one.name)).toBe(`${one.session} ${one.clientMsgId}`)
        }
      })
    )
  })
})
