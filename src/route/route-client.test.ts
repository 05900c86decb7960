import { describe, expect, it } from 'vitest'
import { hint, RouteBench } from '../../test/support/route-bench.ts'
import { oneSetTable, twoSetTable } from '../../test/support/router-table.ts'
import { answer, packet } from '../protocol/packet.ts'

describe('a request that meets no trouble', () => {
  it('goes to the owner of the slot, stamped, in one hop', () => {
    const bench = new RouteBench()
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
    const bench = new RouteBench()
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
    const bench = new RouteBench()
    for (let i = 0; i < 3; i++) bench.append()
    expect(new Set(bench.take().map(({ to }) => to)).size).toBe(3)
  })

  it('can be for a set instead of a slot', () => {
    const bench = new RouteBench()
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
    const bench = new RouteBench({ retryBurst: 0, retryFloorPerSecond: 0.001 })
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
    const bench = new RouteBench()
    bench.client.learn(hint(1, 7))
    bench.append()
    bench.error(bench.one(), 'NOT_LEADER', { hint: hint(2, 6) })
    expect(bench.client.leaderOf('s1')).toBe(0)
    expect(bench.one().to).not.toBe('router/s1/1')
  })

  it('in a WELCOME count too', () => {
    const bench = new RouteBench()
    const nothing = Buffer.alloc(0)
    const welcome = { nodeId: 'n', bootId: 1, endpoints: [], mac: nothing, hints: [hint(2, 3)] }
    expect(bench.client.onPacket('router/s1/2', packet('WELCOME', welcome))).toBe(true)
    expect(bench.client.leaderOf('s1')).toBe(2)
  })

  it('wake everybody who waits for a leader, and who hangs at an older one', () => {
    const bench = new RouteBench()
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
    const bench = new RouteBench()
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
      const bench = new RouteBench()
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
    const bench = new RouteBench()
    bench.append()
    bench.error(bench.one(), code)
    expect(bench.take()).toEqual([])
    bench.pass(100)
    expect(bench.one().to).toMatch(/^router\/s1\//)
  })

  it('a table that comes while it waits sends it on', () => {
    const bench = new RouteBench()
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
      const bench = new RouteBench()
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
      const bench = new RouteBench()
      bench.append()
      bench.error(bench.one(), code)
      bench.pass(10_000)
      expect(bench.take()).toEqual([])
      expect(bench.results).toHaveLength(1)
      expect(bench.code).toBe(code)
    }
  )

  it('a code of a newer peer reads as INTERNAL and is final', () => {
    const bench = new RouteBench()
    bench.append()
    const sent = bench.one()
    const payload = { code: 9_999, text: '', retryAfterMs: 0, hint: undefined }
    bench.client.onPacket(sent.to, answer(sent.packet, 'ERROR', payload))
    expect(bench.code).toBe('INTERNAL')
  })
})

describe('unknown outcomes', () => {
  it('PROPOSAL_DROPPED is repeated with the same id', () => {
    const bench = new RouteBench()
    bench.append()
    const first = bench.one()
    bench.error(first, 'PROPOSAL_DROPPED', { retryAfterMs: 10 })
    bench.pass(50)
    const second = bench.one()
    expect(second.packet.sequence).toBe(first.packet.sequence)
    expect(second.packet.payload).toEqual(first.packet.payload)
  })

  it('a silent replica is left for another, and a late answer still counts, once', () => {
    const bench = new RouteBench()
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
    const bench = new RouteBench()
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
    const silent = new RouteBench()
    silent.append(1_000)
    silent.pass(1_100)
    expect(silent.code).toBe('TIMEOUT')

    const refused = new RouteBench()
    refused.append(1_000)
    for (let i = 0; i < 200 && refused.results.length === 0; i++) {
      for (const sent of refused.take()) refused.error(sent, 'SLOT_SEALED', { retryAfterMs: 50 })
      refused.pass(10)
    }
    expect(refused.code).toBe('SLOT_SEALED')
  })
})
