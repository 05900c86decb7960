import { assert } from '../base/errors.ts'
import type { Random } from '../base/ports.ts'
import { RaftLog } from './log.ts'
import { Progress } from './progress.ts'
import type { LogReader, RaftConfig } from './raft-api.ts'
import { type ConfirmedRead, Reads } from './reads.ts'
import type { HardState, Membership, MessageOf, RaftMessage, ReplicaId, Role } from './types.ts'

/** What a replica knows of itself when it starts. */
export interface RaftInitial {
  readonly hardState: HardState
  /** Index of the last entry whose effects the state machine holds. */
  readonly applied: number
  /** As of `applied`. */
  readonly membership: Membership
  /**
   * The log failed its checks: no vote, no campaign, no counted ack until caught up from a leader.
   */
  readonly quarantined: boolean
  /** Nor can its term and vote be relied on: it may have promised what it no longer knows. */
  readonly amnesiac?: boolean
}

/**
 * A damaged replica's way back: a read through the leader, then everything up to its index on
 * disk.
 */
interface Quarantine {
  /** Token of the read that is out; 0 = none. */
  token: number
  /** Ticks since it was sent. */
  ticks: number
  /** Caught up at this index; 0 = not known yet. */
  target: number
  /** Its term and vote may be forgotten, so that even its answers to heartbeats count for nothing. */
  readonly amnesiac: boolean
}

/**
 * Everything one replica holds in memory, and the few changes that every rule needs. The rules
 * themselves are functions over it, one file a topic. Nothing outside `src/raft` sees it.
 */
export class RaftState {
  readonly id: ReplicaId
  readonly config: RaftConfig
  readonly log: RaftLog
  readonly random: Random
  readonly reads = new Reads()

  /** It would rather not lead, and says so to whoever does. */
  reluctant = false

  role: Role = 'follower'
  leader: ReplicaId = 0
  #term: number
  #vote: ReplicaId
  quarantine: Quarantine | undefined

  membership: Membership
  /** One per member of either half and per learner; meaningful while leading. */
  progress = new Map<ReplicaId, Progress>()
  voters: Progress[] = []
  outgoing: Progress[] = []

  /**
   * Ticks since the leader was heard or a vote granted; since the last look at the own disk while leading.
   */
  elapsed = 0
  timeoutTicks = 0
  heartbeatElapsed = 0
  /** Votes of the round under way. */
  votes = new Map<ReplicaId, boolean>()
  /** Terms in which this replica has asked for votes since a leader was last heard. */
  elections = 0
  /** The write that makes this candidate's own vote durable; 0 = none awaited. */
  ownVoteSequence = 0
  /** A timeoutNow came while a committed membership was not applied yet. */
  campaignWhenApplied = false

  /** Index of the no-op that opened this leader's term. */
  termStart = 0
  /** No membership change may be proposed before this index is applied. */
  pendingChange = 0
  uncommittedBytes = 0
  transferTo: ReplicaId = 0
  transferElapsed = 0
  /** `stableIndex` at the last look if the others had committed beyond it, else −1. */
  stableAtCheck = -1
  /** Entries or a commit index may be due to some follower. */
  pumpDue = false

  /** May leave at once, unless a new term or vote is on its way to the disk. */
  outbox: RaftMessage[] = []
  /** May leave only when everything handed to the disk so far is durable. */
  gated: RaftMessage[] = []
  /** An accepted append not answered yet: one answer covers all of a turn. 0 = none. */
  answerTo: ReplicaId = 0
  answerIndex = 0
  /** The newest answer that waits for the disk, or has: until then it need not be given again. */
  gatedAnswer: MessageOf<'appendAnswer'> | undefined
  confirmed: ConfirmedRead[] = []
  dropped: number[] = []
  snapshotsWanted: ReplicaId[] = []

