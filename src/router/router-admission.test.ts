import { describe, expect, it } from 'vitest'
import { codeOf } from '../../test/support/codes.ts'
import { oneSetTable, routerTable } from '../../test/support/router-table.ts'
import { appendPayload, ownershipRows, RouterWorld } from '../../test/support/router-world.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { noSlot } from '../protocol/packet.ts'
import { encodeRaftMessage } from '../raft/codec.ts'
import { emptyTableView } from '../table/compile-table.ts'
import type { SlotState } from './ownership.ts'

const leader = 'router/s1/1'
const follower = 'router/s1/2'

describe('the status matrix', () => {
  const ownedElsewhere = routerTable(
    7,
    [{ first: 0, count: 64, setId: 's2', slotEpoch: 5 }],
    ['s1', 's2']
  )
  const ownedHere = routerTable(7, [{ first: 0, count: 64, setId: 's1', slotEpoch: 5 }], ['s1'])
  const cases: [
    SlotState,
    string,
    typeof ownedHere,
    [ErrorCode | 'OK', ErrorCode | 'OK', ErrorCode]
  ][] = [
    ['owned', leader, ownedHere, ['STALE_SLOT', 'OK', 'ROUTER_BEHIND']],
    ['owned', follower, ownedHere, ['NOT_LEADER', 'NOT_LEADER', 'ROUTER_BEHIND']],
    ['sealed', leader, ownedHere, ['SLOT_SEALED', 'SLOT_SEALED', 'SLOT_SEALED']],
    ['importing', leader, ownedHere, ['MOVED', 'MOVED', 'ROUTER_BEHIND']],
    ['none', leader, ownedElsewhere, ['MOVED', 'MOVED', 'ROUTER_BEHIND']],
    ['gone', leader, ownedElsewhere, ['MOVED', 'MOVED', 'ROUTER_BEHIND']]
  ]

  it.each(cases)('%s at %s', (state, endpoint, table, [below, same, above]) => {
    const world = new RouterWorld(table, ['s1'], { rows: ownershipRows(state, 5) })
    const { slot } = world.sessionHeader('ann', 'bob')
    const ask = (slotEpoch: number, clientMsgId: number): ErrorCode | 'OK' => {
      const payload = appendPayload('ann', 'bob', clientMsgId)
      return codeOf(world.ask(endpoint, 'APPEND', payload, { slot: slot!, slotEpoch, epoch: 7 }))
    }
    expect([ask(4, 1), ask(5, 2), ask(6, 3)]).toEqual([below, same, above])
    const { log } = world.groups.get('s1')!
    expect(log.length).toBe(same === 'OK' ? 1 : 0)
  })

  it('raises an alarm when a request is routed here by the very epoch that gave the slot away', () => {
    const world = new RouterWorld(ownedElsewhere, ['s1'])
    const header = world.sessionHeader('ann', 'bob')
    world.ask(leader, 'APPEND', appendPayload('ann', 'bob', 1), { ...header, slotEpoch: 4 })
    const alarms = () =>
      world.leader('s1').env.events.filter(one => one.event === 'slot_routed_to_wrong_set').length
    expect(alarms()).toBe(0)
    world.ask(leader, 'APPEND', appendPayload('ann', 'bob', 1), header)
    expect(alarms()).toBe(1)
  })

  it('is behind, not a stranger, while the table gives it a slot that its log does not have', () => {
    const world = new RouterWorld(ownedHere, ['s1'])
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('ROUTER_BEHIND')
  })

  it('carries the hint of its own leader, or of the set that owns the slot', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const payload = appendPayload('ann', 'bob', 1)
    const refused = world.ask(follower, 'APPEND', payload, world.sessionHeader('ann', 'bob'))
    expect(refused.payload).toMatchObject({ hint: { setId: 's1', replicaId: 1, term: 1 } })
  })

  it('pulls the table from whoever knows a newer one', () => {
    const world = new RouterWorld(oneSetTable(3), ['s1'])
    const header = world.sessionHeader('ann', 'bob')
    const ask = (epoch: number): number => {
      const newer = { ...header, slotEpoch: 9, epoch }
      expect(codeOf(world.ask(leader, 'APPEND', appendPayload('ann', 'bob', 1), newer))).toBe(
        'ROUTER_BEHIND'
      )
      return world.take('TABLE_PULL').length
    }
    expect(ask(3)).toBe(0)
    expect(ask(4)).toBe(1)
  })

  it('answers NO_LEADER while nobody leads', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    world.lead('s1', 0)
    expect(codeOf(world.append(leader, 'ann', 'bob', 1))).toBe('NO_LEADER')
  })

  it('checks again at apply: a slot sealed in between is not written to', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const sequence = world.post(
      leader,
      'APPEND',
      appendPayload('ann', 'bob', 1),
      world.sessionHeader('ann', 'bob')
    )
    const { disk } = world.leader('s1')
    for (const [key, value] of ownershipRows('sealed', 1)) disk.rows.set(key, value)
    world.groups.get('s1')!.stuck = true
    world.leader('s1').router.flush()
    const other = new RouterWorld(oneSetTable(), ['s1'], { rows: ownershipRows('sealed', 1) })
    const entry = world.groups.get('s1')!.log.at(-1)!.data
    const before = new Map(other.leader('s1').disk.rows)
    expect(other.groups.get('s1')!.log).toEqual([])
    other.leader('s1').replica.propose(entry, outcome => {
      expect(outcome).toEqual({ results: [{ error: 'SLOT_SEALED' }] })
    })
    other.settle()
    expect(other.leader('s1').disk.rows).toEqual(before)
    expect(() => world.answer(sequence)).toThrow('no answer')
  })
})

