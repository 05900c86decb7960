import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { oneSetTable, twoSetTable } from '../../test/support/router-table.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { LeaderHint } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { emptyTableView } from '../table/compile-table.ts'
import type { TableView } from '../table/table-view.ts'
import { RouteClient } from './route-client.ts'
import type { RouteOptions } from './route-types.ts'

/** A client against routers played by the test. */
class Bench {
  readonly env = new FakeRoleEnv('logic/l1', 77)
  view: TableView = oneSetTable(3)
  readonly client: RouteClient
  readonly results: (Packet | RingsetError)[] = []

  constructor(options: Partial<RouteOptions> = {}) {
    this.env.view = () => this.view
    this.client = new RouteClient(this.env, options)
  }

  append(deadlineMs = 5_000, slot = 5): void {
    const body = Buffer.from('hi')
    const message = { session: 's', uid: 'u', deviceId: 'd', clientMsgId: 1, type: 0, body }
    this.client.request({ slot }, 'APPEND', message, {
      deadlineMs,
      onDone: result => this.results.push(result)
    })
  }

  /** What was sent since the last look: where to, and the packets. */
  take(): { to: string; packet: Packet }[] {
    return this.env.take()
  }

  /** The one packet sent since the last look. */
  one(): { to: string; packet: Packet } {
    const sent = this.take()
    expect(sent.map(({ to }) => to)).toHaveLength(1)
    return sent[0]!
  }

  pass(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.client.tick()
    }
  }

  ok(sent: { to: string; packet: Packet }, term = 4): void {
    const payload = { msgid: 9, duplicate: false, atMs: 1 }
    this.client.onPacket(sent.to, answer(sent.packet, 'APPEND_OK', payload, term))
  }

  error(
    sent: { to: string; packet: Packet },
    code: ErrorCode,
    extra: { retryAfterMs?: number; hint?: LeaderHint } = {}
  ): void {
    const { retryAfterMs = 0, hint } = extra
    const payload = { code: errorCodes[code].number, text: code, retryAfterMs, hint }
    this.client.onPacket(sent.to, answer(sent.packet, 'ERROR', payload))
  }

  get code(): string | undefined {
    const [result] = this.results
    return result instanceof RingsetError ? result.code : undefined
  }
}

const hint = (replicaId: number, term: number): LeaderHint => ({ setId: 's1', replicaId, term })

describe('a request that meets no trouble', () => {
  it('goes to the owner of the slot, stamped, in one hop', () => {
    const bench = new Bench()
    bench.client.learn(hint(2, 4))
    bench.append()
    const sent = bench.one()
    expect(sent.to).toBe('router/s1/2')
    expect(sent.packet).toMatchObject({
      kind: 'APPEND',
      slot: 5,
      slotEpoch: 1,
      term: 4,
      bootId: 77,
      deadlineMs: 5_000
    })
    expect(sent.packet.sequence).toBeGreaterThan(0)
    bench.ok(sent)
    bench.pass(10_000)
    expect(bench.results).toHaveLength(1)
    expect(bench.results[0]).toMatchObject({ kind: 'APPEND_OK' })
    expect(bench.client.counters).toEqual({ requests: 1, sends: 1, extraHops: 0, pending: 0 })
  })

  it('remembers who answered it', () => {
    const bench = new Bench()
    bench.append()
    const first = bench.one()
    bench.ok(first)
    for (let i = 0; i < 5; i++) {
      bench.append()
      const next = bench.one()
      expect(next.to).toBe(first.to)
      bench.ok(next)
    }
  })

  it('probes the replicas in turn while no leader is known', () => {
    const bench = new Bench()
    for (let i = 0; i < 3; i++) bench.append()
    expect(new Set(bench.take().map(({ to }) => to)).size).toBe(3)
  })

  it('can be for a set instead of a slot', () => {
    const bench = new Bench()
    const lease = { transferId: 't1', transferBootId: 1, connections: 0 }
    const results: unknown[] = []
    bench.client.request({ setId: 's1' }, 'RENEW', lease, {
      deadlineMs: 1_000,
      onDone: result => results.push(result)
    })
    const sent = bench.one()
    expect(sent.packet).toMatchObject({ slot: 0xffff, slotEpoch: 0 })
    bench.client.onPacket(sent.to, answer(sent.packet, 'RENEW_OK', { leaseMs: 5 }, 1))
    expect(results).toHaveLength(1)
  })
})

