import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'

const seeds = Array.from({ length: 20 }, (_, at) => at + 1)

/** From now on each disk writes for so long at a time, all that waits when it begins. */
function slowDown(group: ReplicaGroup, writeMs: number): void {
  for (const { disk } of group.nodes) {
    const complete = disk.complete.bind(disk)
    let batch = 0
    let endMs = 0
    disk.complete = () => {
      if (batch === 0) {
        batch = disk.pending
        endMs = group.nowMs + writeMs
      }
      if (batch === 0 || group.nowMs < endMs) return false
      batch--
      return complete()
    }
  }
}

/** @returns how long it took until another leader could serve. */
function failOver(group: ReplicaGroup): number {
  const { id } = group.leader()
  const startMs = group.nowMs
  group.crash(id)
  group.leader()
  return group.nowMs - startMs
}

describe('an election', () => {
  it.each([
    [120, 2_000],
    [300, 15_000]
  ])(
    'comes to an end although each write of a vote takes %i ms, within %i ms',
    (writeMs, withinMs) => {
      for (const seed of seeds) {
        const group = new ReplicaGroup({ seed })
        group.leader()
        slowDown(group, writeMs)
        expect(failOver(group)).toBeLessThan(withinMs)
      }
    }
  )

  it('is not given up while the own vote is on its way to the disk', () => {
    const group = new ReplicaGroup()
    const { id, disk, replica } = group.follower()
    group.pass(1_000)
    const complete = disk.complete.bind(disk)
    disk.complete = () => false
    group.lose = ({ type, from }) => type === 'preVote' && from !== id
    group.crash(group.leader().id)
    group.passUntil(() => replica!.status().role === 'candidate')
    const term = replica!.term()
    group.pass(3_000)
    expect(replica!.status()).toMatchObject({ role: 'candidate', term })
    disk.complete = complete
    // Only now the other is asked, and has as long as ever to answer.
    group.passUntil(() => replica!.leading(), 20)
    expect(replica!.term()).toBe(term)
  })

  it('is repeated soon at first, and each time after twice as long, until a leader is heard', () => {
    for (const seed of seeds) {
      const group = new ReplicaGroup({ seed })
      for (let times = 0; times < 2; times++) {
        const gapsMs = gapsOfFruitless(group, 4)
        for (const [at, gapMs] of gapsMs.entries()) {
          const waitMs = Math.min(50 * 2 ** at, 250)
          expect(gapMs).toBeGreaterThanOrEqual(waitMs)
          expect(gapMs).toBeLessThanOrEqual(3 * waitMs)
        }
      }
    }
  })
})

describe('a follower whose disk is at work on an append', () => {
  it('does not write for the same acknowledgement again, and gives it once', () => {
    const group = new ReplicaGroup()
    const leader = group.leader()
    const { id, disk } = group.follower()
    group.pass(1_000)
    const complete = disk.complete.bind(disk)
    disk.complete = () => false
    group.write(['x'])
    const begunWrites = disk.pending
    let appends = 0
    let answers = 0
    group.lose = ({ type, from, to }) => {
      if (type === 'append' && to === id) appends++
      if (type === 'appendAnswer' && from === id) answers++
      return false
    }
    group.pass(300)
    expect(appends).toBeGreaterThan(4)
    expect(answers).toBe(0)
    expect(disk.pending).toBe(begunWrites)
    // Another entry is another acknowledgement.
    group.write(['y'])
    expect(disk.pending).toBe(begunWrites + 1)
    disk.complete = complete
    group.settle()
    expect(answers).toBe(2)
    const { lastIndex, progress } = leader.replica!.status()
    expect(progress.find(member => member.id === id)!.match).toBe(lastIndex)
  })

  it('gives it again to the next leader', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    const { id, disk } = group.follower()
    group.pass(1_000)
    const complete = disk.complete.bind(disk)
    disk.complete = () => false
    group.write(['x'])
    group.crash(old.id)
    group.pass(1_000)
    disk.complete = complete
    const next = group.leader()
    group.write(['y'])
    const { lastIndex } = next.replica!.status()
    expect(group.replica(id).status().stableIndex).toBe(lastIndex)
  })
})

/**
 * Nobody's vote counts after the leader's death until one has stood so often.
 * @returns the times between its elections.
 */
function gapsOfFruitless(group: ReplicaGroup, elections: number): number[] {
  const { id } = group.leader()
  const startsMs: number[] = []
  let candidate = 0
  group.lose = ({ type, from }) => {
    if (type === 'vote' && (candidate === 0 || from === candidate)) {
      candidate = from
      if (startsMs.at(-1) !== group.nowMs) startsMs.push(group.nowMs)
    }
    // The one stays a follower, so that it does not come between.
    return type === 'voteAnswer' || (type === 'preVote' && candidate !== 0 && from !== candidate)
  }
  group.crash(id)
  group.passUntil(() => startsMs.length > elections)
  group.heal()
  group.leader()
  group.start(id)
  group.pass(1_000)
  return startsMs.slice(1).map((startMs, at) => startMs - startsMs[at]!)
}
