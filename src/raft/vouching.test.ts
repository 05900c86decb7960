import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'
import { MemoryDisk } from '../storage/memory-store.ts'
import type { RaftMessage } from './types.ts'

interface Scene {
  readonly group: ReplicaGroup
  /** Leads. */
  readonly first: number
  /** The only other one that has what was acknowledged last. */
  readonly second: number
  /** Was away then. */
  readonly third: number
  readonly lastIndex: number
}

/** Acknowledges something that only two have. @param between called when all have marked each other, before that. */
function onlyTwoHaveIt(between: (group: ReplicaGroup, second: number) => void = () => {}): Scene {
  const group = new ReplicaGroup()
  group.write(['everybody has it'])
  const first = group.leader().id
  const [second, third] = [1, 2, 3].filter(id => id !== first) as [number, number]
  between(group, second)
  group.cut(third)
  group.write(['only two have it'])
  return { group, first, second, third, lastIndex: group.replica(first).status().lastIndex }
}

/** The first dies, the second comes back with another disk: nobody may lead until the first is back, and then nothing is lost. */
function expectNothingLost(scene: Scene, disk: MemoryDisk): void {
  const { group, first, second, third, lastIndex } = scene
  group.crash(first)
  group.crash(second)
  group.replaceDisk(second, disk)
  group.heal()
  group.start(second)
  group.pass(5_000)
  for (const id of [second, third]) expect(group.replica(id).status().role).not.toBe('leader')
  group.start(first)
  group.passUntil(() => group.isMember(second))
  group.crash(first)
  group.write(['the two go on'])
  for (const id of [second, third]) {
    const row = group.replica(id).getRow(`entry/${lastIndex}`)
    expect(row?.toString()).toBe('only two have it')
  }
}

describe('a replica that has lost its past', () => {
  it('does not vote what only its lost disk had out of existence', () => {
    expectNothingLost(onlyTwoHaveIt(), new MemoryDisk())
  })

  it('counts again only when the leader has committed something without it', () => {
    const { group, first, second, third } = onlyTwoHaveIt()
    group.crash(third)
    group.crash(second)
    group.replaceDisk(second, new MemoryDisk())
    group.heal()
    group.start(second)
    expect(group.replica(first).leading()).toBe(true)
    const { commit } = group.replica(first).status()
    let confirmed = 0
    group.replica(first).read(yes => {
      if (yes) confirmed++
    })
    group.pass(5_000)
    expect(group.replica(second).status().quarantined).toBe(true)
    expect(group.replica(first).status().commit).toBe(commit)
    // Nor does its word that it knows no newer leader count: it may have voted for one.
    expect(confirmed).toBe(0)
    group.start(third)
    group.passUntil(() => !group.replica(second).status().quarantined)
  })

  it('is not healed by a majority that only answers: it has to hold what is appended since', () => {
    const { group, second, third } = onlyTwoHaveIt()
    group.crash(second)
    group.replaceDisk(second, new MemoryDisk())
    group.lose = ({ type, from }) => type === 'appendAnswer' && from === third
    group.start(second)
    group.pass(3_000)
    expect(group.replica(second).status().quarantined).toBe(true)
    group.heal()
    group.passUntil(() => !group.replica(second).status().quarantined)
  })

  it('is said to be whole again only once its disk says so', () => {
    const { group, second } = onlyTwoHaveIt()
    group.crash(second)
    group.replaceDisk(second, new MemoryDisk())
    group.heal()
    let told = 0
    group.alter = message => {
      if (message.from === second && message.type === 'appendAnswer' && !message.quarantined) {
        told++
        expect(group.isMember(second)).toBe(true)
      }
      return message
    }
    group.start(second)
    group.passUntil(() => told > 0)
  })

  it('is told by whoever remembers more of it that its disk is an old copy', () => {
    let old = new MemoryDisk()
    const scene = onlyTwoHaveIt((group, second) => {
      old = group.node(second).disk.copy()
      group.write(['and this'])
      group.pass(1_500)
    })
    expectNothingLost(scene, old)
  })

  it('is told by the leader that counted what it has lost', () => {
    let old = new MemoryDisk()
    const { group, first, second, third } = onlyTwoHaveIt((it, id) => {
      old = it.node(id).disk.copy()
    })
    group.crash(second)
    group.replaceDisk(second, old)
    // Nobody heals it before it is told.
    group.lose = ({ type, to }) => type === 'readIndexAnswer' && to === second
    group.start(second)
    group.settle()
    group.pass(20)
    group.lose = ({ from, to }) => from === third || to === third
    expect(group.replica(first).leading()).toBe(true)
    group.passUntil(() => !group.isMember(second))
    group.heal()
    group.passUntil(() => group.isMember(second))
  })

  it('is not kept from taking part by what somebody remembers of it from before it was healed', () => {
    const group = new ReplicaGroup({ trim: { trailingEntries: 1, trailingBytes: 1 } })
    group.write(['a', 'b', 'c', 'd'])
    group.pass(1_500)
    const first = group.leader().id
    const [second, third] = [1, 2, 3].filter(id => id !== first) as [number, number]
    const fourth = group.addNode()
    const change = (voters: readonly number[], learners: readonly number[]): void => {
      group.passUntil(() => !group.replica(first).status().changing)
      expect(group.replica(first).changeMembers({ voters, learners })).toBeUndefined()
      group.passUntil(() => !group.replica(first).status().changing)
    }
    change([1, 2, 3], [fourth])
    group.passUntil(() => group.isMember(fourth))
    change([first, second, fourth], [])
    group.write(['e', 'f', 'g', 'h'])
    group.crash(second)
    group.replaceDisk(second, new MemoryDisk())
    const late: RaftMessage[] = []
    // It does not know yet that the third is no member any more.
    group.lose = message => {
      const answers = message.from === third && message.type === 'claimAnswer'
      if (answers) late.push(message)
      return answers
    }
    group.start(second)
    group.passUntil(() => group.isMember(second))
    expect(late).toContainEqual(expect.objectContaining({ verdict: 'lost' }))
    for (const answer of late) group.replica(second).step(answer)
    expect(group.replica(second).status().quarantined).toBe(false)
    group.settle()
    expect(group.isMember(second)).toBe(true)
  })

  it('is healed again after a crash before it was healed', () => {
    const { group, second } = onlyTwoHaveIt()
    group.crash(second)
    group.replaceDisk(second, new MemoryDisk())
    group.heal()
    for (let timeMs = 10; timeMs < 200; timeMs += 10) {
      group.start(second)
      group.pass(timeMs)
      group.crash(second, timeMs % 30)
    }
    group.start(second)
    group.passUntil(() => !group.replica(second).status().quarantined)
  })
})