describe('bad input', () => {
  const long = 'x'.repeat(65)
  const good = appendPayload('ann', 'bob', 1)
  it.each([
    ['a malformed session', { session: 'p2p/bob/ann' }, 'BAD_SESSION'],
    ['a foreign uid', { uid: 'eve' }, 'FORBIDDEN'],
    ['a malformed uid', { uid: 'e\nve' }, 'BAD_UID'],
    ['an empty device', { deviceId: '' }, 'BAD_PACKET'],
    ['a long device', { deviceId: long }, 'BAD_PACKET'],
    ['a body over the limit', { body: Buffer.alloc(101) }, 'BODY_TOO_LARGE']
  ])('refuses an append with %s, and nothing is proposed', (_name, fields, code) => {
    const world = new RouterWorld(oneSetTable(), ['s1'], { limits: { bodyBytes: 100 } })
    const { log } = world.groups.get('s1')!
    const before = log.length
    const header = world.sessionHeader('ann', 'bob')
    expect(codeOf(world.ask(leader, 'APPEND', { ...good, ...fields }, header))).toBe(code)
    expect(log.length).toBe(before)
  })

  it.each([
    ['another slot than the key has', { slot: 1 }],
    ['no slot', { slot: noSlot }],
    ['too many hops', { hop: 4 }]
  ])('refuses a packet with %s', (_name, header) => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const right = world.sessionHeader('ann', 'bob')
    expect(right.slot).not.toBe(1)
    expect(codeOf(world.ask(leader, 'APPEND', good, { ...right, ...header }))).toBe('BAD_PACKET')
  })

  it('answers kinds it does not serve, but never an answer', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const asked = world.ask(leader, 'BYE', {})
    expect(codeOf(asked)).toBe('UNKNOWN_KIND')
    world.post(leader, 'LOOKUP_OK', { users: [] })
    world.post(leader, 'ERROR', { code: 1, text: '', retryAfterMs: 0, hint: undefined })
    world.settle()
    expect(world.outside.filter(one => one.packet.bootId === 5_000)).toEqual([])
  })

  it('takes Raft messages only from the endpoint that they name, for this replica', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const { replica } = world.node('s1', 1)
    const message = { type: 'timeoutNow', from: 2, to: 1, term: 3 } as const
    const data = encodeRaftMessage(message)
    world.post(leader, 'RAFT', { data }, {}, 'router/s1/3')
    world.post(leader, 'RAFT', { data }, {}, 'router/s2/2')
    world.post('router/s1/3', 'RAFT', { data }, {}, 'router/s1/2')
    world.post(leader, 'RAFT', { data: Buffer.from([255, 1]) }, {}, 'router/s1/2')
    expect(replica.stepped).toEqual([])
    world.post(leader, 'RAFT', { data }, {}, 'router/s1/2')
    expect(replica.stepped).toEqual([message])
  })

  it('answers NO_TABLE while no table is known', () => {
    const world = new RouterWorld(oneSetTable(), ['s1'])
    const header = world.sessionHeader('ann', 'bob')
    for (const { env } of world.nodes.values()) env.view = () => emptyTableView
    expect(codeOf(world.ask(leader, 'APPEND', appendPayload('new', 'one', 1), header))).toBe(
      'NO_TABLE'
    )
  })
})
