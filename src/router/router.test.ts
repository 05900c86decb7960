import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { oneSetTable, routerTable, uidsOf } from '../../test/support/router-table.ts'
import { appendPayload, RouterWorld } from '../../test/support/router-world.ts'
import type { Packet } from '../protocol/packet.ts'

const leader = 'router/s1/1'

describe('batching', () => {
  it('makes one entry of the requests of one turn and answers each', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { log } = world.groups.get('s1')!
    const before = log.length
    const sequences = Array.from({ length: 50 }, (_, i) =>
      world.post(
        leader,
        'APPEND',
        appendPayload('ann', 'bob', i + 1),
        world.sessionHeader('ann', 'bob')
      )
    )
    world.settle()
    expect(log.length).toBe(before + 1)
    expect(sequences.map(one => world.answer(one).payload)).toEqual(
      sequences.map((_, i) => ({ msgid: i + 1, duplicate: false, atMs: expect.any(Number) }))
    )
  })

  it('lets the next entry grow while the disk is at work on the last one', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { log } = world.groups.get('s1')!
    const { replica } = world.node('s1', 1)
    const before = log.length
    const header = world.sessionHeader('ann', 'bob')
    const post = (id: number): number =>
      world.post(leader, 'APPEND', appendPayload('ann', 'bob', id), header)
    replica.diskBusy = true
    post(1)
    world.settle()
    post(2)
    world.settle()
    expect(log.length).toBe(before)
    replica.diskBusy = false
    world.settle()
    expect(log.length).toBe(before + 1)
  })

  it('bounds an entry by commands and by bytes', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], {
      limits: { entryCommands: 10, entryBytes: 1_000 }
    })
    const { log } = world.groups.get('s1')!
    const post = (id: number, text?: string): number =>
      world.post(
        leader,
        'APPEND',
        appendPayload('ann', 'bob', id, text),
        world.sessionHeader('ann', 'bob')
      )
    let before = log.length
    for (let i = 1; i <= 25; i++) post(i)
    world.settle()
    expect(log.length - before).toBe(3)
    before = log.length
    for (let i = 101; i <= 104; i++) post(i, 'x'.repeat(600))
    world.settle()
    expect(log.length - before).toBe(2)
  })

  it('refuses with OVERLOADED past the bound, and serves again once outcomes are known', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { limits: { pendingCommands: 4 } })
    const group = world.groups.get('s1')!
    group.stuck = true
    const post = (id: number): number =>
      world.post(
        leader,
        'APPEND',
        appendPayload('ann', 'bob', id),
        world.sessionHeader('ann', 'bob')
      )
    const taken = [1, 2, 3, 4].map(post)
    world.settle()
    const fifth = post(5)
    world.settle()
    const refused = world.answer(fifth)
    expect(codeOf(refused)).toBe('OVERLOADED')
    expect(refused.payload).toMatchObject({ retryAfterMs: 50 })
    group.stuck = false
    world.settle()
    expect(taken.map(one => codeOf(world.answer(one)))).toEqual(['OK', 'OK', 'OK', 'OK'])
    expect(codeOf(world.append(leader, 'ann', 'bob', 5))).toBe('OK')
  })

  it('bounds what is pending in bytes too', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { limits: { pendingBytes: 3_000 } })
    world.groups.get('s1')!.stuck = true
    const header = world.sessionHeader('ann', 'bob')
    const codes = [1, 2, 3, 4, 5].map(id => {
      const payload = appendPayload('ann', 'bob', id, 'x'.repeat(900))
      const sequence = world.post(leader, 'APPEND', payload, header)
      world.settle()
      return world.outside.some(one => one.packet.sequence === sequence) ? 'refused' : 'pending'
    })
    expect(codes).toEqual(['pending', 'pending', 'pending', 'pending', 'refused'])
  })

  it('answers a lost proposal with an unknown outcome; the retry elsewhere takes effect once', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.append(leader, 'ann', 'bob', 1)
    world.groups.get('s1')!.stuck = true
    const header = world.sessionHeader('ann', 'bob')
    const lost = world.post(leader, 'APPEND', appendPayload('ann', 'bob', 2), header)
    world.settle()
    world.groups.get('s1')!.stuck = false
    world.lead('s1', 2)
    expect(codeOf(world.answer(lost))).toBe('PROPOSAL_DROPPED')
    expect(world.append('router/s1/2', 'ann', 'bob', 2).payload).toMatchObject({
      msgid: 2,
      duplicate: false
    })
    expect(world.append('router/s1/2', 'ann', 'bob', 1).payload).toMatchObject({
      msgid: 1,
      duplicate: true
    })
  })

  it.each([
    ['another replica leads', 2],
    ['nobody leads', 0],
    ['it leads in another term', 1]
  ])('logs nothing that it wrote before %s, and says so', (_, next) => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { router, env, replica } = world.node('s1', 1)
    const group = world.groups.get('s1')!
    replica.diskBusy = true
    const header = world.sessionHeader('ann', 'bob')
    const written = world.post(leader, 'APPEND', appendPayload('ann', 'bob', 1), header)
    router.flush()
    expect(env.take()).toEqual([])
    const before = group.log.length
    group.lead(next)
    router.flush()
    const answers = env.take().filter(sent => sent.packet.sequence === written)
    expect(answers.map(sent => codeOf(sent.packet))).toEqual(['NO_LEADER'])
    world.lead('s1', 1)
    replica.diskBusy = false
    world.settle()
    expect(group.log.slice(before)).toEqual([])
    expect(world.append(leader, 'ann', 'bob', 2).payload).toMatchObject({ msgid: 1 })
  })

  it('answers what the replica refuses as not done', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { replica } = world.leader('s1')
    replica.refuseWith = 'overloaded'
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('OVERLOADED')
    replica.refuseWith = 'transferring'
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('NO_LEADER')
    replica.refuseWith = undefined
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('OK')
  })
})

