import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { route } from '../../test/support/router-entries.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import { RouterWorld } from '../../test/support/router-world.ts'
import type { Packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'

const leader = 'router/s1/1'
const follower = 'router/s1/2'

describe('reads', () => {
  const world = new RouterWorld(oneSetTable(), ['s1'], { limits: { pageBytes: 2_000 } })
  for (let i = 1; i <= 30; i++) world.append(leader, 'ann', 'bob', i, `text ${i}`)
  for (let i = 1; i <= 3; i++) world.append(leader, 'cid', 'ann', i)
  const session = p2pSession('ann', 'bob')
  const bob = route({ deviceId: 'tablet' })
  world.register(leader, 'bob', bob)

  it('LOOKUP tells the routes of each user', () => {
    const answer = world.ask(leader, 'LOOKUP', { uids: ['bob', 'ann'] }, world.routedBy('bob'))
    expect(answer.payload).toEqual({
      users: [
        { uid: 'bob', routes: [bob] },
        { uid: 'ann', routes: [] }
      ]
    })
    expect(codeOf(world.ask(leader, 'LOOKUP', { uids: [] }, world.routedBy('bob')))).toBe(
      'BAD_PACKET'
    )
    expect(codeOf(world.ask(follower, 'LOOKUP', { uids: ['bob'] }, world.routedBy('bob')))).toBe(
      'NOT_LEADER'
    )
  })

  it('LATEST tells the newest msgid, 0 for an unknown session', () => {
    const unknown = p2pSession('ann', 'nobody')
    const answer = world.ask(
      leader,
      'LATEST',
      { sessions: [session, unknown] },
      world.sessionHeader('ann', 'bob')
    )
    expect(answer.payload).toEqual({
      cursors: [
        { session, msgid: 30 },
        { session: unknown, msgid: 0 }
      ]
    })
  })

  const history = (uid: string, from: number, limit: number) =>
    world.ask(leader, 'HISTORY_READ', { uid, session, from, limit }, world.routedBy(uid))

  it('HISTORY_READ gives a bounded run of messages to members only', () => {
    const page = history('bob', 3, 2)
    expect(page.payload).toMatchObject({
      session,
      first: 1,
      latest: 30,
      messages: [{ msgid: 3 }, { msgid: 4 }]
    })
    const bounded = history('ann', 1, 1_000) as Packet<'HISTORY_READ_OK'>
    expect(bounded.payload.messages.length).toBeGreaterThan(5)
    expect(bounded.payload.messages.length).toBeLessThan(12)
    expect(codeOf(history('eve', 1, 10))).toBe('FORBIDDEN')
    expect(codeOf(history('e\nve', 1, 10))).toBe('BAD_UID')
    expect((history('ann', 31, 10) as Packet<'HISTORY_READ_OK'>).payload.messages).toEqual([])
  })

  const sync = (full: boolean, cursors: { session: string; msgid: number }[]) =>
    world.ask(leader, 'SYNC', { uid: 'ann', deviceId: 'd', full, cursors }, world.routedBy('ann'))
      .payload as Packet<'SYNC_OK'>['payload']

  it('SYNC sends what is missing, page by page, until nothing is', () => {
    const held = new Map<string, number>()
    let rounds = 0
    for (let more = true; more; rounds++) {
      const cursors = [...held].map(([one, msgid]) => ({ session: one, msgid }))
      const answer = sync(true, cursors)
      more = answer.more
      for (const { session: one, messages } of answer.pages) {
        for (const { msgid } of messages) {
          expect(msgid).toBe((held.get(one) ?? 0) + 1)
          held.set(one, msgid)
        }
      }
    }
    expect(held).toEqual(
      new Map([
        [session, 30],
        [p2pSession('ann', 'cid'), 3]
      ])
    )
    expect(rounds).toBeGreaterThan(2)
  })

  it('SYNC compares only what is reported unless it is full, and never rolls back', () => {
    expect(sync(false, [{ session, msgid: 29 }])).toMatchObject({
      pages: [{ session, messages: [{ msgid: 30 }] }],
      more: false
    })
    expect(sync(false, [{ session, msgid: 31 }])).toEqual({ pages: [], more: false })
    const foreign = [
      { session: p2pSession('bob', 'cid'), msgid: 0 },
      { session: 'nonsense', msgid: 0 }
    ]
    expect(sync(false, foreign)).toEqual({ pages: [], more: false })
    const eve = { uid: 'eve', deviceId: 'd', full: true, cursors: [{ session, msgid: 0 }] }
    const answer = world.ask(leader, 'SYNC', eve, world.routedBy('eve'))
    expect(answer.payload).toEqual({ pages: [], more: false })
  })

  it('reads of a turn share one confirmation, and are refused when it never comes', () => {
    const { replica } = world.leader('s1')
    const confirms: ((confirmed: boolean) => void)[] = []
    const read = replica.read.bind(replica)
    replica.read = done => {
      confirms.push(done)
      return undefined
    }
    const asked = [1, 2, 3].map(() =>
      world.post(leader, 'LOOKUP', { uids: ['bob'] }, world.routedBy('bob'))
    )
    world.settle()
    expect(confirms).toHaveLength(1)
    expect(() => world.answer(asked[0]!)).toThrow('no answer')
    confirms[0]!(false)
    world.settle()
    expect(asked.map(one => codeOf(world.answer(one)))).toEqual(Array(3).fill('NO_LEADER'))
    replica.read = read
  })
})
