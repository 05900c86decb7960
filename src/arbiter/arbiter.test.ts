import { describe, expect, it } from 'vitest'
import {
  ArbiterNode,
  announceMs,
  announcement,
  bootstrap,
  downAfterMs,
  kindOf,
  leading,
  peers
} from '../../test/support/arbiter-node.ts'
import { FakeDisk, FakeGroup } from '../../test/support/fake-replica.ts'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { packet } from '../protocol/packet.ts'
import { encodeRaftMessage } from '../raft/codec.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import { encodeTable } from '../table/table-codec.ts'
import { Arbiter } from './arbiter.ts'
import { firstTable } from './first-table.ts'

describe('arbiter: the first table', () => {
  it('is logged once, and reaches the process of every arbiter', () => {
    const group = new FakeGroup()
    const nodes = [1, 2, 3].map(id => new ArbiterNode(group, id))
    for (const node of nodes) node.run(100)
    expect(group.log).toHaveLength(0)
    group.lead(2)
    for (const id of [1, 0, 2]) nodes[id]!.run(1_000)
    nodes[1]!.run(10)
    expect(nodes.map(node => node.epoch)).toEqual([1, 1, 1])
    group.lead(3)
    nodes[2]!.run(1_000)
    expect(group.log).toHaveLength(1)
  })

  it('comes back from the disk at a restart, before anything else', () => {
    const group = new FakeGroup()
    const disk = new FakeDisk()
    const before = new ArbiterNode(group, 1, disk)
    group.lead(1)
    before.run(20)
    before.announce()
    before.run(10)
    group.lead(0)
    const after = new ArbiterNode(group, 1, disk)
    expect(after.epoch).toBe(2)
    group.lead(1)
    after.run(100)
    after.announce({ id: 't2' })
    after.run(10)
    expect(after.epoch).toBe(3)
  })

  it('gets a cluster id of its own when none is given', () => {
    const group = new FakeGroup()
    const keeper = createTableKeeper()
    const env = new FakeRoleEnv('arbiter/1')
    const arbiter = new Arbiter(env, {
      replica: (_send, machine, onLeadership) => group.join(1, machine, onLeadership),
      replicaId: 1,
      peers: [peers[0]!],
      bootstrap: { slotCount: 64, sets: bootstrap.sets },
      announceMs,
      downAfterMs,
      keeper
    })
    arbiter.start()
    group.lead(1)
    arbiter.tick()
    arbiter.flush()
    expect(keeper.view().table!.clusterId).toMatch(/^[0-9a-f]{12}$/)
    expect(keeper.view().table!.arbiters).toEqual([peers[0]])
    expect(arbiter.stopping()).toBe(true)
  })

  it('is checked when the process starts, not when it comes to lead', () => {
    const plan = { ...bootstrap, slotCount: 100 }
    expect(() => new ArbiterNode(new FakeGroup(), 1, undefined, plan)).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' })
    )
  })

  it('is refused while the process holds a table of a group that lost its state', () => {
    const group = new FakeGroup()
    const node = new ArbiterNode(group, 1)
    const old = firstTable(bootstrap, peers)
    node.keeper.adopt(encodeTable({ ...old, epoch: 40 }))
    group.lead(1)
    node.run(2 * downAfterMs)
    expect(group.log).toHaveLength(0)
    expect(node.env.counts.get('arbiter_state_lost_total')).toBe(1)
    expect(node.epoch).toBe(40)
  })
})

