import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { route } from '../../test/support/router-entries.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import { appendPayload, RouterWorld } from '../../test/support/router-world.ts'
import { noSlot, type Packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'

const leader = 'router/s1/1'

describe('presence', () => {
  it('evicts whom a newer connection replaced', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'ann', route({ connId: 1, connSeq: 1 }))
    world.register(leader, 'ann', route({ connId: 2, connSeq: 2, transferId: 't2' }))
    expect(world.take('EVICT')).toEqual([
      {
        to: 'transfer/t1',
        payload: { transferBootId: 11, connId: 1, reason: 'same-device', by: 'phone' }
      }
    ])
    world.register(leader, 'ann', route({ deviceId: 'other', connId: 3 }))
    expect(world.take('EVICT')).toEqual([
      {
        to: 'transfer/t2',
        payload: { transferBootId: 11, connId: 2, reason: 'same-class', by: 'other' }
      }
    ])
    const late = world.register(leader, 'ann', route({ deviceId: 'other', connSeq: 0 }))
    expect(codeOf(late)).toBe('KICKED')
    const gone = world.ask(
      leader,
      'UNREGISTER',
      { uid: 'ann', route: route({ deviceId: 'other', connId: 3 }) },
      world.routedBy('ann')
    )
    expect(gone.payload).toEqual({ removed: true })
  })

  it('the new leader evicts for a registration whose proposer was lost', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'ann', route({ connId: 1, connSeq: 1 }))
    const group = world.groups.get('s1')!
    group.stuck = true
    const next = { uid: 'ann', route: route({ connId: 2, connSeq: 2 }) }
    world.post(leader, 'REGISTER', next, world.routedBy('ann'))
    world.settle()
    group.committed = group.log.length
    group.leader = 2
    group.term++
    world.node('s1', 2).router.flush()
    world.settle()
    expect(world.take('EVICT')).toMatchObject([{ to: 'transfer/t1', payload: { connId: 1 } }])
  })

  const renew = (world: RouterWorld, to: string, from = 'transfer/t1', transferBootId = 11) =>
    world.ask(
      to,
      'RENEW',
      { transferId: 't1', transferBootId, connections: 5 },
      { slot: noSlot },
      from
    )
  const online = (world: RouterWorld, to: string): number => {
    const answer = world.ask(to, 'LOOKUP', { uids: ['ann'] }, world.routedBy('ann'))
    return (answer as Packet<'LOOKUP_OK'>).payload.users[0]!.routes.length
  }

  it('declares an instance dead that does not renew, and only that', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { transferLeaseMs: 500 })
    world.register(leader, 'ann', route())
    for (let i = 0; i < 5; i++) {
      world.pass(300)
      expect(renew(world, leader).payload).toEqual({ leaseMs: 500 })
    }
    expect(online(world, leader)).toBe(1)
    world.pass(520)
    expect(online(world, leader)).toBe(0)
    expect(codeOf(renew(world, leader))).toBe('TRANSFER_EXPIRED')
    expect(codeOf(world.register(leader, 'ann', route()))).toBe('TRANSFER_EXPIRED')
    expect(renew(world, leader, 'transfer/t1', 12).kind).toBe('RENEW_OK')
  })

  it('takes a renewal only from the transfer itself, and only as leader', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    expect(codeOf(renew(world, leader, 'transfer/t2'))).toBe('FORBIDDEN')
    expect(codeOf(renew(world, leader, 'logic/l1'))).toBe('FORBIDDEN')
    expect(codeOf(renew(world, 'router/s1/2'))).toBe('NOT_LEADER')
  })

  it('a new leader grants one full lease first', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { transferLeaseMs: 500 })
    world.register(leader, 'ann', route())
    world.pass(450)
    world.lead('s1', 2)
    world.pass(450)
    expect(online(world, 'router/s1/2')).toBe(1)
    world.pass(100)
    expect(online(world, 'router/s1/2')).toBe(0)
  })

  it('a process that stood still does not judge by the time it slept', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { transferLeaseMs: 500 })
    world.register(leader, 'ann', route())
    world.pass(100)
    const { env, router } = world.leader('s1')
    env.now += 60_000
    router.tick()
    world.settle()
    expect(online(world, leader)).toBe(1)
    expect(renew(world, leader).kind).toBe('RENEW_OK')
    world.pass(450)
    expect(online(world, leader)).toBe(1)
  })
})

describe('delivery', () => {
  it('hands each message to every online device of both members, merged per transfer', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'ann', route({ connId: 1 }))
    world.register(leader, 'ann', route({ deviceId: 'w', class: 'web', connId: 2 }))
    world.register(leader, 'bob', route({ connId: 3 }))
    world.register(
      leader,
      'bob',
      route({ deviceId: 'w', class: 'web', connId: 4, transferId: 't2' })
    )
    const header = world.sessionHeader('ann', 'bob')
    for (let id = 1; id <= 3; id++) {
      world.post(leader, 'APPEND', appendPayload('ann', 'bob', id), header)
    }
    world.settle()
    const delivered = world.take('DELIVER')
    const page = {
      session: p2pSession('ann', 'bob'),
      first: 1,
      latest: 3,
      messages: [{ msgid: 1 }, { msgid: 2 }, { msgid: 3, from: 'ann' }]
    }
    expect(delivered).toMatchObject([
      { to: 'transfer/t1', payload: { transferBootId: 11, items: [{ connIds: [1, 2, 3], page }] } },
      { to: 'transfer/t2', payload: { transferBootId: 11, items: [{ connIds: [4], page }] } }
    ])
    expect(world.append(leader, 'ann', 'bob', 2).payload).toMatchObject({ duplicate: true })
    expect(world.take('DELIVER')).toEqual([])
  })

  it('splits what is too large for one packet, in order', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'bob', route())
    const header = world.sessionHeader('ann', 'bob')
    const text = 'x'.repeat(60_000)
    for (let id = 1; id <= 20; id++) {
      world.post(leader, 'APPEND', appendPayload('ann', 'bob', id, text), header)
    }
    world.settle()
    const packets = world.take('DELIVER')
    expect(packets.length).toBeGreaterThan(3)
    const msgids = packets.flatMap(({ payload }) =>
      payload.items.flatMap(({ page }) => page.messages.map(({ msgid }) => msgid))
    )
    expect(msgids).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it('a dropped DELIVER harms nobody', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'bob', route())
    world.leader('s1').env.unreachable.add('transfer/t1')
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('OK')
    expect(world.leader('s1').env.counts.get('router_deliveries_dropped_total')).toBe(1)
  })

  it('a new leader hands out what the old one may have failed to', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.register(leader, 'bob', route())
    world.pass(5_000)
    world.register(leader, 'bob', route({ transferBootId: 12, connSeq: 2 }))
    world.append(leader, 'ann', 'bob', 1)
    world.pass(3_000)
    world.register(leader, 'bob', route({ transferBootId: 13, connSeq: 3 }))
    world.append(leader, 'ann', 'bob', 2)
    world.pass(100)
    world.take('DELIVER')
    world.lead('s1', 2)
    const again = world.take('DELIVER')
    expect(again).toMatchObject([
      { to: 'transfer/t1', payload: { items: [{ page: { messages: [{ msgid: 2 }] } }] } }
    ])
  })
})