describe('a replica that comes back whole', () => {
  it('takes part at once, also when one of three is away', () => {
    const { group, first, second, third } = onlyTwoHaveIt()
    group.crash(second)
    group.crash(first)
    group.heal()
    group.start(second)
    group.passUntil(() => !group.replica(second).status().quarantined, 200)
    group.write(['a majority goes on'])
    expect(group.replica(third).status().quarantined).toBe(false)
  })

  it('is not distrusted for what it has done since, by who hears late of how it started', () => {
    const group = new ReplicaGroup()
    group.write(['a'])
    const first = group.leader().id
    const second = [1, 2, 3].find(id => id !== first)!
    group.crash(second)
    const late: RaftMessage[] = []
    group.lose = message => {
      const claims = message.from === second && message.to === first && message.type === 'claim'
      if (claims) late.push(message)
      return claims
    }
    group.start(second)
    group.passUntil(() => !group.replica(second).status().quarantined, 200)
    group.write(['b', 'c'])
    group.settle()
    const verdicts: unknown[] = []
    group.lose = message => {
      if (message.type === 'claimAnswer' && message.to === second) verdicts.push(message.verdict)
      return false
    }
    expect(late[0]).toMatchObject({ standing: 'returning' })
    for (const claim of late) group.replica(first).step(claim)
    group.settle()
    expect(verdicts).toContain('lost')
    expect(group.replica(second).status().quarantined).toBe(false)
    expect(group.isMember(second)).toBe(true)
  })

  it('needs nobody who knows more than it does when all come back at once', () => {
    const { group, lastIndex } = onlyTwoHaveIt()
    for (const { id } of group.nodes) group.crash(id)
    group.heal()
    for (const { id } of group.nodes) group.start(id)
    group.write(['all go on'])
    for (const { replica } of group.nodes) {
      expect(replica!.getRow(`entry/${lastIndex}`)?.toString()).toBe('only two have it')
    }
  })
})

describe('a group', () => {
  it('is founded by itself once every founder is there', () => {
    for (const missing of [1, 2, 3]) {
      const group = new ReplicaGroup({ down: [missing] })
      group.pass(3_000)
      expect(group.nodes.some(({ replica }) => replica?.leading())).toBe(false)
      group.start(missing)
      group.write(['it runs'])
    }
  })

  it('does without its founder as soon as one other was there', () => {
    const group = new ReplicaGroup()
    group.lose = message =>
      message.type === 'claimAnswer' && message.to === 3 && message.verdict === 'sound'
    group.passUntil(() => group.isMember(2))
    expect(group.isMember(3)).toBe(false)
    group.crash(1)
    group.heal()
    group.write(['it runs'])
  })

  it('is not founded again by those who have lost everything while one has not', () => {
    for (const survivor of [1, 2, 3]) {
      const group = new ReplicaGroup()
      group.write(['precious'])
      group.pass(2_000)
      for (const { id } of group.nodes) group.crash(id)
      for (const { id } of group.nodes) if (id !== survivor) group.replaceDisk(id, new MemoryDisk())
      for (const { id } of group.nodes) group.start(id)
      group.pass(5_000)
      for (const { replica } of group.nodes) expect(replica!.leading()).toBe(false)
    }
  })

  it('is founded although founders lose their disks while it is', () => {
    for (let timeMs = 0; timeMs < 200; timeMs += 10) {
      for (const victim of [1, 2, 3]) {
        const group = new ReplicaGroup({ seed: timeMs + 1 })
        group.pass(timeMs)
        group.crash(victim)
        group.replaceDisk(victim, new MemoryDisk())
        group.start(victim)
        group.pass(3_000)
        group.write(['it runs'])
      }
    }
  })
})
