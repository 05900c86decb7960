import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Prng } from '../base/prng.ts'
import { Raft } from './raft.ts'
import type { LogReader, RaftConfig } from './raft-api.ts'
import type { Entry, RaftMessage, ReplicaId } from './types.ts'

const config: RaftConfig = {
  id: 1,
  electionTicks: 10,
  heartbeatTicks: 2,
  recampaignTicks: 3,
  checkQuorumTicks: 10,
  transferTicks: 10,
  maxInflightMessages: 16,
  maxInflightBytes: 1 << 20,
  maxMessageBytes: 1 << 16,
  maxUncommittedBytes: 1 << 20,
  preVote: false,
  checkQuorum: false
}

const unknownCommit = { commit: 0, commitTerm: 0 }

class List implements LogReader {
  readonly list: Entry[]

  constructor(terms: readonly number[] = []) {
    this.list = terms.map((term, at) => ({ index: at + 1, term, kind: 0, data: Buffer.alloc(0) }))
  }

  firstIndex(): number {
    return 1
  }

  lastIndex(): number {
    return this.list.length
  }

  term(index: number): number | undefined {
    return this.list[index - 1]?.term
  }

  entries(from: number, to: number): Entry[] {
    return this.list.slice(from - 1, to - 1)
  }
}

interface Options {
  readonly seed?: number
  readonly voters?: readonly ReplicaId[]
  readonly terms?: readonly number[]
  readonly changes?: Partial<RaftConfig>
}

/** A replica whose disk answers at once. */
class Replica {
  readonly raft: Raft
  readonly store: List

  constructor({ seed = 1, voters = [1, 2, 3], terms = [], changes = {} }: Options = {}) {
    this.store = new List(terms)
    this.raft = new Raft(
      { ...config, ...changes },
      {
        hardState: { term: terms[terms.length - 1] ?? 0, vote: 0, commit: 0 },
        applied: 0,
        membership: { voters, outgoing: [], learners: [] },
        quarantined: false
      },
      this.store,
      new Prng(seed)
    )
  }

  /** Runs until nothing is left to do. @returns what was sent. */
  flush(): RaftMessage[] {
    const sent: RaftMessage[] = []
    while (this.raft.hasReady()) {
      const { append, now, afterAppend, committed } = this.raft.ready()
      if (append?.truncateFrom !== undefined) this.store.list.length = append.truncateFrom - 1
      for (const entry of append?.entries ?? []) this.store.list.push(entry)
      sent.push(...now)
      if (append !== undefined) this.raft.appended(append.ack)
      sent.push(...afterAppend)
      const last = committed[committed.length - 1]
      if (last !== undefined) this.raft.applied(last.index)
    }
    return sent
  }

  role(): string {
    return this.raft.status().role
  }
}

