import { describe, expect, it } from 'vitest'
import type { RingsetError } from '../base/errors.ts'
import {
  behindEntriesMax,
  fittest,
  successorOf,
  withLearner,
  without,
  withVoter
} from './operator-rules.ts'
import type { RaftStatus } from './raft-api.ts'

type Peer = RaftStatus['progress'][number]

const peer = (id: number, more: Partial<Peer> = {}): Peer => ({
  id,
  match: 1_000,
  next: 1_001,
  state: 'replicate',
  active: true,
  heard: true,
  quarantined: false,
  willing: true,
  ...more
})

/** Replica 1 leads the voters 1, 2 and 3; 4 is a learner. */
function leader(more: Partial<RaftStatus> = {}): RaftStatus {
  return {
    id: 1,
    role: 'leader',
    term: 3,
    vote: 1,
    leader: 1,
    commit: 1_000,
    applied: 1_000,
    lastIndex: 1_000,
    lastTerm: 1,
    stableIndex: 1_000,
    membership: { voters: [1, 2, 3], outgoing: [], learners: [4] },
    quarantined: false,
    transferringTo: 0,
    changing: false,
    progress: [peer(1), peer(2), peer(3), peer(4)],
    ...more
  }
}

/** `code: text` of the refusal. */
function refusal(ask: () => unknown): string {
  try {
    ask()
  } catch (error) {
    const { code, message } = error as RingsetError
    return `${code}: ${message}`
  }
  return 'no refusal'
}

const follower = leader({ id: 2, role: 'follower' })
const changing = leader({ changing: true })
const joint = leader({
  changing: true,
  membership: { voters: [1, 2], outgoing: [1, 2, 3], learners: [] }
})
const transferring = leader({ transferringTo: 3 })
const alone = leader({
  membership: { voters: [1], outgoing: [], learners: [4] },
  progress: [peer(1), peer(4)]
})

describe('any change', () => {
  it('is for the leader, and names it', () => {
    for (const ask of [
      () => successorOf(follower, 3),
      () => withLearner(follower, 5),
      () => withVoter(follower, 4),
      () => without(follower, 3)
    ]) {
      expect(refusal(ask)).toBe('NOT_LEADER: replica 1 leads, not replica 2')
    }
    expect(refusal(() => withLearner({ ...follower, leader: 0 }, 5))).toMatch(/knows no leader/)
  })

  it('waits for the one before', () => {
    for (const ask of [
      (status: RaftStatus) => withLearner(status, 5),
      (status: RaftStatus) => withVoter({ ...status, membership: leader().membership }, 4),
      (status: RaftStatus) => without(status, 3)
    ]) {
      expect(refusal(() => ask(changing))).toMatch(/^CHANGE_PENDING: the last change/)
      expect(refusal(() => ask(transferring))).toMatch(/^CHANGE_PENDING: .* to replica 3/)
      expect(refusal(() => ask(joint))).toMatch(/^CHANGE_PENDING/)
    }
  })
})

describe('handing over', () => {
  it('goes to the voter that lacks least, or to the one that is named', () => {
    const progress = [peer(1), peer(2, { match: 990 }), peer(3), peer(4)]
    expect(successorOf(leader({ progress }), undefined)).toBe(3)
    expect(successorOf(leader({ progress }), 2)).toBe(2)
    expect(successorOf(leader({ progress }), 1)).toBe(1)
  })

  it('passes over who is down or in quarantine', () => {
    const progress = [peer(1), peer(2, { match: 900 }), peer(3, { heard: false }), peer(4)]
    expect(successorOf(leader({ progress }), undefined)).toBe(2)
    const distrusted = [peer(1), peer(2, { match: 900 }), peer(3, { quarantined: true })]
    expect(successorOf(leader({ progress: distrusted }), undefined)).toBe(2)
    const nobody = [peer(1), peer(2, { heard: false }), peer(3, { quarantined: true }), peer(4)]
    expect(refusal(() => successorOf(leader({ progress: nobody }), undefined))).toMatch(
      /^REPLICA_DOWN: no other voter/
    )
    expect(refusal(() => successorOf(alone, undefined))).toMatch(/^LAST_VOTER: replica 1/)
  })

  it('goes to who does not mind leading, unless that would take long', () => {
    const to = (match: number) => {
      const progress = [peer(1), peer(2, { willing: false }), peer(3, { match }), peer(4)]
      return fittest(leader({ progress }))
    }
    expect(to(1_000 - behindEntriesMax)).toMatchObject({ id: 3, willing: true })
    expect(to(1_000 - behindEntriesMax - 1)).toMatchObject({ id: 2, willing: false })
    const reluctant = [peer(1), peer(2, { willing: false }), peer(3, { willing: false, match: 1 })]
    expect(fittest(leader({ progress: reluctant }))).toMatchObject({ id: 2, willing: false })
    expect(fittest(alone)).toBeUndefined()
  })

  it('says why a named replica cannot lead', () => {
    const to = (id: number, more: Partial<Peer> = {}) => {
      const progress = [peer(1), peer(2), peer(3), peer(4)].map(other =>
        other.id === id ? peer(id, more) : other
      )
      return refusal(() => successorOf(leader({ progress }), id))
    }
    expect(to(9)).toBe(
      'REPLICA_UNKNOWN: replica 9 is no member of the group; its members are 1, 2, 3, 4'
    )
    expect(to(4)).toBe('NOT_VOTER: replica 4 is a learner')
    expect(to(3, { heard: false })).toBe('REPLICA_DOWN: replica 3 does not answer its leader')
    expect(to(3, { quarantined: true })).toMatch(/^REPLICA_QUARANTINED: replica 3/)
    expect(to(3, { match: 1_000 - behindEntriesMax })).toBe('no refusal')
    expect(to(3, { match: 1_000 - behindEntriesMax - 1, state: 'snapshot' })).toBe(
      'REPLICA_BEHIND: replica 3 lacks 201 of 1000 entries and is receiving a snapshot; at most 200 are allowed'
    )
    expect(refusal(() => successorOf(transferring, 2))).toMatch(/^CHANGE_PENDING: .*replica 3/)
    expect(successorOf(transferring, 3)).toBe(3)
  })
})