describe('leader hints', () => {
  it('lead on at once, outside the budget, and the newest term wins', () => {
    const bench = new Bench({ retryBurst: 0, retryFloorPerSecond: 0.001 })
    bench.client.learn(hint(1, 7))
    bench.append()
    bench.error(bench.one(), 'NOT_LEADER', { hint: hint(3, 8) })
    const second = bench.one()
    expect(second.to).toBe('router/s1/3')
    expect(second.packet.term).toBe(8)
    bench.ok(second, 8)
    bench.client.learn(hint(1, 7))
    expect(bench.client.leaderOf('s1')).toBe(3)
    bench.client.learn(hint(2, 9))
    expect(bench.client.leaderOf('s1')).toBe(2)
  })

  it('of an older term do not bring a deposed leader back', () => {
    const bench = new Bench()
    bench.client.learn(hint(1, 7))
    bench.append()
    bench.error(bench.one(), 'NOT_LEADER', { hint: hint(2, 6) })
    expect(bench.client.leaderOf('s1')).toBe(0)
    expect(bench.one().to).not.toBe('router/s1/1')
  })

  it('in a WELCOME count too', () => {
    const bench = new Bench()
    const nothing = Buffer.alloc(0)
    const welcome = { nodeId: 'n', bootId: 1, endpoints: [], mac: nothing, hints: [hint(2, 3)] }
    expect(bench.client.onPacket('router/s1/2', packet('WELCOME', welcome))).toBe(true)
    expect(bench.client.leaderOf('s1')).toBe(2)
  })

  it('wake everybody who waits for a leader, and who hangs at an older one', () => {
    const bench = new Bench()
    bench.client.learn(hint(1, 2))
    bench.append()
    bench.append()
    const [first] = bench.take()
    bench.error(first!, 'NO_LEADER', { retryAfterMs: 1_000 })
    expect(bench.take()).toEqual([])
    bench.client.learn(hint(2, 3))
    expect(bench.take().map(({ to }) => to)).toEqual(['router/s1/2', 'router/s1/2'])
  })

  it('asks each other replica once before it waits, when nobody knows', () => {
    const bench = new Bench()
    bench.append()
    const asked = [bench.one()]
    for (let i = 0; i < 2; i++) {
      bench.error(asked.at(-1)!, 'NOT_LEADER')
      asked.push(bench.one())
      expect(asked.at(-1)!.to).not.toBe(asked.at(-2)!.to)
    }
    bench.error(asked.at(-1)!, 'NOT_LEADER')
    bench.error(bench.one(), 'NOT_LEADER')
    expect(bench.take()).toEqual([])
  })
})