  constructor(config: RaftConfig, initial: RaftInitial, reader: LogReader, random: Random) {
    this.id = config.id
    this.config = config
    this.random = random
    this.#term = initial.hardState.term
    this.#vote = initial.hardState.vote
    this.membership = initial.membership
    const known = Math.max(initial.hardState.commit, initial.applied)
    const lastIndex = reader.lastIndex()
    // A damaged log may end before what was once known to be committed.
    const commit = initial.quarantined ? Math.min(known, lastIndex) : known
    assert(commit <= lastIndex, 'the log ends before its commit index', { commit, lastIndex })
    this.log = new RaftLog(reader, commit, initial.applied)
    assert(this.log.lastTerm <= this.#term, 'the log is of a later term than the replica', {
      lastTerm: this.log.lastTerm,
      term: this.#term
    })
    if (initial.quarantined) this.beginQuarantine(initial.amnesiac === true)
    this.useMembership(initial.membership)
    this.restartElectionTimer()
  }

  beginQuarantine(amnesiac: boolean): void {
    this.quarantine = { token: 0, ticks: 0, target: 0, amnesiac }
  }

  get term(): number {
    return this.#term
  }

  get vote(): ReplicaId {
    return this.#vote
  }

  enterTerm(term: number): void {
    assert(term > this.#term, 'a term must grow', { term, from: this.#term })
    this.#term = term
    this.#vote = 0
    this.gatedAnswer = undefined
  }

  voteFor(candidate: ReplicaId): void {
    assert(this.#vote === 0 || this.#vote === candidate, 'a second vote in one term', {
      term: this.#term,
      vote: this.#vote,
      candidate
    })
    this.#vote = candidate
  }

  send(message: RaftMessage): void {
    this.outbox.push(message)
  }

  /** For what another replica may rely on: never before the disk. */
  sendDurable(message: RaftMessage): void {
    this.gated.push(message)
  }

  restartElectionTimer(): void {
    const { electionTicks } = this.config
    this.elapsed = 0
    this.timeoutTicks = electionTicks + this.random.below(electionTicks)
  }

  /**
   * For a round without a winner: a short random wait, for the long one has been waited already. It doubles with every election up to
   * that, or votes that take long on their way to the disks would always come too late.
   */
  restartLostRoundTimer(): void {
    const { recampaignTicks, electionTicks } = this.config
    const doubledTicks = recampaignTicks * 2 ** Math.max(this.elections - 1, 0)
    const waitTicks = Math.max(recampaignTicks, Math.min(doubledTicks, electionTicks))
    this.elapsed = 0
    this.timeoutTicks = waitTicks + this.random.below(2 * waitTicks + 1)
  }

  /** Voter of either half. */
  isVoter(id: ReplicaId): boolean {
    return this.membership.voters.includes(id) || this.membership.outgoing.includes(id)
  }

  /** May this replica stand for election? */
  promotable(): boolean {
    return this.quarantine === undefined && this.isVoter(this.id)
  }

  /** Has the leader committed an entry of its own term (§6.4, §4 of the membership errata)? */
  committedInTerm(): boolean {
    return this.log.commit >= this.termStart
  }

  /**
   * A follower of `leader` (0 = unknown) from now on. The election timer restarts only for a
   * leader that was heard or when another role ends: a term learned from a candidate that is then
   * rejected must not keep this replica from campaigning (cockroach #142994).
   */
  becomeFollower(term: number, leader: ReplicaId): void {
    const lost = this.role === 'candidate' || this.role === 'preCandidate'
    const led = this.role === 'leader'
    if (term !== this.#term) {
      this.enterTerm(term)
      this.answerTo = 0
    }
    this.role = 'follower'
    this.leader = leader
    this.clearRole()
    if (leader !== 0) this.elections = 0
    if (leader !== 0 || led) this.restartElectionTimer()
    else if (lost) this.restartLostRoundTimer()
  }

  /** Ends what belongs to the role that is left. */
  clearRole(): void {
    this.votes.clear()
    this.ownVoteSequence = 0
    this.campaignWhenApplied = false
    this.transferTo = 0
    this.stableAtCheck = -1
    this.pumpDue = false
    this.uncommittedBytes = 0
    this.snapshotsWanted.length = 0
    this.reads.drop(this.dropped)
    if (this.confirmed.length > 0) this.confirmed = this.confirmed.filter(read => read.from === 0)
  }

  useMembership(membership: Membership): void {
    const progress = new Map<ReplicaId, Progress>()
    const memberOf = (id: ReplicaId): Progress => {
      const member = progress.get(id) ?? this.progress.get(id) ?? this.#newProgress(id)
      progress.set(id, member)
      return member
    }
    this.membership = membership
    this.voters = membership.voters.map(memberOf)
    this.outgoing = membership.outgoing.map(memberOf)
    membership.learners.forEach(memberOf)
    this.progress = progress
  }

  #newProgress(id: ReplicaId): Progress {
    const { maxInflightMessages, maxInflightBytes } = this.config
    const member = new Progress(id, maxInflightMessages, maxInflightBytes)
    member.reset(this.log.lastIndex + 1)
    // A newcomer has not had its chance to be heard yet.
    member.heard()
    return member
  }
}
