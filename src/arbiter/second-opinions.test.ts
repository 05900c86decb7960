import { describe, expect, it } from 'vitest'
import { type ArbiterNode, downAfterMs, leading } from '../../test/support/arbiter-node.ts'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import type { RoutingTable } from '../table/table.ts'
import { knownProcesses } from './processes.ts'
import { SecondOpinions } from './second-opinions.ts'

/** Gateways t1 to t4 on nodes x1 to x4; the arbiters are on n1, which leads, n2 and n3. */
function cluster(): ArbiterNode {
  const { node } = leading()
  announce(node, ['1', '2', '3', '4'])
  node.run(10)
  return node
}

function announce(node: ArbiterNode, numbers: readonly string[]): void {
  for (const n of numbers) node.announce({ id: `t${n}`, nodeId: `x${n}`, bootId: 500 })
  node.env.take()
}

/** Lets time pass while only some gateways are heard by the leader. */
function pass(node: ArbiterNode, forMs: number, heard: readonly string[]): void {
  for (let passedMs = 0; passedMs < forMs; passedMs += 500) {
    announce(node, heard)
    node.run(500)
  }
}

const others = ['2', '3', '4']
const told = ({ env }: ArbiterNode): number =>
  env.events.filter(({ event }) => event === 'arbiter.node_heard_by_others').length

describe('arbiter: two observers', () => {
  it('keeps a node that others hear, for as long as the leader alone is cut off from it', () => {
    const node = cluster()
    node.observed = () => true
    pass(node, 20 * downAfterMs, others)
    expect([node.state('transfer/t1'), told(node)]).toEqual(['up', 1])
    node.observed = () => false
    node.run(600)
    expect(node.state('transfer/t1')).toBe('down')
    expect(others.map(n => node.state(`transfer/t${n}`))).toEqual(['up', 'up', 'up'])
  })

  it('does not believe a refused connection that only the leader meets', () => {
    const node = cluster()
    node.observed = () => true
    node.arbiter.onPeer('transfer/t1', false, true)
    pass(node, 2 * downAfterMs, others)
    expect(node.state('transfer/t1')).toBe('up')
    announce(node, ['1'])
    node.observed = () => false
    pass(node, downAfterMs / 2, others)
    expect(node.state('transfer/t1')).toBe('up')
    node.arbiter.onPeer('transfer/t1', false, true)
    node.run(30)
    expect(node.state('transfer/t1')).toBe('down')
  })

  it('goes by the greater part of those who answer, itself among them', () => {
    const node = cluster()
    node.observed = (_, observer) => observer !== 'x2'
    pass(node, 3 * downAfterMs, others)
    expect(node.state('transfer/t1')).toBe('up')
    node.observed = (_, observer) => observer === 'x2'
    pass(node, downAfterMs / 2, others)
    expect(node.state('transfer/t1')).toBe('down')
  })

  it('waits three times as long where nobody answers', () => {
    const node = cluster()
    node.observed = () => undefined
    pass(node, 2.5 * downAfterMs, others)
    expect(node.state('transfer/t1')).toBe('up')
    pass(node, downAfterMs / 2, others)
    expect(node.state('transfer/t1')).toBe('down')
  })

  it('asks again about each new silence', () => {
    const node = cluster()
    node.observed = () => true
    pass(node, 2 * downAfterMs, others)
    expect(told(node)).toBe(1)
    pass(node, downAfterMs, ['1', ...others])
    pass(node, 2 * downAfterMs, others)
    expect([node.state('transfer/t1'), told(node)]).toEqual(['up', 2])
  })

  it('leaves a process down, once it is, until it is heard', () => {
    const node = cluster()
    pass(node, 2 * downAfterMs, others)
    node.observed = () => true
    pass(node, downAfterMs, others)
    expect(node.state('transfer/t1')).toBe('down')
    announce(node, ['1'])
    node.run(10)
    expect(node.state('transfer/t1')).toBe('up')
  })
})

const process = (n: number, state: 'up' | 'down' = 'up') => ({
  id: `t${n}`,
  nodeId: `x${n}`,
  bootId: n,
  address: '',
  state,
  version: '',
  weight: 1,
  clientAddresses: []
})

/** Sets s1 with nodes x1 to x4, and s2 with x5 to x7, of which the last is down; arbiters on a1 and a2. */
const table = {
  arbiters: [1, 2].map(replicaId => ({ replicaId, nodeId: `a${replicaId}`, address: '' })),
  sets: [
    { id: 's2', transfers: [process(5), process(6), process(7, 'down')], logics: [], routers: [] },
    { id: 's1', transfers: [1, 2, 3, 4].map(n => process(n)), logics: [], routers: [] }
  ]
} as unknown as RoutingTable