describe('adding', () => {
  it('makes a learner, and nothing of a member', () => {
    expect(withLearner(leader(), 5)).toEqual({ voters: [1, 2, 3], learners: [4, 5] })
    expect(withLearner(leader(), 4)).toBeUndefined()
    expect(withLearner(changing, 2)).toBeUndefined()
  })
})

describe('promoting', () => {
  it('gives a learner its vote, once', () => {
    expect(withVoter(leader(), 4)).toEqual({ voters: [1, 2, 3, 4], learners: [] })
    expect(withVoter(leader(), 3)).toBeUndefined()
    expect(refusal(() => withVoter(leader(), 5))).toMatch(/^REPLICA_UNKNOWN/)
  })

  it('is refused while the learner could not do its part', () => {
    const as = (more: Partial<Peer>) => {
      const progress = [peer(1), peer(2), peer(3), peer(4, more)]
      return refusal(() => withVoter(leader({ progress }), 4))
    }
    expect(as({ match: 0, state: 'snapshot' })).toMatch(/^REPLICA_BEHIND: .* lacks 1000 of 1000/)
    expect(as({ heard: false })).toMatch(/^REPLICA_DOWN/)
    expect(as({ quarantined: true })).toMatch(/^REPLICA_QUARANTINED/)
  })

  it('is refused where the larger group would have no majority', () => {
    const membership = { voters: [1, 2, 3, 5, 6], outgoing: [], learners: [4] }
    const dead = { heard: false }
    const progress = [peer(1), peer(2), peer(3, dead), peer(4), peer(5, dead), peer(6, dead)]
    expect(refusal(() => withVoter(leader({ membership, progress }), 4))).toBe(
      'QUORUM_AT_RISK: with replica 4 as a voter, 3 of 6 voters would be alive, and 4 are needed'
    )
  })
})

describe('removing', () => {
  it('takes out voters and learners, alive or dead', () => {
    expect(without(leader(), 4)).toEqual({ voters: [1, 2, 3], learners: [] })
    expect(without(leader(), 3)).toEqual({ voters: [1, 2], learners: [4] })
    const progress = [peer(1), peer(2), peer(3, { heard: false }), peer(4)]
    expect(without(leader({ progress }), 3)).toEqual({ voters: [1, 2], learners: [4] })
    expect(without(leader(), 9)).toBeUndefined()
  })

  it('is refused where the rest would have no majority that is alive', () => {
    const progress = [peer(1), peer(2), peer(3, { heard: false }), peer(4)]
    expect(refusal(() => without(leader({ progress }), 2))).toBe(
      'QUORUM_AT_RISK: without replica 2, 1 of 2 voters would be alive, and 2 are needed'
    )
    const distrusted = [peer(1), peer(2), peer(3, { quarantined: true }), peer(4)]
    expect(refusal(() => without(leader({ progress: distrusted }), 2))).toMatch(/^QUORUM_AT_RISK/)
    expect(without(leader({ progress }), 4)).toEqual({ voters: [1, 2, 3], learners: [] })
  })

  it('is refused for the last voter, and for the leader until it has handed over', () => {
    expect(refusal(() => without(alone, 1))).toMatch(/^LAST_VOTER/)
    expect(refusal(() => without(leader(), 1))).toBe('REPLICA_LEADS: replica 1 leads the group')
    const progress = [peer(1), peer(2), peer(3, { heard: false })]
    expect(refusal(() => without(leader({ progress }), 1))).toMatch(/^QUORUM_AT_RISK/)
  })
})
