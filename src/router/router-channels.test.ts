import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { message, route } from '../../test/support/router-entries.ts'
import { routerTable, twoSetTable, uidsOf } from '../../test/support/router-table.ts'
import { appendPayload, RouterWorld, type WorldNode } from '../../test/support/router-world.ts'
import { noSlot, type Packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'

const leader = 'router/s1/1'

describe('channels between sets', () => {
  const table = twoSetTable()
  const ours = uidsOf(table, 's1', 40)
  const theirs = uidsOf(table, 's2', 40)

  /** A pair whose session is at home in `s1`. */
  function pairHomedIn(setId: string, nth = 0): [string, string] {
    const world = new RouterWorld(table, [])
    const found: [string, string][] = []
    for (const a of ours) {
      for (const b of theirs) {
        const { slot } = world.sessionHeader(a, b)
        if (table.owner(slot!)?.setId === setId) found.push([a, b])
      }
    }
    return found[nth]!
  }
  const [ann, bob] = pairHomedIn('s1')

  const copyOf = (world: RouterWorld, uid: string, session: string): number[] => {
    const setId = world.view.owner(world.view.slotOf(uid))!.setId
    const answer = world.ask(
      world.leader(setId).endpoint,
      'HISTORY_READ',
      { uid, session, from: 1, limit: 1_000 },
      world.routedBy(uid)
    ) as Packet<'HISTORY_READ_OK'>
    return answer.payload.messages.map(({ msgid }) => msgid)
  }
  const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i + 1)

  it('carries a message to the other set, which hands it to its own users', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    world.register('router/s2/1', bob, route({ transferId: 't2' }))
    expect(world.append(leader, ann, bob, 1).payload).toMatchObject({ msgid: 1 })
    expect(world.take('DELIVER')).toMatchObject([
      { to: 'transfer/t2', payload: { items: [{ page: { messages: [{ msgid: 1, from: ann }] } }] } }
    ])
    const session = p2pSession(ann, bob)
    expect(copyOf(world, bob, session)).toEqual([1])
    const sync = world.ask(
      'router/s2/1',
      'SYNC',
      { uid: bob, deviceId: 'd', full: true, cursors: [] },
      world.routedBy(bob)
    )
    expect(sync.payload).toMatchObject({ pages: [{ session, messages: [{ msgid: 1 }] }] })
  })

  it('batches, and trims the outbox lazily', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    const header = world.sessionHeader(ann, bob)
    for (let id = 1; id <= 300; id++) {
      world.post(leader, 'APPEND', appendPayload(ann, bob, id), header)
    }
    world.settle()
    expect(world.carried.filter(one => one.packet.kind === 'CHANNEL')).toHaveLength(1)
    expect(copyOf(world, bob, p2pSession(ann, bob))).toEqual(upTo(300))
    world.pass(1_200)
    const { disk } = world.leader('s1')
    expect([...disk.rows.keys()].filter(key => key.includes('outbox-block'))).toEqual([])
  })

  it('goes on exactly once after changes of leader at both ends', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    const session = p2pSession(ann, bob)
    let id = 0
    const send = (): void => {
      const to = world.leader('s1').endpoint
      expect(world.append(to, ann, bob, ++id).payload).toMatchObject({ msgid: id })
    }
    const cutAll = (setId: string, cut: boolean): void => {
      for (const { endpoint } of nodesOf(world, setId)) {
        if (cut) world.cut.add(endpoint)
        else world.cut.delete(endpoint)
      }
    }
    send()
    cutAll('s2', true)
    send()
    world.lead('s1', 2)
    send()
    world.pass(3_000)
    cutAll('s2', false)
    world.lead('s2', 3)
    world.pass(6_000)
    expect(copyOf(world, bob, session)).toEqual(upTo(3))
    send()
    world.lead('s1', 3)
    world.lead('s2', 2)
    send()
    world.pass(6_000)
    expect(copyOf(world, bob, session)).toEqual(upTo(5))
  })

  it('survives lost batches and lost answers', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    for (let id = 1; id <= 30; id++) {
      if (id % 3 === 0) world.cut.add('router/s2/1')
      world.append(leader, ann, bob, id)
      world.cut.clear()
    }
    world.pass(10_000)
    expect(copyOf(world, bob, p2pSession(ann, bob))).toEqual(upTo(30))
  })

  it('reads on in an outbox whose beginning was trimmed since it last read there', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    const all = nodesOf(world, 's2').map(({ endpoint }) => endpoint)
    for (const endpoint of all) world.cut.add(endpoint)
    world.append(leader, ann, bob, 1)
    world.pass(3_000)
    world.cut.clear()
    world.pass(3_000)
    const header = world.sessionHeader(ann, bob)
    const burst = (from: number, to: number): void => {
      for (let id = from; id <= to; id++) {
        world.post(leader, 'APPEND', appendPayload(ann, bob, id), header)
      }
      world.settle()
    }
    burst(2, 300)
    world.pass(1_500)
    // More than are kept at hand.
    burst(301, 3_000)
    world.pass(1_000)
    const newest = world.ask(
      world.leader('s2').endpoint,
      'HISTORY_READ',
      { uid: bob, session: p2pSession(ann, bob), from: 2_990, limit: 100 },
      world.routedBy(bob)
    )
    expect(newest.payload).toMatchObject({ latest: 3_000 })
  })

  it('a set that is down costs nothing but its outbox (I-5)', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    for (const { endpoint } of nodesOf(world, 's2')) world.cut.add(endpoint)
    const { env, router, replica } = world.leader('s1')
    const header = world.sessionHeader(ann, bob)
    for (let id = 1; id <= 5_000; id++) {
      world.post(leader, 'APPEND', appendPayload(ann, bob, id), header)
    }
    world.settle()
    Object.assign(replica, { status: () => ({ commit: 0, applied: 0, quarantined: false }) })
    expect(router.status().outboxes).toEqual([{ targetSet: 's2', items: 5_000 }])
    let sent = 0
    const send = env.send.bind(env)
    env.send = (to, one) => {
      if (one.kind === 'CHANNEL') sent += one.payload.items.length
      return send(to, one)
    }
    world.pass(60_000)
    expect(sent).toBeGreaterThan(0)
    expect(sent).toBeLessThan(30 * 64)
    sent = 0
    for (const { endpoint } of nodesOf(world, 's2')) env.unreachable.add(endpoint)
    world.pass(60_000)
    expect(sent).toBeLessThan(60 * 64)
    env.unreachable.clear()
    // Sessions within the set are served as ever.
    expect(codeOf(world.append(leader, ours[1]!, ours[2]!, 1))).toBe('OK')
    world.cut.clear()
    world.pass(10_000)
    expect(copyOf(world, bob, p2pSession(ann, bob))).toEqual(upTo(1_000))
    expect(router.status().outboxes).toEqual([{ targetSet: 's2', items: 0 }])
  })

  it('follows the leader of the other set by its hint', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    world.lead('s2', 3)
    world.append(leader, ann, bob, 1)
    world.pass(500)
    world.carried = []
    world.append(leader, ann, bob, 2)
    const channel = world.carried.filter(one => one.packet.kind === 'CHANNEL')
    expect(channel.map(one => one.to)).toEqual(['router/s2/3'])
  })

  it('pulls from home what a copy lacks', () => {
    const world = new RouterWorld(
      routerTable(1, [{ first: 0, count: 64, setId: 's1', slotEpoch: 1 }], ['s1', 's2']),
      ['s1', 's2']
    )
    for (let id = 1; id <= 1_200; id++) {
      world.post(leader, 'APPEND', appendPayload(ann, bob, id), world.sessionHeader(ann, bob))
    }
    world.settle()
    world.adopt(twoSetTable(2))
    world.append(leader, ann, bob, 1_201)
    world.pass(500)
    const { router, replica } = world.leader('s2')
    Object.assign(replica, { status: () => ({ commit: 0, applied: 0, quarantined: false }) })
    expect(router.status().messages).toBe(1_201)
    world.append(leader, ann, bob, 1_202)
    expect(router.status().messages).toBe(1_202)
  })

  const batch = (first: number, sourceSet = 's1', targetSet = 's2') => ({
    sourceSet,
    targetSet,
    routeEpoch: table.epoch,
    firstPosition: first,
    items: [{ session: p2pSession(ann, bob), message: message(first, ann) }]
  })

  it.each([
    ['from another set than it names', batch(1, 's3'), 'router/s1/1', 'FORBIDDEN'],
    ['from a logic', batch(1), 'logic/l1', 'FORBIDDEN'],
    ['for another set', batch(1, 's1', 's3'), 'router/s1/1', 'BAD_PACKET'],
    ['at position 0', batch(0), 'router/s1/1', 'BAD_PACKET'],
    ['without items', { ...batch(1), items: [] }, 'router/s1/1', 'BAD_PACKET'],
    [
      'with a malformed session',
      { ...batch(1), items: [{ session: 'x', message: message(1, ann) }] },
      'router/s1/1',
      'BAD_SESSION'
    ]
  ])('refuses a batch %s', (_name, payload, from, code) => {
    const world = new RouterWorld(table, ['s2'])
    const { log } = world.groups.get('s2')!
    const before = log.length
    expect(codeOf(world.ask('router/s2/1', 'CHANNEL', payload, {}, from))).toBe(code)
    expect(log.length).toBe(before)
  })

  it('answers a gap, a repeat and a batch from the future of the table', () => {
    const world = new RouterWorld(table, ['s2'])
    const ask = (first: number, header = {}) =>
      world.ask('router/s2/1', 'CHANNEL', batch(first), header, 'router/s1/1')
    expect(ask(2).payload).toEqual({ position: 0 })
    expect(ask(1).payload).toEqual({ position: 1 })
    expect(ask(1).payload).toEqual({ position: 1 })
    expect(codeOf(ask(2, { epoch: 9 }))).toBe('ROUTER_BEHIND')
    expect(codeOf(world.ask('router/s2/2', 'CHANNEL', batch(2), {}, 'router/s1/1'))).toBe(
      'NOT_LEADER'
    )
  })

  it('takes and sends nothing by an older table than its log was routed by', () => {
    const world = new RouterWorld(twoSetTable(5), ['s1', 's2'])
    for (const setId of ['s1', 's2']) {
      const [a, b] = pairHomedIn(setId)
      const pull = { uid: a, session: p2pSession(a, b), from: 1, limit: 1 }
      const header = { ...world.sessionHeader(a, b), epoch: 5 }
      // A question from another set has the epoch logged by which it was routed.
      const asked = world.ask(`router/${setId}/1`, 'HISTORY_READ', pull, header, 'router/s3/1')
      expect(codeOf(asked)).toBe('ROUTER_BEHIND')
    }
    for (const { endpoint } of nodesOf(world, 's2')) world.cut.add(endpoint)
    world.append(leader, ann, bob, 1)
    world.cut.clear()
    const carried = (): number =>
      world.carried.filter(({ packet }) => packet.kind === 'CHANNEL').length
    const before = carried()
    // Both begin anew with the table that they have on disk.
    world.adopt(twoSetTable(3))
    world.pass(5_000)
    expect(carried()).toBe(before)
    const given = world.ask('router/s2/1', 'CHANNEL', batch(1), { epoch: 3 }, 'router/s1/9')
    expect(codeOf(given)).toBe('ROUTER_BEHIND')
    world.adopt(twoSetTable(5))
    world.pass(5_000)
    expect(copyOf(world, bob, p2pSession(ann, bob))).toEqual([1])
  })

  it('answers repeats of a batch under way once that batch is applied, and refuses them when it is lost', () => {
    const world = new RouterWorld(table, ['s2'])
    const group = world.groups.get('s2')!
    group.stuck = true
    const post = (first: number) =>
      world.post('router/s2/1', 'CHANNEL', batch(first), {}, 'router/s1/1')
    const both = [post(1), post(1)]
    world.settle()
    group.stuck = false
    world.settle()
    expect(both.map(one => answerFor(world, one).payload)).toEqual([
      { position: 1 },
      { position: 1 }
    ])
    group.stuck = true
    const lost = [post(2), post(2)]
    world.settle()
    world.lead('s2', 2)
    expect(lost.map(one => codeOf(answerFor(world, one)))).toEqual([
      'PROPOSAL_DROPPED',
      'NO_LEADER'
    ])
  })

  it('ignores an acknowledgement from a stranger or beyond what exists', () => {
    const world = new RouterWorld(table, ['s1', 's2'])
    for (const { endpoint } of nodesOf(world, 's2')) world.cut.add(endpoint)
    world.append(leader, ann, bob, 1)
    const { env, router } = world.leader('s1')
    const forge = (from: string, position: number): void => {
      for (let sequence = 1; sequence < 20; sequence++) {
        const kind = { kind: 'CHANNEL_OK' as const, payload: { position } }
        router.onPacket(from, { ...plain, bootId: env.bootId, sequence, ...kind })
      }
      world.settle()
    }
    forge('router/s3/1', 1)
    forge('router/s2/1', 1_000_000)
    world.cut.clear()
    world.pass(5_000)
    expect(copyOf(world, bob, p2pSession(ann, bob))).toEqual([1])
  })
})

const plain = {
  hop: 0,
  priority: 8,
  deadlineMs: 0,
  clusterTag: 0,
  epoch: 0,
  slot: noSlot,
  slotEpoch: 0,
  term: 0
}

function nodesOf(world: RouterWorld, setId: string): WorldNode[] {
  return [...world.nodes.values()].filter(node => node.setId === setId)
}

function answerFor(world: RouterWorld, sequence: number): Packet {
  world.settle()
  return world.answer(sequence)
}