class Harness {
  readonly env = new FakeRoleEnv('arbiter/1', 42)
  readonly opinions = new SecondOpinions(this.env, 'a1', downAfterMs)

  #suspects(nodeIds: readonly string[]) {
    return knownProcesses(table).filter(({ nodeId }) => nodeIds.includes(nodeId))
  }

  /** One round of asking; the questions by observer. */
  attend(...nodeIds: string[]): Map<string, Packet<'OBSERVE'>> {
    this.env.now += 500
    this.opinions.attend(table, this.#suspects(nodeIds), this.env.now)
    const sent = this.env.take()
    return new Map(sent.map(({ to, packet }) => [to, packet as Packet<'OBSERVE'>]))
  }

  verdict(nodeId: string): boolean {
    return this.opinions.agree(this.#suspects([nodeId])[0]!, this.env.now)
  }

  say(observer: string, question: Packet<'OBSERVE'>, ...heard: boolean[]): void {
    this.opinions.onAnswer(observer, answer(question, 'OBSERVE_OK', { heard }))
  }
}

describe('second opinions', () => {
  it('come from three others: of its own set first, none that is suspected, down, or the asker', () => {
    const harness = new Harness()
    expect([...harness.attend('x1', 'x2').keys()]).toEqual([
      'observer/x3',
      'observer/x4',
      'observer/x5'
    ])
    const all = harness.attend('x1', 'x2', 'x3', 'x5', 'x6')
    expect([...all.keys()].sort()).toEqual(['observer/a2', 'observer/x4'])
    const { suspects } = all.get('observer/x4')!.payload
    const lives = suspects.map(({ nodeId, bootId }) => `${nodeId} ${bootId}`)
    expect(lives.sort()).toEqual(['x1 1', 'x2 2', 'x3 3', 'x5 5', 'x6 6'])
  })

  it('are not waited for where there is nobody else', () => {
    const harness = new Harness()
    harness.attend('x1', 'x2', 'x3', 'x4', 'x5', 'x6', 'a2')
    expect(harness.verdict('x1')).toBe(false)
    const alone = { ...table, arbiters: table.arbiters.slice(0, 1) }
    harness.opinions.reset()
    harness.opinions.attend(alone, knownProcesses(table), harness.env.now)
    expect(harness.verdict('x1')).toBe(true)
  })

  it('come from others when an observer owes an answer', () => {
    const harness = new Harness()
    for (const [observer, question] of harness.attend('x1')) {
      if (observer !== 'observer/x2') harness.say(observer, question, true)
    }
    expect([...harness.attend('x1').keys()]).toEqual(['observer/x3', 'observer/x4', 'observer/x5'])
  })

  it('count once two know and the rest cannot turn it', () => {
    const harness = new Harness()
    const [first, second, third] = [...harness.attend('x1')]
    harness.say(...first!, false)
    expect(harness.verdict('x1')).toBe(false)
    harness.say(...second!, false)
    expect(harness.verdict('x1')).toBe(true)
    harness.say(...third!, true)
    expect(harness.verdict('x1')).toBe(true)
  })

  it('do not count from strangers, for other questions, or of another length', () => {
    const harness = new Harness()
    const question = harness.attend('x1').get('observer/x2')!
    harness.say('observer/x7', question, false)
    harness.say('observer/x2', { ...question, sequence: 99 }, false)
    harness.say('observer/x2', { ...question, bootId: 41 }, false)
    harness.say('observer/x2', question, false, false)
    harness.say('observer/x2', question, false)
    harness.env.now += 500
    expect(harness.verdict('x1')).toBe(false)
    expect(harness.env.counts.get('arbiter_bad_observations_total')).toBe(1)
  })

  it('are of one life, and grow old', () => {
    const harness = new Harness()
    for (const [observer, question] of harness.attend('x1')) harness.say(observer, question, false)
    expect(harness.verdict('x1')).toBe(true)
    const next = { ...knownProcesses(table).find(({ nodeId }) => nodeId === 'x1')!, bootId: 99 }
    expect(harness.opinions.agree(next, harness.env.now)).toBe(false)
    harness.env.now += 2_000
    expect(harness.verdict('x1')).toBe(false)
  })
})
