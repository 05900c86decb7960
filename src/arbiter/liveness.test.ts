import { describe, expect, it } from 'vitest'
import {
  ArbiterNode,
  announceMs,
  downAfterMs,
  kindOf,
  leading
} from '../../test/support/arbiter-node.ts'
import { FakeGroup } from '../../test/support/fake-replica.ts'

describe('arbiter: who is up', () => {
  function announceAll(node: ArbiterNode, ids: readonly string[]): void {
    for (const id of ids) node.announce({ id, bootId: 500 })
  }

  it('calls a silent process down after downAfterMs, not before, and no other one', () => {
    const { group, node } = leading()
    announceAll(node, ['t1', 't2'])
    node.run(10)
    for (let ms = 0; ms < downAfterMs - announceMs; ms += announceMs) {
      node.run(announceMs)
      announceAll(node, ['t2'])
    }
    node.run(announceMs - 200)
    expect(node.state('transfer/t1')).toBe('up')
    node.run(500)
    expect(node.state('transfer/t1')).toBe('down')
    expect(node.state('transfer/t2')).toBe('up')
    const entries = group.log.length
    announceAll(node, ['t2'])
    node.run(announceMs)
    expect(group.log.length).toBe(entries)
  })

  it('takes a process back as soon as it is heard again', () => {
    const { node } = leading()
    announceAll(node, ['t1'])
    node.run(downAfterMs + 500)
    expect(node.state('transfer/t1')).toBe('down')
    announceAll(node, ['t1'])
    node.run(10)
    expect(node.state('transfer/t1')).toBe('up')
  })

  it('believes a refused connection at once, unless the process is heard after it', () => {
    const { node } = leading()
    announceAll(node, ['t1', 't2'])
    node.run(10)
    node.arbiter.onPeer('transfer/t1', false, false)
    node.run(200)
    expect(node.state('transfer/t1')).toBe('up')
    node.arbiter.onPeer('transfer/t2', false, true)
    announceAll(node, ['t2'])
    node.arbiter.onPeer('transfer/t1', false, true)
    node.arbiter.onPeer('client/stranger', false, true)
    node.run(30)
    expect(node.state('transfer/t1')).toBe('down')
    expect(node.state('transfer/t2')).toBe('up')
  })

  it('lets a new leader hear everybody for a full downAfterMs first', () => {
    const group = new FakeGroup()
    const nodes = [new ArbiterNode(group, 1), new ArbiterNode(group, 2)] as const
    group.lead(1)
    nodes[0].run(20)
    announceAll(nodes[0], ['t1', 't2'])
    nodes[0].run(10)
    nodes[1].run(10 * downAfterMs)
    group.lead(2)
    nodes[1].run(downAfterMs - 200)
    expect(nodes[1].state('transfer/t1')).toBe('up')
    announceAll(nodes[1], ['t2'])
    nodes[1].run(400)
    expect(nodes[1].state('transfer/t1')).toBe('down')
    expect(nodes[1].state('transfer/t2')).toBe('up')
  })

  it('calls nobody down for its own standstill', () => {
    const { node } = leading()
    announceAll(node, ['t1'])
    node.run(10)
    node.env.now += 2 * downAfterMs
    node.run(announceMs)
    expect(node.state('transfer/t1')).toBe('up')
    node.run(downAfterMs)
    expect(node.state('transfer/t1')).toBe('down')
  })

  it('does not call a process down that was heard while the entry waited', () => {
    const { group, node } = leading()
    announceAll(node, ['t1', 't2'])
    node.run(10)
    group.stuck = true
    node.announce({ id: 'other' })
    node.run(downAfterMs + 500)
    announceAll(node, ['t1'])
    group.stuck = false
    node.run(20)
    expect(node.state('transfer/t1')).toBe('up')
    expect(node.state('transfer/t2')).toBe('down')
  })

  it('spaces the changes of a process that flaps, without holding up others or its leaving', () => {
    const { node } = leading()
    let restarts = 0
    const answers: string[] = []
    for (let ms = 0; ms < 10 * downAfterMs; ms += 100) {
      node.announce({ bootId: 1_000 + ++restarts })
      node.run(100)
      answers.push(...node.answers())
    }
    expect(restarts).toBe(300)
    expect(answers).toHaveLength(300)
    expect(answers.filter(kind => kind === 'ANNOUNCE_OK').length).toBeLessThanOrEqual(4 + 10)
    expect(node.epoch).toBeLessThanOrEqual(1 + 4 + 10)
    node.announce({ bootId: 2_000 })
    const [refusal] = node.env.take()
    expect(kindOf(refusal!.packet)).toBe('RATE_LIMITED')
    expect(refusal!.packet.payload).toMatchObject({ retryAfterMs: expect.any(Number) })
    node.announce({ id: 't2' })
    node.announce({ bootId: 2_000, stopping: true })
    node.run(10)
    expect(node.answers()).toEqual(['ANNOUNCE_OK', 'ANNOUNCE_OK'])
    expect(node.state('transfer/t1')).toBe('draining')
  })

  it('moves no slot, however many processes go', () => {
    const { node } = leading()
    const { runs } = node.keeper.view().table!
    for (const id of ['s1/1', 's1/2', 's1/3']) node.announce({ role: 'router', id })
    node.run(4 * downAfterMs)
    expect(node.state('router/s1/1')).toBe('down')
    expect(node.keeper.view().table!.runs).toEqual(runs)
  })
})
