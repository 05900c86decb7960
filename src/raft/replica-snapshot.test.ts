import { describe, expect, it } from 'vitest'
import { ReplicaGroup } from '../../test/support/replica-group.ts'
import { Prng } from '../base/prng.ts'
import type { RaftMessage } from './types.ts'

type Chunk = RaftMessage & { type: 'snapshot' }

const isChunk = (message: RaftMessage): message is Chunk => message.type === 'snapshot'
const texts = (count: number, prefix: string): string[] =>
  Array.from({ length: count }, (_, i) => `${prefix}/${i}`.padEnd(8 * 1024, '.'))

/** Entries of 8 KiB and a short log: a snapshot takes several chunks. */
function groupWithLaggard(): { group: ReplicaGroup; laggard: number } {
  const group = new ReplicaGroup({ trim: { trailingEntries: 10, trailingBytes: 1 << 20 } })
  const laggard = group.follower().id
  group.crash(laggard)
  grow(group)
  return { group, laggard }
}

/** So far that the log no longer reaches back. Rows are written, and the log trimmed, half a second later. */
function grow(group: ReplicaGroup): void {
  for (let i = 0; i < 12; i++) group.write(texts(8, `${group.nowMs}/${i}`))
  group.pass(1_000)
}

function expectLevel(group: ReplicaGroup): void {
  group.passUntil(() => {
    const applied = group.nodes.map(({ replica }) => replica!.status().applied)
    return applied.every(index => index === Math.max(...applied))
  })
  const { applied } = group.replica(1).status()
  const rows = group.rows(1, applied)
  expect(rows.length).toBeGreaterThan(50)
  for (const { id } of group.nodes) expect(group.rows(id, applied)).toEqual(rows)
}

