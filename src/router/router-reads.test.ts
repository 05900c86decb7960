import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { entryOf, route } from '../../test/support/router-entries.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import { RouterWorld } from '../../test/support/router-world.ts'
import type { Packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'
import { writeSlotStep } from './move-commands.ts'

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

/** A leader whose clock goes on by 1 ms whenever it is looked at: a slice of work is over after a few looks. */
function busy() {
  const world = new RouterWorld(oneSetTable(), ['s1'])
  for (let i = 1; i <= 3; i++) world.append(leader, 'ann', 'bob', i)
  const { env, router } = world.leader('s1')
  env.take()
  env.nowMs = () => ++env.now
  const invented = Array.from({ length: 500 }, (_, i) => ({
    session: p2pSession('ann', `nobody-${i}`),
    msgid: 0
  }))
  const lookUp = () => world.post(leader, 'LOOKUP', { uids: ['bob'] }, world.routedBy('bob'))
  const sync = () => {
    const cursors = [...invented, { session: p2pSession('ann', 'bob'), msgid: 2 }]
    const payload = { uid: 'ann', deviceId: 'd', full: true, cursors }
    return world.post(leader, 'SYNC', payload, world.routedBy('ann'))
  }
  /** The answers of one more turn. */
  const turn = (): Packet[] => {
    router.flush()
    return env.take().map(sent => sent.packet)
  }
  const turns = (count: number): Packet[] => Array.from({ length: count }, turn).flat()
  return { world, env, lookUp, sync, turn, turns }
}

describe('reads that take long', () => {
  it('are answered in order, some in each turn, and the next turn comes at once', () => {
    const { env, lookUp, turn, turns } = busy()
    const asked = Array.from({ length: 20 }, lookUp)
    const first = turn()
    expect(first.length).toBeGreaterThan(0)
    expect(first.length).toBeLessThan(10)
    expect(env.flushesIn).toEqual([0])
    const answers = [...first, ...turns(20)]
    expect(answers.map(({ sequence }) => sequence)).toEqual(asked)
    expect(new Set(answers.map(({ kind }) => kind))).toEqual(new Set(['LOOKUP_OK']))
    const wakes = env.flushesIn.length
    turn()
    expect(env.flushesIn).toHaveLength(wakes)
  })

  it('do not hold up those behind them, and miss nothing', () => {
    const { lookUp, sync, turns } = busy()
    const [long, short] = [sync(), lookUp()]
    expect(turns(3).map(({ sequence }) => sequence)).toEqual([short])
    const answers = turns(500)
    expect(answers.map(({ sequence }) => sequence)).toEqual([long])
    expect(answers[0]!.payload).toMatchObject({
      pages: [{ session: p2pSession('ann', 'bob'), messages: [{ msgid: 3 }] }],
      more: false
    })
  })

  it.each([
    ['another replica leads', 2, 'NOT_LEADER'],
    ['nobody leads', 0, 'NO_LEADER'],
    ['this replica leads in another term', 1, 'NO_LEADER']
  ])('are refused once %s', (_, next, code) => {
    const { world, lookUp, sync, turn, turns } = busy()
    const asked = [sync(), ...Array.from({ length: 20 }, lookUp)]
    const before = turn()
    world.groups.get('s1')!.lead(next)
    const after = turns(20).filter(({ kind }) => kind === 'ERROR')
    expect(before.length + after.length).toBe(asked.length)
    expect(new Set(after.map(codeOf))).toEqual(new Set([code]))
  })

  it('are refused once the slot goes', () => {
    const { world, sync, turn, turns } = busy()
    sync()
    expect(turn()).toEqual([])
    const group = world.groups.get('s1')!
    const slot = world.routedBy('ann').slot!
    const seal = entryOf(w => writeSlotStep(w, { step: 'seal', slot, move: 5, epoch: 0 }))
    group.log.push({ term: group.term, data: seal })
    expect(turns(2).map(codeOf)).toEqual(['SLOT_SEALED'])
  })
})
