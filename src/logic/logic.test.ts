import { describe, expect, it } from 'vitest'
import { imTable, uidIn } from '../../test/support/fake-im-table.ts'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import type { KindName, PayloadOf } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { p2pSession, parseSession, routingKey } from '../protocol/session.ts'
import { emptyTableView } from '../table/compile-table.ts'
import { Logic } from './logic.ts'
import { type BeforeSendHook, defaultLogicLimits } from './logic-options.ts'

const asker = 'transfer/t1'

/** A logic `l1` of set `s1`; the test plays transfer and routers. */
class Bench {
  readonly env = new FakeRoleEnv('logic/l1', 66)
  view = imTable(2)
  readonly ann = uidIn(this.view, 's1', 'ann')
  readonly bob = uidIn(this.view, 's2', 'bob')
  readonly logic: Logic
  #sequence = 0

  constructor(beforeSend: readonly BeforeSendHook[] = []) {
    this.env.view = () => this.view
    this.logic = new Logic(this.env, {
      ...defaultLogicLimits,
      id: 'l1',
      setId: 's1',
      nodeId: 'n1',
      address: '127.0.0.1:7001',
      version: '1',
      arbiters: [],
      bodyLimitBytes: 100,
      beforeSend
    })
  }

  ask<K extends KindName>(kind: K, payload: PayloadOf<K>, deadlineMs = 1_000): number {
    const header = { bootId: 55, sequence: ++this.#sequence, deadlineMs }
    this.logic.onPacket(asker, packet(kind, payload, header) as Packet)
    return this.#sequence
  }

  submit(session: string, uid: string, body = Buffer.from('hi'), type = 0): number {
    return this.ask('SUBMIT', { session, uid, deviceId: 'd', clientMsgId: 1, type, body })
  }

  take<K extends KindName>(kind: K): { to: string; packet: Packet<K> }[] {
    const taken = this.env.sent.filter(({ packet: one }) => one.kind === kind)
    for (const one of taken) this.env.sent.splice(this.env.sent.indexOf(one), 1)
    return taken as unknown as { to: string; packet: Packet<K> }[]
  }

  /** The code of the one ERROR the asker got. */
  refusal(sequence: number): ErrorCode | undefined {
    const [error] = this.take('ERROR')
    if (!error) return undefined
    expect(error).toMatchObject({ to: asker, packet: { bootId: 55, sequence } })
    const codes = Object.keys(errorCodes) as ErrorCode[]
    return codes.find(code => errorCodes[code].number === error.packet.payload.code)
  }

  pass(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.logic.tick()
    }
  }
}

describe('SUBMIT', () => {
  it('goes to the home of the session, and its outcome back', () => {
    const bench = new Bench()
    const session = p2pSession(bench.ann, bench.bob)
    const sequence = bench.submit(session, bench.ann)
    const [append] = bench.take('APPEND')
    const slot = bench.view.slotOf(routingKey(session, parseSession(session)))
    expect(append!.to.startsWith(`router/${bench.view.owner(slot)!.setId}/`)).toBe(true)
    expect(append!.packet.slot).toBe(slot)
    const payload = { msgid: 4, duplicate: false, atMs: 8 }
    bench.logic.onPacket(append!.to, answer(append!.packet, 'APPEND_OK', payload))
    const [ok] = bench.take('SUBMIT_OK')
    expect(ok).toMatchObject({ to: asker, packet: { bootId: 55, sequence, payload } })
  })

  it('is for members only, within the limits, to well-formed sessions', () => {
    const bench = new Bench()
    const session = p2pSession(bench.ann, bench.bob)
    expect(bench.refusal(bench.submit(session, 'eve'))).toBe('FORBIDDEN')
    expect(bench.refusal(bench.submit('p2p/b/a', 'a'))).toBe('BAD_SESSION')
    expect(bench.refusal(bench.submit('p2p//a', 'a'))).toBe('BAD_UID')
    expect(bench.refusal(bench.submit('room/x', 'a'))).toBe('BAD_SESSION')
    const large = Buffer.alloc(101)
    expect(bench.refusal(bench.submit(session, bench.ann, large))).toBe('BODY_TOO_LARGE')
    expect(bench.refusal(bench.submit(session, bench.ann, Buffer.alloc(1), 3))).toBe('BAD_PACKET')
    expect(bench.take('APPEND')).toEqual([])
  })

  it('runs the hooks in order until one rejects', () => {
    const seen: string[] = []
    const bench = new Bench([
      ({ body }) => {
        seen.push(`1 ${body}`)
        return undefined
      },
      ({ body }) => (body.includes('spam') ? 'FORBIDDEN' : undefined),
      () => {
        seen.push('3')
        return undefined
      }
    ])
    const session = p2pSession(bench.ann, bench.bob)
    const sequence = bench.submit(session, bench.ann, Buffer.from('spam'))
    expect(bench.refusal(sequence)).toBe('FORBIDDEN')
    expect(seen).toEqual(['1 spam'])
    bench.submit(session, bench.ann, Buffer.from('ham'))
    expect(seen).toEqual(['1 spam', '1 ham', '3'])
    expect(bench.take('APPEND')).toHaveLength(1)
  })

  it('answers before the asker loses patience', () => {
    const bench = new Bench()
    const sequence = bench.submit(p2pSession(bench.ann, bench.bob), bench.ann)
    bench.pass(890)
    expect(bench.refusal(sequence)).toBeUndefined()
    bench.pass(60)
    expect(bench.refusal(sequence)).toBe('TIMEOUT')
  })
})