describe('a snapshot under way', () => {
  it('holds up neither proposals nor heartbeats, however long it takes', () => {
    const { group, laggard } = groupWithLaggard()
    const leader = group.leader()
    const stepsOf = (): number => {
      let ended = false
      group.propose(leader.id, 'x', () => {
        ended = true
      })
      const startMs = group.nowMs
      group.passUntil(() => ended)
      return group.nowMs - startMs
    }
    const alone = stepsOf()
    let chunks = 0
    let heartbeats = 0
    // One chunk a second, while the followers' patience is 250 ms.
    let nextMs = 0
    group.start(laggard)
    group.lose = message => {
      if (message.type === 'heartbeat') heartbeats++
      if (!isChunk(message)) return false
      if (group.nowMs < nextMs) return true
      nextMs = group.nowMs + 1_000
      chunks++
      return false
    }
    while (chunks < 3) {
      heartbeats = 0
      expect(stepsOf()).toBe(alone)
      group.pass(500)
      expect(heartbeats).toBeGreaterThanOrEqual(2 * 9)
      expect(leader.replica!.leading()).toBe(true)
    }
    expect(group.replica(laggard).status().applied).toBeLessThan(5)
    group.heal()
    expectLevel(group)
  })

  it('heals under a load that grows the log faster than the trailing entries last, and lets go of the log then', () => {
    const { group, laggard } = groupWithLaggard()
    const leader = group.leader()
    const kept = (): number =>
      leader.replica!.status().applied - leader.disk.group('g').firstIndex() + 1
    const snapshotIds = new Set<number>()
    let nextMs = 0
    group.lose = message => {
      if (!isChunk(message)) return false
      if (group.nowMs < nextMs) return true
      nextMs = group.nowMs + 300
      snapshotIds.add(message.snapshotId)
      return false
    }
    group.start(laggard)
    const { replica } = group.node(laggard)
    let keptMax = 0
    const level = (): boolean => {
      group.propose(leader.id, `${group.nowMs}`, () => {})
      keptMax = Math.max(keptMax, kept())
      return replica!.status().applied + 3 >= leader.replica!.status().applied
    }
    group.passUntil(level)
    expect(snapshotIds.size).toBe(1)
    expect(keptMax).toBeGreaterThan(100)
    // So busy that what it lacked is soon beyond the trailing entries again.
    for (let i = 0; i < 300; i++) {
      level()
      group.pass(10)
    }
    expect(level()).toBe(true)
    expect(kept()).toBeLessThan(100)
    expect(snapshotIds.size).toBe(1)
    expectLevel(group)
  })

  it('carries index, term, membership and every row, which outlive a restart at once', () => {
    const { group, laggard } = groupWithLaggard()
    let meta: Chunk['meta'] | undefined
    group.alter = message => {
      if (isChunk(message)) meta = message.meta
      return message
    }
    group.start(laggard)
    const node = group.node(laggard)
    group.passUntil(() => node.disk.group('g').firstIndex() > 1)
    group.crash(laggard, 0)
    const { recovered } = node.disk.group('g')
    expect(recovered.applied).toBe(meta!.index)
    expect(recovered.membership).toEqual({ voters: [1, 2, 3], outgoing: [], learners: [] })
    expect(node.disk.group('g').term(meta!.index)).toBe(meta!.term)
    group.start(laggard)
    const { id } = group.leader()
    const rows = group.rows(laggard, meta!.index).slice(1)
    expect(rows).toEqual(group.rows(id, meta!.index).slice(1))
    expect(rows.length).toBeGreaterThan(90)
    expectLevel(group)
  })

  it('may be followed by another while the first is switched to', () => {
    const { group, laggard } = groupWithLaggard()
    group.start(laggard)
    const node = group.node(laggard)
    const { disk } = node
    const complete = disk.complete.bind(disk)
    // Everything is there, and the disk does not say that the switch is durable.
    let last: Chunk | undefined
    group.alter = message => {
      if (isChunk(message) && message.last) last = message
      return message
    }
    disk.complete = () => last === undefined && complete()
    group.passUntil(() => last !== undefined)
    grow(group)
    expect(node.replica!.status().applied).toBeLessThan(5)
    const { index } = last!.meta
    const newer = { ...last!.meta, index: index + 50 }
    for (let chunk = 0; chunk < 3; chunk++) {
      const snapshotId = last!.snapshotId + 1
      node.replica!.step({ ...last!, snapshotId, meta: newer, chunk, last: chunk === 2 })
    }
    disk.complete = complete
    disk.completeAll()
    // Neither a part of the second nor a mixture.
    expect(node.replica!.status().applied).toBe(index)
    expectLevel(group)
  })

  it('may be overtaken by a newer one, whose chunks come mixed with the old ones', () => {
    for (let seed = 1; seed <= 4; seed++) {
      const { group, laggard } = groupWithLaggard()
      const stale: Chunk[] = []
      group.start(laggard)
      group.lose = message => {
        if (isChunk(message) && stale.length < 3) stale.push(message)
        return false
      }
      group.passUntil(() => stale.length === 3)
      // Cut off in the middle, it gets another snapshot, of a later state, when it is back.
      group.crash(laggard, 10)
      grow(group)
      group.start(laggard)
      const random = new Prng(seed)
      group.lose = message => {
        if (isChunk(message) && random.below(2) === 0) {
          const old = stale[random.below(stale.length)]!
          group.replica(laggard).step({ ...old, term: message.term })
        }
        return false
      }
      expectLevel(group)
    }
  })

  it('is whole although its chunks come in any order and more than once', () => {
    for (let seed = 1; seed <= 8; seed++) {
      const { group, laggard } = groupWithLaggard()
      const random = new Prng(seed)
      const seen: RaftMessage[] = []
      group.lose = message => {
        if (!isChunk(message)) return false
        seen.push(message)
        const again = seen[random.below(seen.length)]!
        if (random.below(2) === 0) group.replica(laggard).step(again)
        return random.below(3) === 0
      }
      group.start(laggard)
      expectLevel(group)
      expect(seen.length).toBeGreaterThan(3)
    }
  })

  it('comes through although chunks of an earlier one and answers to earlier chunks come late', () => {
    const { group, laggard } = groupWithLaggard()
    let late = 0
    const told = new Set<string>()
    group.lose = message => {
      if (isChunk(message) && message.chunk > 0) {
        late++
        const snapshotId = message.snapshotId - 1
        group.replica(laggard).step({ ...message, snapshotId, chunk: 0, last: false })
      } else if (message.type === 'snapshotAnswer') {
        const name = `${message.snapshotId} ${message.nextChunk}`
        if (told.has(name)) return false
        told.add(name)
        const nextChunk = Math.max(message.nextChunk - 2, 0)
        for (let times = 0; times < 3; times++) {
          late++
          group.replica(message.to).step({ ...message, installed: false, nextChunk })
        }
      }
      return false
    }
    group.start(laggard)
    expectLevel(group)
    expect(late).toBeGreaterThan(3)
  })
})
