import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'
import { Prng } from '../base/prng.ts'
import type { ProposeOutcome } from './replica-api.ts'
import type { RaftMessage } from './types.ts'

const texts = (count: number, prefix = 'x', bytes = 0): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}${i}`.padEnd(bytes, '.'))

function expectEqualRows(group: ReplicaGroup): void {
  group.passUntil(() => {
    const applied = group.nodes.map(({ replica }) => replica!.status().applied)
    return applied.every(index => index === Math.max(...applied))
  })
  const { applied } = group.replica(1).status()
  const expected = group.rows(1, applied)
  expect(expected.length).toBeGreaterThan(1)
  for (const { id } of group.nodes) expect(group.rows(id, applied)).toEqual(expected)
}

describe('proposals', () => {
  it('are answered in order with the results of the machine, in a later flush', () => {
    const group = new ReplicaGroup()
    const { id, replica } = group.leader()
    const outcomes: ProposeOutcome[] = []
    for (const text of texts(20)) {
      expect(group.propose(id, text, outcome => outcomes.push(outcome))).toBeUndefined()
    }
    expect(outcomes).toEqual([])
    group.settle()
    const first = replica!.status().applied - 19
    expect(outcomes).toEqual(texts(20).map((text, i) => ({ results: [first + i, text.length] })))
    expectEqualRows(group)
  })

  it('are refused by a follower, and nothing is called', () => {
    const group = new ReplicaGroup()
    const { id } = group.follower()
    const refusal = group.propose(id, 'x', () => {
      throw new Error('called')
    })
    expect(refusal).toBe('notLeader')
    group.pass(1_000)
  })

  it('are lost once each when the leader is deposed, whatever comes afterwards', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    group.write(['before'])
    group.cut(old.id)
    const outcomes: ProposeOutcome[] = []
    for (const text of texts(5)) group.propose(old.id, text, outcome => outcomes.push(outcome))
    const next = group.leader(old.id)
    for (const text of texts(9, 'y')) group.propose(next.id, text, () => {})
    group.pass(1_000)
    expect(outcomes).toEqual(Array(5).fill('lost'))
    group.heal()
    group.pass(1_000)
    expect(outcomes).toHaveLength(5)
    expectEqualRows(group)
  })

  it('may be applied although they were called lost', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    // The followers get the entry and their answers are lost: it will be committed by the next leader.
    group.lose = message => message.type === 'appendAnswer' && message.to === old.id
    const outcomes: ProposeOutcome[] = []
    group.propose(old.id, 'kept', outcome => outcomes.push(outcome))
    group.settle()
    group.cut(old.id)
    const applied: string[] = []
    group.onApplied = (_node, _index, text) => applied.push(text)
    group.leader(old.id)
    group.heal()
    group.pass(1_000)
    expect(outcomes).toEqual(['lost'])
    expect(applied).toEqual(['kept', 'kept', 'kept'])
  })

  it('wait for the disk of a majority', () => {
    const group = new ReplicaGroup()
    const { id, disk } = group.leader()
    const outcomes: ProposeOutcome[] = []
    group.propose(id, 'x', outcome => outcomes.push(outcome))
    // Nothing but the leader's own disk works.
    for (let round = 0; round < 20; round++) {
      group.flush()
      while (group.wires.length > 0) group.deliver()
      disk.completeAll()
    }
    expect(outcomes).toEqual([])
    group.settle()
    expect(outcomes).toHaveLength(1)
  })
})

describe('reads', () => {
  it('are confirmed at the leader with everything acknowledged before', () => {
    const group = new ReplicaGroup()
    group.write(['a', 'b'])
    const { id, replica } = group.leader()
    const { applied } = replica!.status()
    const answers: boolean[] = []
    expect(replica!.read(confirmed => answers.push(confirmed))).toBeUndefined()
    expect(answers).toEqual([])
    group.settle()
    expect(answers).toEqual([true])
    expect(group.rows(id, applied)).toHaveLength(3)
    expect(group.replica(group.follower().id).read(() => {})).toBe('notLeader')
  })

  it('are refused by a leader that was cut off, within the time of check-quorum', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    group.cut(old.id)
    const answers: boolean[] = []
    for (let i = 0; i < 3; i++) old.replica!.read(confirmed => answers.push(confirmed))
    group.pass(1_100)
    expect(answers).toEqual([false, false, false])
  })
})

describe('leadership', () => {
  it('is served only while it lasts, and handed over on request', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    expect(group.nodes.filter(({ replica }) => replica!.leading())).toHaveLength(1)
    expect(old.replica!.transferLeadership()).toBeUndefined()
    group.passUntil(() => !old.replica!.leading(), 200)
    const next = group.leader()
    expect(next.id).not.toBe(old.id)
    group.write(['x'])
    expect(group.nodes.map(({ replica }) => replica!.leader())).toEqual(Array(3).fill(next.id))
  })

  it('is handed to one that does not mind, although it lacks more', () => {
    for (const unwilling of [1, 2]) {
      const group = new ReplicaGroup()
      const old = group.leader()
      const [reluctant, willing] = [unwilling, 3 - unwilling].map(
        step => ((old.id + step - 1) % 3) + 1
      )
      group.reluctant.add(reluctant!)
      group.pass(100)
      group.lose = ({ type, to }) => type === 'append' && to === willing
      group.write(['x'])
      const willingNow = () =>
        old.replica!.status().progress.map(({ id, willing: does }) => does && id !== old.id && id)
      expect(willingNow().filter(Boolean)).toEqual([willing])
      expect(old.replica!.transferLeadership()).toBeUndefined()
      group.heal()
      expect(group.leader(old.id).id).toBe(willing)
      group.reluctant.delete(reluctant!)
    }
  })

  it('is given up by a leader that hears nobody, to one that hears it', () => {
    for (let seed = 1; seed <= 20; seed++) {
      const group = new ReplicaGroup({ seed })
      const old = group.leader()
      group.write(['x'])
      group.lose = ({ to }) => to === old.id
      const startMs = group.nowMs
      group.passUntil(() => !old.replica!.leading(), 1_000)
      const next = group.leader(old.id)
      expect(group.nowMs - startMs).toBeLessThan(400)
      group.pass(2_000)
      expect(group.leader(old.id)).toBe(next)
      group.heal()
      group.write(['y'])
      expectEqualRows(group)
    }
  })

  it('is kept as long as a majority is heard', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    const [deaf] = group.nodes.filter(({ id }) => id !== old.id)
    group.lose = ({ to, from }) => to === old.id && from === deaf!.id
    const { term } = old.replica!.status()
    group.pass(5_000)
    expect(old.replica!.leading()).toBe(true)
    expect(old.replica!.status().term).toBe(term)
  })

  it('is taken over at once when the process of the leader is certainly gone', () => {
    const group = new ReplicaGroup()
    const old = group.leader()
    group.write(['x'])
    group.crash(old.id)
    for (const { replica } of group.nodes) replica?.peer(old.id, false, true)
    const startMs = group.nowMs
    group.leader()
    expect(group.nowMs - startMs).toBeLessThan(100)
  })
})

/** Few trailing entries, and entries of 8 KiB, so that a snapshot takes several chunks. */
function groupWithLaggard(): { group: ReplicaGroup; laggard: number } {
  const group = new ReplicaGroup({ trim: { trailingEntries: 10, trailingBytes: 1 << 20 } })
  const laggard = group.follower().id
  group.write(['first'])
  group.crash(laggard)
  for (let i = 0; i < 20; i++) group.write(texts(5, `${i}/`, 8 * 1024))
  // Rows are written, and the log trimmed, half a second later.
  group.pass(1_000)
  return { group, laggard }
}

describe('snapshots', () => {
  const isChunk = (message: RaftMessage) => message.type === 'snapshot'

  it('bring a follower back that is behind the trimmed log', () => {
    const { group, laggard } = groupWithLaggard()
    const { disk } = group.leader()
    expect(disk.group('g').firstIndex()).toBeGreaterThan(50)
    let chunks = 0
    group.alter = message => {
      if (isChunk(message)) chunks++
      return message
    }
    group.start(laggard)
    expectEqualRows(group)
    expect(chunks).toBeGreaterThan(2)
    group.write(texts(5, 'after'))
    expectEqualRows(group)
  })

  it('survive lost chunks and lost answers', () => {
    const { group, laggard } = groupWithLaggard()
    let lost = 0
    const random = new Prng(1)
    group.lose = ({ type }) => {
      if (type !== 'snapshot' && type !== 'snapshotAnswer') return false
      const loses = random.below(2) === 0
      if (loses) lost++
      return loses
    }
    group.start(laggard)
    expectEqualRows(group)
    expect(lost).toBeGreaterThan(3)
  })

  it.each([1, 2, 3, 4])(
    'are resumed or begun anew when the receiver crashes at chunk %i, whatever its disk keeps',
    crashAt => {
      for (let keep = 0; keep <= 7; keep++) {
        const { group, laggard } = groupWithLaggard()
        group.start(laggard)
        let chunks = 0
        group.alter = message => {
          if (isChunk(message)) chunks++
          return message
        }
        // One step of anything at a time, so that the crash may come between any two.
        for (let i = 0; chunks < crashAt && i < 100_000; i++) {
          if (i % 20 === 0) group.tick()
          group.flush()
          if (group.wires.length > 0) group.deliver()
          else for (const { disk } of group.nodes) disk.complete()
        }
        while (group.wires.length > 0) group.deliver()
        group.crash(laggard, keep)
        group.start(laggard)
        expectEqualRows(group)
      }
    }
  )

  it('are begun anew by the next leader when the sender is deposed', () => {
    const { group, laggard } = groupWithLaggard()
    const old = group.leader()
    group.start(laggard)
    let chunks = 0
    group.lose = message => isChunk(message) && ++chunks > 1
    group.pass(300)
    expect(chunks).toBeGreaterThan(1)
    group.cut(old.id)
    group.leader(old.id)
    group.heal()
    expectEqualRows(group)
  })

  it('are refused and sent again when a chunk is damaged', () => {
    const { group, laggard } = groupWithLaggard()
    let damaged = 0
    group.alter = message => {
      if (message.type !== 'snapshot' || message.chunk !== 1 || damaged > 0) return message
      damaged++
      const data = Buffer.from(message.data)
      data[data.length >> 1]! ^= 4
      return { ...message, data }
    }
    group.start(laggard)
    expectEqualRows(group)
    expect(damaged).toBe(1)
  })
})

describe('trimming', () => {
  it('keeps the trailing entries and little more', () => {
    const group = new ReplicaGroup({ trim: { trailingEntries: 80, trailingBytes: 1 << 30 } })
    for (let i = 0; i < 40; i++) {
      group.write(texts(10))
      group.pass(60)
    }
    for (const { disk, replica } of group.nodes) {
      const kept = replica!.status().applied - disk.group('g').firstIndex() + 1
      expect(kept).toBeGreaterThanOrEqual(80)
      expect(kept).toBeLessThan(80 + 30)
    }
  })

  it('keeps the trailing bytes and little more', () => {
    const group = new ReplicaGroup({ trim: { trailingEntries: 100_000, trailingBytes: 64 * 1024 } })
    for (let i = 0; i < 60; i++) {
      group.write(texts(2, 'x', 2 * 1024))
      group.pass(60)
    }
    for (const { disk, replica } of group.nodes) {
      const kept = replica!.status().applied - disk.group('g').firstIndex() + 1
      expect(kept).toBeGreaterThanOrEqual(31)
      expect(kept).toBeLessThan(64)
    }
  })
})

describe('a quarantined replica', () => {
  it('catches up, counts again, and is not in quarantine at the next start', () => {
    const group = new ReplicaGroup({ trim: { trailingEntries: 10, trailingBytes: 1 << 20 } })
    group.write(texts(100))
    const { id } = group.follower()
    const node = group.node(id)
    node.disk = node.disk.wipe('the disk was swapped')
    group.start(id)
    expect(node.replica!.status().quarantined).toBe(true)
    group.passUntil(() => !node.replica!.status().quarantined)
    group.pass(100)
    group.crash(id)
    group.start(id)
    group.passUntil(() => !node.replica!.status().quarantined, 100)
    // It is one of the only two left, so it has to vote and to count.
    const third = group.nodes.find(other => other.id !== id && !other.replica!.leading())!
    group.crash(third.id)
    group.write(['with its help'])
    group.start(third.id)
    expectEqualRows(group)
  })
})