describe('election timer', () => {
  const ticksToCampaign = (seed: number): number => {
    const { raft } = new Replica({ seed })
    let ticks = 0
    while (raft.status().role === 'follower') {
      raft.tick()
      ticks++
    }
    return ticks
  }

  it('is uniform over one to two timeouts (6)', () => {
    const counts = new Map<number, number>()
    for (let seed = 1; seed <= 2_000; seed++) {
      const ticks = ticksToCampaign(seed)
      counts.set(ticks, (counts.get(ticks) ?? 0) + 1)
    }
    expect([...counts.keys()].sort((a, b) => a - b)).toEqual([
      10, 11, 12, 13, 14, 15, 16, 17, 18, 19
    ])
    for (const count of counts.values()) {
      expect(count).toBeGreaterThan(120)
      expect(count).toBeLessThan(280)
    }
  })

  it('seldom fires on two replicas at once (6)', () => {
    let clashes = 0
    for (let run = 1; run <= 500; run++) {
      const ticks = [1, 2, 3, 4, 5].map(replica => ticksToCampaign(run * 10 + replica))
      const first = Math.min(...ticks)
      if (ticks.filter(each => each === first).length > 1) clashes++
    }
    expect(clashes / 500).toBeLessThan(0.3)
  })

  it('restarts for a granted vote and for the leader, for nothing else (16)', () => {
    const campaignsAfter = (message: Partial<RaftMessage>): boolean => {
      const replica = new Replica({ terms: [1, 1] })
      for (let i = 0; i < 9; i++) replica.raft.tick()
      replica.raft.step({ from: 2, to: 1, ...message } as RaftMessage)
      for (let i = 0; i < 11; i++) replica.raft.tick()
      return replica.role() !== 'follower'
    }
    const vote = { type: 'vote', term: 2, force: false, lastTerm: 1, ...unknownCommit } as const
    expect(campaignsAfter({ ...vote, lastIndex: 1 }), 'a refused vote').toBe(true)
    expect(
      campaignsAfter({ type: 'heartbeat', term: 0, commit: 0, round: 0 }),
      'an old leader'
    ).toBe(true)
    const preVote = {
      type: 'preVote',
      lastIndex: 9,
      lastTerm: 9,
      force: false,
      ...unknownCommit
    } as const
    expect(campaignsAfter({ ...preVote, term: 2 }), 'a pre-vote').toBe(true)
    let quiet = 0
    for (let seed = 1; seed <= 40; seed++) {
      const replica = new Replica({ terms: [1, 1], seed })
      for (let i = 0; i < 9; i++) replica.raft.tick()
      replica.raft.step({ ...vote, from: 2, to: 1, lastIndex: 2 })
      for (let i = 0; i < 9; i++) replica.raft.tick()
      if (replica.role() === 'follower') quiet++
    }
    expect(quiet, 'a granted vote').toBe(40)
  })

  it('is short after a lost round', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const replica = new Replica({ seed })
      replica.raft.campaign()
      replica.flush()
      const { term } = replica.raft.status()
      for (const from of [2, 3]) {
        replica.raft.step({
          type: 'voteAnswer',
          from,
          to: 1,
          term,
          granted: false,
          ...unknownCommit
        })
      }
      expect(replica.role()).toBe('follower')
      let ticks = 0
      while (replica.role() === 'follower') {
        replica.raft.tick()
        ticks++
      }
      expect(ticks).toBeGreaterThanOrEqual(3)
      expect(ticks).toBeLessThanOrEqual(9)
    }
  })
})

describe('votes', () => {
  it('go to a log that is as new, by term first (3)', () => {
    // voter's log, candidate's last term and index, granted
    const table: [number[], number, number, boolean][] = [
      [[], 0, 0, true],
      [[1], 1, 1, true],
      [[1, 1], 1, 1, false],
      [[1], 1, 2, true],
      [[1, 1, 1], 2, 1, true],
      [[2], 1, 9, false],
      [[1, 2], 2, 2, true],
      [[1, 2], 2, 1, false],
      [[2, 2], 1, 3, false]
    ]
    for (const [terms, lastTerm, lastIndex, granted] of table) {
      for (const type of ['vote', 'preVote'] as const) {
        const replica = new Replica({ terms })
        replica.raft.step({
          type,
          from: 2,
          to: 1,
          term: 5,
          lastIndex,
          lastTerm,
          force: false,
          ...unknownCommit
        })
        const [answer] = replica.flush()
        expect(answer).toMatchObject({ type: `${type}Answer`, granted, ...unknownCommit })
      }
    }
  })

  it('decide a round of one to nine replicas (4)', () => {
    const ballots = fc.array(fc.constantFrom(true, false, undefined), {
      minLength: 0,
      maxLength: 8
    })
    fc.assert(
      fc.property(ballots, fc.boolean(), (votes, preVote) => {
        const voters = [1, ...votes.map((_, at) => at + 2)]
        const replica = new Replica({ voters, changes: { preVote } })
        replica.raft.campaign()
        replica.flush()
        if (preVote && voters.length > 1) {
          for (const from of voters.slice(1)) {
            replica.raft.step({
              type: 'preVoteAnswer',
              from,
              to: 1,
              term: 1,
              granted: true,
              ...unknownCommit
            })
          }
          replica.flush()
        }
        votes.forEach((granted, at) => {
          if (granted === undefined) return
          replica.raft.step({
            type: 'voteAnswer',
            from: at + 2,
            to: 1,
            term: 1,
            granted,
            ...unknownCommit
          })
        })
        const majority = Math.floor(voters.length / 2) + 1
        const yes = 1 + votes.filter(vote => vote === true).length
        const no = votes.filter(vote => vote === false).length
        const lost = voters.length - no < majority
        expect(replica.role()).toBe(yes >= majority ? 'leader' : lost ? 'follower' : 'candidate')
      })
    )
  })

  it('are counted once for each replica, and not for strangers', () => {
    const replica = new Replica({ voters: [1, 2, 3, 4, 5] })
    replica.raft.campaign()
    replica.flush()
    for (const from of [2, 2, 2, 9, 8]) {
      replica.raft.step({
        type: 'voteAnswer',
        from,
        to: 1,
        term: 1,
        granted: true,
        ...unknownCommit
      })
    }
    expect(replica.role()).toBe('candidate')
  })
})

