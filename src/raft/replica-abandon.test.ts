import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'

/** All that is left is one replica, which has an entry of which it never heard that it was committed. */
function leftAlone() {
  const group = new ReplicaGroup()
  group.write(['known to all'])
  const first = group.leader().id
  const [second, third] = [1, 2, 3].filter(id => id !== first) as [number, number]
  const next = group.replica(first).status().lastIndex + 1
  group.lose = message => {
    if (message.from === third || message.to === third) return true
    return 'commit' in message && message.commit >= next
  }
  let acknowledged = false
  group.propose(first, 'acknowledged', () => {
    acknowledged = true
  })
  group.passUntil(() => acknowledged)
  group.crash(first)
  group.crash(third)
  group.heal()
  const { commit, lastIndex } = group.replica(second).status()
  return { group, first, second, third, commit, lastIndex }
}

describe('a replica whose group is given up', () => {
  it('has everything that its log holds, heard of as committed or not', () => {
    const { group, second, commit, lastIndex } = leftAlone()
    expect(lastIndex).toBeGreaterThan(commit)
    expect(group.replica(second).getRow(`entry/${lastIndex}`)).toBeUndefined()
    expect(group.replica(second).abandon()).toBe(false)
    group.settle()
    expect(group.replica(second).abandon()).toBe(true)
    expect(group.replica(second).getRow(`entry/${lastIndex}`)?.toString()).toBe('acknowledged')
  })

  it('takes no part in anything any more, and changes no more', () => {
    const { group, first, second, third, lastIndex } = leftAlone()
    group.replica(second).abandon()
    group.settle()
    const said: number[] = []
    group.lose = ({ from }) => {
      if (from === second) said.push(from)
      return false
    }
    group.start(first)
    group.start(third)
    group.passUntil(() => [first, third].some(id => group.replica(id).leading()))
    group.write(['without it'])
    group.pass(3_000)
    expect(said).toEqual([])
    expect(group.replica(second).status().lastIndex).toBe(lastIndex)
    expect(group.propose(second, 'no', () => {})).toBe('notLeader')
    expect(group.replica(second).read(() => {})).toBe('notLeader')
  })

  it('leads no more when it did', () => {
    const group = new ReplicaGroup()
    group.write(['a'])
    const { id } = group.leader()
    group.replica(id).abandon()
    group.settle()
    expect(group.replica(id).leading()).toBe(false)
    expect(group.leader(id).id).not.toBe(id)
  })

  it('says all that again after a restart, once it is told again', () => {
    const { group, second, lastIndex } = leftAlone()
    group.replica(second).abandon()
    group.settle()
    group.crash(second)
    group.start(second)
    group.replica(second).abandon()
    group.settle()
    expect(group.replica(second).abandon()).toBe(true)
    expect(group.replica(second).getRow(`entry/${lastIndex}`)?.toString()).toBe('acknowledged')
  })
})