describe('arbiter: announcements', () => {
  it('are answered after the table has changed, and at once when they change nothing', () => {
    const { group, node } = leading()
    node.announce()
    expect(node.answers()).toEqual([])
    node.run(10)
    expect(node.epoch).toBe(2)
    expect(node.state('transfer/t1')).toBe('up')
    expect(node.env.sent.map(sent => sent.epoch)).toEqual([2])
    expect(node.answers()).toEqual(['ANNOUNCE_OK'])
    node.announce()
    expect(node.answers()).toEqual(['ANNOUNCE_OK'])
    node.run(100)
    expect(group.log).toHaveLength(2)
  })

  it('carry the idempotency id of their question back', () => {
    const { node } = leading()
    node.announce({ bootId: 77 }, 123)
    node.run(10)
    const [sent] = node.env.take()
    expect(sent).toMatchObject({ to: 'transfer/t1', packet: { bootId: 77, sequence: 123 } })
  })

  it('of 100 processes in one turn share one entry and one epoch', () => {
    const { group, node } = leading()
    for (let i = 0; i < 100; i++) node.announce({ id: `t${i}`, bootId: 100 + i })
    node.run(10)
    expect(group.log).toHaveLength(2)
    expect(node.epoch).toBe(2)
    expect(node.answers()).toEqual(new Array(100).fill('ANNOUNCE_OK'))
    expect(node.keeper.view().set('s1')!.transfers).toHaveLength(100)
  })

  it('that arrive while an entry is under way share the next one', () => {
    const { group, node } = leading()
    group.stuck = true
    for (let i = 0; i < 50; i++) {
      node.announce({ id: `t${i}`, bootId: 100 + i })
      node.run(10)
    }
    expect(group.log).toHaveLength(2)
    group.stuck = false
    node.run(20)
    expect(group.log).toHaveLength(3)
    expect(node.epoch).toBe(3)
    expect(node.answers()).toHaveLength(50)
  })

  it('say that a process leaves, whatever its past', () => {
    const { node } = leading()
    node.announce({ role: 'router', id: 's1/2' })
    node.announce()
    node.run(10)
    node.announce({ role: 'router', id: 's1/2', stopping: true })
    node.announce({ stopping: true })
    node.run(10)
    expect(node.state('router/s1/2')).toBe('down')
    expect(node.state('transfer/t1')).toBe('draining')
  })

  it('are refused with a reason', () => {
    const { node } = leading()
    node.announce({ bootId: 11 })
    node.run(10)
    node.announce({ bootId: 12 })
    node.run(10)
    node.env.take()
    node.announce({ bootId: 11 })
    node.announce({ setId: 's9' })
    node.announce({ role: 'router', id: 's1/9' })
    node.announce({ id: 'no/slash' })
    node.announce({ address: 'x'.repeat(300) })
    node.announce({ bootId: 0 })
    const request = packet('ANNOUNCE', announcement({}), { sequence: 9 })
    node.arbiter.onPacket('transfer/t2', request)
    const unknown = ['SET_UNKNOWN', 'REPLICA_UNKNOWN']
    const bad = new Array(3).fill('BAD_PACKET')
    expect(node.answers()).toEqual(['REPLACED', ...unknown, ...bad, 'FORBIDDEN'])
    node.run(10)
    expect(node.epoch).toBe(3)
  })

  it('are pointed to the leader, or told that there is none', () => {
    const group = new FakeGroup()
    const node = new ArbiterNode(group, 1)
    node.announce()
    expect(node.answers()).toEqual(['NO_LEADER'])
    group.lead(3)
    node.announce()
    const [sent] = node.env.take()
    expect(kindOf(sent!.packet)).toBe('NOT_LEADER')
    expect(sent!.packet.payload).toMatchObject({
      hint: { setId: 'arbiter', replicaId: 3, term: 1 }
    })
    group.lead(1)
    node.announce()
    expect(node.answers()).toEqual(['NO_TABLE'])
  })

  it('get an answer when leadership goes while they wait', () => {
    const { group, node } = leading()
    group.stuck = true
    node.announce({ id: 't1' })
    node.arbiter.flush()
    node.announce({ id: 't2' })
    group.lead(2)
    expect(node.answers().sort()).toEqual(['NOT_LEADER', 'PROPOSAL_DROPPED'])
    group.lead(1)
    group.stuck = false
    node.run(10)
    expect(node.epoch).toBe(1)
    node.announce({ id: 't1' })
    node.run(10)
    expect(node.answers()).toEqual(['ANNOUNCE_OK'])
  })

  it('get an answer when the log takes nothing', () => {
    const { node } = leading()
    node.replica.refuseWith = 'overloaded'
    node.announce()
    node.run(10)
    expect(node.answers()).toEqual(['OVERLOADED'])
    node.replica.refuseWith = undefined
    node.announce()
    node.run(10)
    expect(node.answers()).toEqual(['ANNOUNCE_OK'])
  })

  it('wait in a bounded queue', () => {
    const { group, node } = leading()
    group.stuck = true
    node.announce({ id: 'first' })
    node.arbiter.flush()
    for (let i = 0; i < 4_100; i++) node.announce({ id: `t${i}`, bootId: 100 + i })
    expect(node.answers()).toEqual(new Array(4).fill('OVERLOADED'))
  })
})

describe('arbiter: the rest', () => {
  it('stops changing the table when its process knows a newer one for long', () => {
    const { group, node } = leading()
    const newer = { ...node.keeper.view().table!, epoch: 9 }
    node.keeper.adopt(encodeTable(newer))
    node.run(downAfterMs + 500)
    node.announce()
    expect(node.answers()).toEqual(['EPOCH_CONFLICT'])
    node.run(downAfterMs)
    expect(group.log).toHaveLength(1)
  })

  it('hands Raft messages to its replica only from the arbiter they name', () => {
    const { node } = leading()
    const message = { type: 'timeoutNow', from: 2, to: 1, term: 4 } as const
    const raft = (data: Buffer) => packet('RAFT', { data })
    node.arbiter.onPacket('arbiter/2', raft(encodeRaftMessage(message)))
    expect(node.replica.stepped).toEqual([message])
    node.arbiter.onPacket('arbiter/3', raft(encodeRaftMessage(message)))
    node.arbiter.onPacket('arbiter/2', raft(encodeRaftMessage({ ...message, to: 3 })))
    node.arbiter.onPacket('arbiter/2', raft(Buffer.from('garbage')))
    node.arbiter.onPacket('arbiter/2', raft(Buffer.alloc(0)))
    expect(node.replica.stepped).toHaveLength(1)
    expect(node.env.counts.get('arbiter_bad_raft_messages_total')).toBe(4)
  })

  it('answers a pull, refuses what is not for it, and keeps quiet on errors', () => {
    const { node } = leading()
    const header = { bootId: 1, sequence: 3 }
    node.arbiter.onPacket('logic/l1', packet('TABLE_PULL', {}, header))
    node.arbiter.onPacket('logic/l1', packet('LATEST', { sessions: [] }, header))
    node.arbiter.onPacket('logic/l1', packet('LATEST', { sessions: [] }))
    const error = { code: 1, text: '', retryAfterMs: 0, hint: undefined }
    node.arbiter.onPacket('logic/l1', packet('ERROR', error, header))
    expect(node.answers()).toEqual(['TABLE', 'UNEXPECTED_PACKET'])
  })

  it('hands leadership over before it stops, and does not wait for ever', () => {
    const { group, node } = leading()
    expect(node.arbiter.stopping()).toBe(false)
    expect(node.replica.transfersAsked).toBe(1)
    group.lead(2)
    expect(node.arbiter.stopping()).toBe(true)
    group.lead(1)
    node.run(10)
    expect(node.arbiter.stopping()).toBe(false)
    node.run(3_000)
    expect(node.arbiter.stopping()).toBe(true)
  })
})