describe('replication', () => {
  const leader = (changes: Partial<RaftConfig> = {}): Replica => {
    const replica = new Replica({ changes })
    replica.raft.campaign()
    replica.flush()
    replica.raft.step({
      type: 'voteAnswer',
      from: 2,
      to: 1,
      term: 1,
      granted: true,
      ...unknownCommit
    })
    replica.flush()
    return replica
  }

  const answer = (from: ReplicaId, index: number): RaftMessage => ({
    type: 'appendAnswer',
    from,
    to: 1,
    term: 1,
    rejected: false,
    index,
    hintIndex: 0,
    hintTerm: 0,
    quarantined: false
  })

  it('sends one append a follower for all proposals of a turn', () => {
    const replica = leader()
    replica.raft.step(answer(2, 1))
    replica.flush()
    for (let i = 0; i < 50; i++) replica.raft.propose([Buffer.from(`${i}`)])
    const appends = replica.flush().filter(message => message.type === 'append')
    expect(appends.map(({ to, entries }) => [to, entries.length])).toEqual([[2, 50]])
  })

  it('answers all appends of a turn once, with the last index', () => {
    const replica = new Replica()
    for (let i = 0; i < 20; i++) {
      replica.raft.step({
        type: 'append',
        from: 2,
        to: 1,
        term: 1,
        prevIndex: i,
        prevTerm: i === 0 ? 0 : 1,
        commit: 0,
        entries: [{ index: i + 1, term: 1, kind: 0, data: Buffer.alloc(1) }]
      })
    }
    expect(replica.flush()).toMatchObject([{ type: 'appendAnswer', index: 20 }])
  })

  it('has nothing to say when nothing happened', () => {
    const replica = leader()
    expect(replica.raft.hasReady()).toBe(false)
    expect(replica.raft.ready()).toBe(replica.raft.ready())
  })

  it('repairs a tail of 100 000 entries of two terms in three round trips (29)', () => {
    const shared = Array.from({ length: 1_000 }, () => 1)
    const mine = [...shared, ...Array.from({ length: 50_000 }, () => 4)]
    const theirs = [
      ...shared,
      ...Array.from({ length: 60_000 }, () => 2),
      ...Array.from({ length: 40_000 }, () => 3)
    ]
    const front = new Replica({ terms: mine, voters: [1, 2] })
    const back = new Replica({ terms: theirs, voters: [1, 2], changes: { id: 2 } })
    front.raft.campaign()
    let probes = 0
    for (let i = 0; i < 20; i++) {
      for (const message of front.flush()) {
        if (message.type === 'append' && front.role() === 'leader') probes++
        back.raft.step(message)
      }
      for (const message of back.flush()) front.raft.step(message)
      if (back.store.lastIndex() === front.store.lastIndex()) break
    }
    expect(back.store.list.map(entry => entry.term)).toEqual(
      front.store.list.map(entry => entry.term)
    )
    expect(probes).toBeLessThanOrEqual(4)
  })

  it('ignores what is not for it', () => {
    const replica = leader()
    const before = replica.raft.status()
    replica.raft.step({ ...answer(2, 1), to: 3 })
    replica.raft.step({ ...answer(1, 1) })
    replica.raft.step({ ...answer(77, 1) })
    expect(replica.raft.status()).toEqual(before)
  })

  it('stops at an ack of what it never sent', () => {
    expect(() => leader().raft.step(answer(2, 99))).toThrow('never sent')
  })

  it('stops at a second leader in its term', () => {
    const heartbeat = { type: 'heartbeat', from: 3, to: 1, term: 1, commit: 0, round: 0 } as const
    expect(() => leader().raft.step(heartbeat)).toThrow('two leaders in one term')
  })
})
