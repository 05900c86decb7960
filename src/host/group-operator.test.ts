import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'
import type { RingsetError } from '../base/errors.ts'
import { GroupOperator } from './group-operator.ts'

/** A group in virtual time: it works whenever an operation waits. */
function operated(): { group: ReplicaGroup; at: (id: number) => GroupOperator } {
  const group = new ReplicaGroup()
  const at = (id: number) =>
    new GroupOperator(group.replica(id), {
      nowMs: () => group.nowMs,
      wake: () => {},
      pause: async () => group.pass(10)
    })
  return { group, at }
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'no error',
    (error: RingsetError) => error.code
  )

const words = (count: number, prefix: string) => Array.from({ length: count }, (_, i) => prefix + i)

/** Adds a fourth replica, makes it a voter, and returns its number. */
async function grown(group: ReplicaGroup, at: (id: number) => GroupOperator): Promise<number> {
  const id = group.addNode()
  await at(group.leader().id).change('add', id)
  group.pass(500)
  await at(group.leader().id).change('promote', id)
  return id
}

describe('handing over', () => {
  it('ends when the new leader serves, and says how long that took', async () => {
    const { group, at } = operated()
    group.write(['a'])
    const before = group.leader()
    const to = group.follower().id
    const report = await at(before.id).transfer(to)
    expect(report).toMatchObject({ from: before.id, to, term: group.replica(to).term() })
    expect(report.gapMs).toBeGreaterThan(0)
    expect(report.gapMs).toBeLessThan(100)
    expect(group.leader().id).toBe(to)
    group.write(['b'])
  })

  it('is not over before the new leader can commit', async () => {
    const { group, at } = operated()
    group.write(['a'])
    const { id } = group.leader()
    const to = group.follower().id
    group.lose = message => message.type === 'appendAnswer' && message.to === to
    expect(await codeOf(at(id).transfer(to))).toBe('HAND_OVER_FAILED')
    expect(group.replica(id).leader()).toBe(to)
  })

  it('to the leader itself changes nothing', async () => {
    const { group, at } = operated()
    const { id, replica } = group.leader()
    const term = replica!.term()
    expect(await at(id).transfer(id)).toEqual({ from: id, to: id, term, gapMs: 0 })
    expect(group.leader().id).toBe(id)
  })

  it('that does not come about leaves the leader in its place', async () => {
    const { group, at } = operated()
    group.write(['a'])
    const { id } = group.leader()
    group.lose = ({ type }) => type === 'timeoutNow'
    expect(await codeOf(at(id).transfer(undefined))).toBe('HAND_OVER_FAILED')
    group.heal()
    expect(group.leader().id).toBe(id)
    group.write(['b'])
  })
})

describe('a fourth replica', () => {
  it('learns, gets its vote, leads, and lets an old one go', async () => {
    const { group, at } = operated()
    group.write(words(50, 'a'))
    const old = group.leader().id
    const id = group.addNode()
    expect(await at(old).change('add', id)).toEqual({
      changed: true,
      voters: [1, 2, 3],
      learners: [id]
    })
    expect(await at(old).change('add', id)).toMatchObject({ changed: false, learners: [id] })
    group.pass(500)
    expect(await at(old).change('promote', id)).toMatchObject({ voters: [1, 2, 3, id] })
    expect(await at(old).transfer(id)).toMatchObject({ to: id })
    group.write(words(50, 'b'))
    expect(await at(id).change('remove', old)).toMatchObject({ changed: true, learners: [] })
    expect(group.replica(id).status().membership.voters).not.toContain(old)
    expect(await at(id).change('remove', old)).toMatchObject({ changed: false })
    // One of three may fail again, and the removed one is not asked.
    group.crash(group.nodes.find(node => node.id !== id && node.id !== old)!.id)
    group.cut(old)
    group.write(['after'])
  })

  it('that holds nothing gets no vote before it has caught up', async () => {
    const { group, at } = operated()
    const { id } = group.leader()
    const fourth = group.addNode()
    group.cut(fourth)
    for (let i = 0; i < 5; i++) group.write(words(50, `x${i}-`))
    await at(id).change('add', fourth)
    expect(await codeOf(at(id).change('promote', fourth))).toBe('REPLICA_BEHIND')
    group.pass(1_000)
    expect(await codeOf(at(id).change('promote', fourth))).toBe('REPLICA_DOWN')
    group.heal()
    group.pass(1_000)
    expect(await at(id).change('promote', fourth)).toMatchObject({ changed: true })
  })

  it('that was removed cannot disturb the others', async () => {
    const { group, at } = operated()
    const id = await grown(group, at)
    const { id: leader, replica } = group.leader()
    // It never hears of its removal.
    group.cut(id)
    await at(leader).change('remove', id)
    group.heal()
    const term = replica!.term()
    group.pass(5_000)
    expect(group.leader().id).toBe(leader)
    expect(replica!.term()).toBe(term)
    expect(group.replica(id).leading()).toBe(false)
  })
})

describe('a change', () => {
  it('that finds no majority is no success, and ends by itself when one is back', async () => {
    const { group, at } = operated()
    const { id } = group.leader()
    const fourth = group.addNode()
    const others = [1, 2, 3].filter(other => other !== id)
    group.lose = ({ from, to }) => others.includes(from) || others.includes(to)
    const code = await codeOf(at(id).change('add', fourth))
    // A leader that hears nobody steps down.
    expect(code).toBe('PROPOSAL_DROPPED')
    group.heal()
    const next = group.leader().id
    await at(next).change('add', fourth)
    expect(group.replica(next).status().membership.learners).toEqual([fourth])
  })

  it('is refused by whoever does not lead', async () => {
    const { group, at } = operated()
    group.leader()
    expect(await codeOf(at(group.follower().id).change('remove', 1))).toBe('NOT_LEADER')
    expect(await codeOf(at(group.follower().id).transfer(undefined))).toBe('NOT_LEADER')
  })
})