describe('sequences', () => {
  it('hands out every number once and in rising order, also across a change of leader', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const seen = new Set<number>()
    let highest = 0
    const draw = (to: string, count: number): void => {
      const answer = world.ask(to, 'SEQUENCE', { name: 'ids', count }, world.routedBy('ids'))
      const { first } = (answer as Packet<'SEQUENCE_OK'>).payload
      expect(first).toBeGreaterThan(highest)
      highest = first + count - 1
      for (let i = first; i <= highest; i++) seen.add(i)
    }
    for (let i = 0; i < 5; i++) draw(leader, 3_000)
    world.lead('s1', 2)
    for (let i = 0; i < 5; i++) draw('router/s1/2', 3_000)
    world.lead('s1', 1)
    draw(leader, 10)
    draw(leader, 200_000)
    expect(seen.size).toBe(230_010)
  })

  it('hands out nothing from memory before it is sure to lead still', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const draw = () =>
      world.post(leader, 'SEQUENCE', { name: 'ids', count: 1 }, world.routedBy('ids'))
    draw()
    world.settle()
    const { replica } = world.leader('s1')
    const read = replica.read.bind(replica)
    const confirms: ((confirmed: boolean) => void)[] = []
    replica.read = done => {
      confirms.push(done)
      return undefined
    }
    const asked = [draw(), draw()]
    world.settle()
    expect(confirms).toHaveLength(1)
    expect(() => world.answer(asked[0]!)).toThrow('no answer')
    confirms[0]!(false)
    world.settle()
    expect(asked.map(one => codeOf(world.answer(one)))).toEqual(['NO_LEADER', 'NO_LEADER'])
    replica.read = read
  })

  it('raises the ceiling rarely', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { log } = world.groups.get('s1')!
    const before = log.length
    for (let i = 0; i < 1_000; i++) {
      world.ask(leader, 'SEQUENCE', { name: 'ids', count: 1 }, world.routedBy('ids'))
    }
    expect(log.length - before).toBe(1)
  })

  it.each([
    ['', 1],
    ['ids', 0],
    ['ids', 1_000_001]
  ])('refuses name "%s" with count %i', (name, count) => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const answer = world.ask(leader, 'SEQUENCE', { name, count }, world.routedBy(name))
    expect(codeOf(answer)).toBe('BAD_PACKET')
  })
})

describe('leaving and reporting', () => {
  it('hands leadership over before it is done stopping', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { router, replica } = world.leader('s1')
    expect(router.stopping()).toBe(false)
    expect(replica.transfersAsked).toBe(1)
    expect(world.node('s1', 2).router.stopping()).toBe(true)
    world.lead('s1', 2)
    expect(router.stopping()).toBe(true)
  })

  it('gives up handing over after a bounded time', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { router } = world.leader('s1')
    expect(router.stopping()).toBe(false)
    world.pass(3_100)
    expect(router.stopping()).toBe(true)
  })

  it('announces itself to the arbiters of the table', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.pass(50)
    const mine = world.take('ANNOUNCE').filter(one => one.payload.id === 's1/1')
    expect(mine[0]).toMatchObject({
      to: 'arbiter/1',
      payload: { role: 'router', setId: 's1', stopping: false }
    })
  })

  it('counts users, sessions, slots and messages', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.append(leader, 'ann', 'bob', 1)
    world.append(leader, 'ann', 'cid', 1)
    const { router, replica } = world.leader('s1')
    const raft = { commit: 5, applied: 5, quarantined: false }
    Object.assign(replica, { status: () => raft })
    expect(router.status()).toMatchObject({
      leading: true,
      leader: 1,
      commit: 5,
      slots: 64,
      users: 3,
      sessions: 2,
      messages: 2,
      outboxes: []
    })
  })
})

it('takes the slots of the first table once, and only its own', () => {
  const table = routerTable(
    1,
    [
      { first: 0, count: 10, setId: 's1', slotEpoch: 1 },
      { first: 10, count: 54, setId: 's2', slotEpoch: 1 }
    ],
    ['s1', 's2']
  )
  const world = new RouterWorld(table, ['s1'])
  const { log } = world.groups.get('s1')!
  expect(log).toHaveLength(1)
  world.lead('s1', 2)
  world.adopt(table)
  world.pass(100)
  expect(log).toHaveLength(1)
  const [mine] = uidsOf(table, 's1', 1) as [string]
  const asked = world.ask('router/s1/2', 'LOOKUP', { uids: [mine] }, world.routedBy(mine))
  expect(asked.kind).toBe('LOOKUP_OK')
})