describe('presence', () => {
  const route = {
    deviceId: 'd',
    class: 'web' as const,
    transferId: 't1',
    transferBootId: 5,
    connId: 6,
    connSeq: 7,
    sinceMs: 8
  }

  it('is registered and taken back where the user lives', () => {
    const bench = new Bench()
    bench.ask('OPEN', { uid: bench.ann, route })
    const [register] = bench.take('REGISTER')
    expect(register!.packet).toMatchObject({
      slot: bench.view.slotOf(bench.ann),
      payload: { uid: bench.ann, route }
    })
    bench.logic.onPacket(register!.to, answer(register!.packet, 'REGISTER_OK', {}))
    expect(bench.take('OPEN_OK')).toHaveLength(1)
    bench.ask('CLOSE', { uid: bench.ann, route })
    const [unregister] = bench.take('UNREGISTER')
    const removed = answer(unregister!.packet, 'UNREGISTER_OK', { removed: false })
    bench.logic.onPacket(unregister!.to, removed)
    expect(bench.take('CLOSE_OK')).toHaveLength(1)
  })

  it('of a user of another set is refused', () => {
    const bench = new Bench()
    expect(bench.refusal(bench.ask('OPEN', { uid: bench.bob, route }))).toBe('MOVED')
  })
})

describe('reading', () => {
  it('stays in the set of the user, and in the sessions of the user', () => {
    const bench = new Bench()
    const session = p2pSession(bench.ann, bench.bob)
    const range = { session, from: 1, limit: 5_000 }
    bench.ask('READ_PAGE', { ...range, uid: bench.ann })
    const [read] = bench.take('HISTORY_READ')
    expect(read!.to).toMatch(/^router\/s1\//)
    expect(read!.packet.payload.limit).toBe(1_000)
    const page = { session, first: 1, latest: 0, messages: [] }
    bench.logic.onPacket(read!.to, answer(read!.packet, 'HISTORY_READ_OK', page))
    expect(bench.take('READ_PAGE_OK')[0]!.packet.payload).toEqual(page)
    expect(bench.refusal(bench.ask('READ_PAGE', { ...range, uid: 'eve' }))).toBe('FORBIDDEN')
  })
})

describe('a logic', () => {
  it('without a table asks for patience', () => {
    const bench = new Bench()
    bench.view = emptyTableView
    expect(bench.refusal(bench.submit('p2p/a/b', 'a'))).toBe('NO_TABLE')
  })

  it('that stops sends new requests elsewhere and finishes the old ones', () => {
    const bench = new Bench()
    bench.submit(p2pSession(bench.ann, bench.bob), bench.ann)
    expect(bench.logic.stopping()).toBe(false)
    const late = bench.submit(p2pSession(bench.ann, bench.bob), bench.ann)
    expect(bench.refusal(late)).toBe('UNREACHABLE')
    const [append] = bench.take('APPEND')
    const payload = { msgid: 1, duplicate: false, atMs: 1 }
    bench.logic.onPacket(append!.to, answer(append!.packet, 'APPEND_OK', payload))
    expect(bench.logic.stopping()).toBe(true)
    expect(bench.take('SUBMIT_OK')).toHaveLength(1)
  })

  it('survives packets that are not for it', () => {
    const bench = new Bench()
    bench.logic.onPacket('router/s1/1', packet('DELIVER', { transferBootId: 1, items: [] }))
    bench.logic.onPacket(
      'router/s1/1',
      packet('APPEND_OK', { msgid: 1, duplicate: false, atMs: 1 })
    )
    expect(bench.take('ERROR')).toEqual([])
    expect(bench.env.counts.get('logic_stray_packets_total')).toBe(2)
  })

  it('hands the cursors of a device to the set that has its user, and the pages back', () => {
    const bench = new Bench()
    const cursors = [{ session: p2pSession(bench.ann, bench.bob), msgid: 3 }]
    bench.ask('CATCH_UP', { uid: bench.ann, deviceId: 'd', full: true, cursors })
    const [sync] = bench.take('SYNC')
    expect(sync!.to).toMatch(/^router\/s1\//)
    expect(sync!.packet.payload).toMatchObject({ full: true, cursors })
    const pages = { pages: [], more: false }
    bench.logic.onPacket(sync!.to, answer(sync!.packet, 'SYNC_OK', pages))
    expect(bench.take('CATCH_UP_OK')).toHaveLength(1)
  })
})
