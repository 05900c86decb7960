import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hint, RouteBench } from '../../test/support/route-bench.ts'
import { oneSetTable, twoSetTable } from '../../test/support/router-table.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import { emptyTableView } from '../table/compile-table.ts'

describe('bounds', () => {
  it('a request without a table waits for one', () => {
    const bench = new RouteBench()
    bench.view = emptyTableView
    bench.append()
    expect(bench.take()).toEqual([])
    bench.view = oneSetTable(1)
    bench.client.onTable()
    bench.ok(bench.one())
    expect(bench.results).toHaveLength(1)
  })

  it('ends with NO_TABLE or UNREACHABLE when nothing was ever sent', () => {
    const bench = new RouteBench()
    bench.view = emptyTableView
    bench.append(500)
    bench.pass(600)
    expect(bench.code).toBe('NO_TABLE')

    const cut = new RouteBench()
    for (const id of [1, 2, 3]) cut.env.unreachable.add(`router/s1/${id}`)
    cut.append(500)
    cut.pass(600)
    expect(cut.code).toBe('UNREACHABLE')
  })

  it('refuses what does not fit, and finishes everything exactly once', () => {
    const bench = new RouteBench({ maxPending: 2 })
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
    const bench = new RouteBench({ maxPending: 10, maxPendingPerSet: 2 })
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
    const bench = new RouteBench({ retryBurst: 10, retryFloorPerSecond: 20 })
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
    const bench = new RouteBench()
    bench.append(3_000)
    bench.pass(2_000)
    expect(bench.take().length).toBeGreaterThan(2)
  })

  it('never exceeds its deadline by more than a tick', () => {
    const bench = new RouteBench()
    bench.append(1_234)
    bench.pass(1_250)
    expect(bench.results).toHaveLength(1)
  })

  it('survives a table whose set has vanished', () => {
    const bench = new RouteBench()
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
    const bench = new RouteBench()
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
        const bench = new RouteBench()
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