describe('the status matrix', () => {
  it.each(['STALE_SLOT', 'MOVED'] as const)(
    '%s with a newer table is routed again at once',
    code => {
      const bench = new Bench()
      bench.append(5_000, 40)
      const first = bench.one()
      bench.view = twoSetTable(4)
      bench.error(first, code)
      const second = bench.one()
      expect(second.to).toMatch(/^router\/s2\//)
      expect(second.packet.sequence).toBe(first.packet.sequence)
      bench.ok(second)
      expect(bench.results).toHaveLength(1)
    }
  )

  it.each(['STALE_SLOT', 'MOVED'] as const)('%s with the same table backs off', code => {
    const bench = new Bench()
    bench.append()
    bench.error(bench.one(), code)
    expect(bench.take()).toEqual([])
    bench.pass(100)
    expect(bench.one().to).toMatch(/^router\/s1\//)
  })

  it('a table that comes while it waits sends it on', () => {
    const bench = new Bench()
    bench.append(5_000, 40)
    bench.error(bench.one(), 'SLOT_SEALED', { retryAfterMs: 1_000 })
    bench.view = oneSetTable(4)
    bench.client.onTable()
    expect(bench.take()).toEqual([])
    bench.view = twoSetTable(5)
    bench.client.onTable()
    expect(bench.one().to).toMatch(/^router\/s2\//)
  })

  it.each(['SLOT_SEALED', 'ROUTER_BEHIND', 'NO_LEADER', 'OVERLOADED'] as const)(
    '%s waits at least for retryAfter',
    code => {
      const bench = new Bench()
      bench.append()
      bench.error(bench.one(), code, { retryAfterMs: 200 })
      bench.pass(190)
      expect(bench.take()).toEqual([])
      bench.pass(220)
      const again = bench.one()
      bench.ok(again)
      expect(bench.results).toHaveLength(1)
    }
  )

  it.each(['FORBIDDEN', 'BAD_SESSION', 'DUPLICATE_EXPIRED', 'TRANSFER_EXPIRED'] as const)(
    '%s is final',
    code => {
      const bench = new Bench()
      bench.append()
      bench.error(bench.one(), code)
      bench.pass(10_000)
      expect(bench.take()).toEqual([])
      expect(bench.results).toHaveLength(1)
      expect(bench.code).toBe(code)
    }
  )

  it('a code of a newer peer reads as INTERNAL and is final', () => {
    const bench = new Bench()
    bench.append()
    const sent = bench.one()
    const payload = { code: 9_999, text: '', retryAfterMs: 0, hint: undefined }
    bench.client.onPacket(sent.to, answer(sent.packet, 'ERROR', payload))
    expect(bench.code).toBe('INTERNAL')
  })
})

describe('unknown outcomes', () => {
  it('PROPOSAL_DROPPED is repeated with the same id', () => {
    const bench = new Bench()
    bench.append()
    const first = bench.one()
    bench.error(first, 'PROPOSAL_DROPPED', { retryAfterMs: 10 })
    bench.pass(50)
    const second = bench.one()
    expect(second.packet.sequence).toBe(first.packet.sequence)
    expect(second.packet.payload).toEqual(first.packet.payload)
  })

  it('a silent replica is left for another, and a late answer still counts, once', () => {
    const bench = new Bench()
    bench.client.learn(hint(1, 2))
    bench.append()
    const first = bench.one()
    bench.pass(310)
    const second = bench.one()
    expect(second.to).not.toBe(first.to)
    bench.ok(first)
    bench.ok(first)
    expect(bench.results).toHaveLength(1)
  })

  it('the loss of the link sends it elsewhere at once', () => {
    const bench = new Bench()
    bench.client.learn(hint(1, 2))
    bench.append()
    expect(bench.one().to).toBe('router/s1/1')
    bench.client.onPeer('router/s1/1', false)
    const second = bench.one()
    expect(second.to).not.toBe('router/s1/1')
    // A follower that has not noticed yet still names the dead one.
    bench.error(second, 'NOT_LEADER', { hint: hint(1, 2) })
    expect(bench.take().map(({ to }) => to)).not.toContain('router/s1/1')
  })

  it('makes the deadline TIMEOUT, else it is the last certain refusal', () => {
    const silent = new Bench()
    silent.append(1_000)
    silent.pass(1_100)
    expect(silent.code).toBe('TIMEOUT')

    const refused = new Bench()
    refused.append(1_000)
    for (let i = 0; i < 200 && refused.results.length === 0; i++) {
      for (const sent of refused.take()) refused.error(sent, 'SLOT_SEALED', { retryAfterMs: 50 })
      refused.pass(10)
    }
    expect(refused.code).toBe('SLOT_SEALED')
  })
})

describe('bounds', () => {
  it('a request without a table waits for one', () => {
    const bench = new Bench()
    bench.view = emptyTableView
    bench.append()
    expect(bench.take()).toEqual([])
    bench.view = oneSetTable(1)
    bench.client.onTable()
    bench.ok(bench.one())
    expect(bench.results).toHaveLength(1)
  })

  it('ends with NO_TABLE or UNREACHABLE when nothing was ever sent', () => {
    const bench = new Bench()
    bench.view = emptyTableView
    bench.append(500)
    bench.pass(600)
    expect(bench.code).toBe('NO_TABLE')

    const cut = new Bench()
    for (const id of [1, 2, 3]) cut.env.unreachable.add(`router/s1/${id}`)
    cut.append(500)
    cut.pass(600)
    expect(cut.code).toBe('UNREACHABLE')
  })

  it('refuses what does not fit, and finishes everything exactly once', () => {
    const bench = new Bench({ maxPending: 2 })
    for (let i = 0; i < 3; i++) bench.append(400)
    expect(bench.results).toHaveLength(1)
    expect(bench.code).toBe('OVERLOADED')
    bench.pass(1_000)
    expect(bench.results).toHaveLength(3)
    expect(bench.client.counters.pending).toBe(0)
    bench.client.cancelAll()
    expect(bench.results).toHaveLength(3)
  })

  it('lets a set that does not answer fill its own share only', () => {
    const bench = new Bench({ maxPending: 10, maxPendingPerSet: 2 })
    bench.view = twoSetTable()
    const slotOf = (setId: string): number => {
      const { slotCount } = bench.view.table!
      for (let slot = 0; slot < slotCount; slot++) {
        if (bench.view.owner(slot)?.setId === setId) return slot
      }
      throw new Error(`no slot of ${setId}`)
    }
    for (let i = 0; i < 3; i++) bench.append(400, slotOf('s1'))
    expect(bench.code).toBe('OVERLOADED')
    bench.append(400, slotOf('s2'))
    expect(bench.results).toHaveLength(1)
    bench.pass(1_000)
    expect(bench.results).toHaveLength(4)
    bench.append(400, slotOf('s1'))
    expect(bench.results).toHaveLength(4)
  })

  it('keeps blind retries to a tenth of the sends, beside a small floor', () => {
    const bench = new Bench({ retryBurst: 10, retryFloorPerSecond: 20 })
    const requests = 200
    for (let i = 0; i < requests; i++) bench.append(4_000)
    bench.pass(3_900)
    const retries = bench.take().length - requests
    expect(retries).toBeGreaterThan(20)
    expect(retries).toBeLessThanOrEqual(10 + requests / 10 + 4 * 20)
    bench.pass(200)
    expect(bench.results).toHaveLength(requests)
  })

  it('lets a lone client retry', () => {
    const bench = new Bench()
    bench.append(3_000)
    bench.pass(2_000)
    expect(bench.take().length).toBeGreaterThan(2)
  })

  it('never exceeds its deadline by more than a tick', () => {
    const bench = new Bench()
    bench.append(1_234)
    bench.pass(1_250)
    expect(bench.results).toHaveLength(1)
  })

  it('survives a table whose set has vanished', () => {
    const bench = new Bench()
    const view = oneSetTable(9)
    bench.view = Object.assign(Object.create(view), {
      table: view.table,
      epoch: 9,
      owner: () => ({ setId: 'gone', slotEpoch: 9 }),
      set: () => undefined
    })
    bench.append(300)
    bench.pass(400)
    expect(bench.code).toBe('SET_UNAVAILABLE')
  })

  it('ignores answers of an earlier life and to nobody', () => {
    const bench = new Bench()
    bench.append()
    const sent = bench.one()
    const alien = { ...sent.packet, bootId: 5 }
    const payload = { msgid: 1, duplicate: false, atMs: 1 }
    expect(bench.client.onPacket(sent.to, answer(alien, 'APPEND_OK', payload))).toBe(false)
    const other = { ...sent.packet, sequence: 99 }
    expect(bench.client.onPacket(sent.to, answer(other, 'APPEND_OK', payload))).toBe(false)
    expect(bench.client.onPacket(sent.to, answer(sent.packet, 'RENEW_OK', { leaseMs: 1 }))).toBe(
      false
    )
    expect(bench.results).toHaveLength(0)
  })
})

describe('whatever happens', () => {
  const event = fc.oneof(
    fc.record({ op: fc.constant('request' as const), ms: fc.integer({ min: 1, max: 3_000 }) }),
    fc.record({ op: fc.constant('ok' as const), at: fc.nat(30) }),
    fc.record({
      op: fc.constant('error' as const),
      at: fc.nat(30),
      code: fc.constantFrom(...(Object.keys(errorCodes) as ErrorCode[])),
      retryAfterMs: fc.nat(500),
      replicaId: fc.nat(4),
      term: fc.nat(9)
    }),
    fc.record({ op: fc.constant('peer' as const), replicaId: fc.nat(4), up: fc.boolean() }),
    fc.record({ op: fc.constant('table' as const), both: fc.boolean() }),
    fc.record({ op: fc.constant('pass' as const), ms: fc.nat(800) })
  )

  it('every request ends exactly once, by its deadline, under one id', () => {
    fc.assert(
      fc.property(fc.array(event, { maxLength: 80 }), events => {
        const bench = new Bench()
        const sent: { to: string; packet: Packet }[] = []
        const ends: number[] = []
        let epoch = 3
        for (const step of events) {
          sent.push(...bench.take())
          const target = 'at' in step ? sent[step.at % Math.max(sent.length, 1)] : undefined
          if (step.op === 'request') {
            const number = ends.push(0) - 1
            const message = { session: 's', uid: 'u', deviceId: 'd', clientMsgId: number, type: 0 }
            bench.client.request(
              { slot: 40 },
              'APPEND',
              { ...message, body: Buffer.alloc(0) },
              {
                deadlineMs: step.ms,
                onDone: () => ends[number]!++
              }
            )
          } else if (step.op === 'ok' && target) bench.ok(target)
          else if (step.op === 'error' && target) {
            const { code, retryAfterMs } = step
            bench.error(target, code, { retryAfterMs, hint: hint(step.replicaId, step.term) })
          } else if (step.op === 'peer') {
            bench.client.onPeer(`router/s1/${step.replicaId}`, step.up)
          } else if (step.op === 'table') {
            bench.view = step.both ? twoSetTable(++epoch) : oneSetTable(++epoch)
            bench.client.onTable()
          } else if (step.op === 'pass') bench.pass(step.ms)
          for (const count of ends) expect(count).toBeLessThanOrEqual(1)
        }
        bench.pass(3_100)
        expect(ends.every(count => count === 1)).toBe(true)
        expect(bench.client.counters.pending).toBe(0)
        const ids = new Map<number, number>()
        for (const { packet: one } of [...sent, ...bench.take()] as {
          packet: Packet<'APPEND'>
        }[]) {
          const { clientMsgId } = one.payload
          expect(ids.get(clientMsgId) ?? one.sequence).toBe(one.sequence)
          ids.set(clientMsgId, one.sequence)
        }
      })
    )
  })
})
