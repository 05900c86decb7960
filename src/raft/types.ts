/** Raft's own words, as in Ongaro's dissertation. Indexes and terms are numbers below 2^53; index 0 and term 0 mean "none". */

/** A member of one group: 1–255, never re-used. 0 = nobody. */
export type ReplicaId = number

export const entryKinds = { normal: 0, noop: 1, config: 2 } as const
export type EntryKind = (typeof entryKinds)[keyof typeof entryKinds]

export interface Entry {
  readonly index: number
  readonly term: number
  readonly kind: EntryKind
  /** Opaque; for `config` an encoded `Membership`. Never changed after creation, and owned by the log (no view of a socket buffer). */
  readonly data: Buffer
}

export interface HardState {
  readonly term: number
  /** Who got this replica's vote in `term`; 0 nobody. */
  readonly vote: ReplicaId
  readonly commit: number
}

/** A group's members. `outgoing` is the old voter set while a joint change is under way, else empty. */
export interface Membership {
  readonly voters: readonly ReplicaId[]
  readonly outgoing: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
}

/** Names a state: everything up to `index` applied, under `membership`. */
export interface SnapshotMeta {
  readonly index: number
  readonly term: number
  readonly membership: Membership
}

/** Messages between the replicas of one group. */
export type RaftMessage =
  | ({
      type: 'preVote' | 'vote'
      lastIndex: number
      lastTerm: number /** leadership transfer: overrides vote stickiness */
      force: boolean /** committed at the sender, whoever holds it learns that it is */
      commit: number
      commitTerm: number
    } & Addressed)
  | ({
      type: 'preVoteAnswer' | 'voteAnswer'
      granted: boolean /** committed at the sender, as in the request */
      commit: number
      commitTerm: number
    } & Addressed)
  | ({
      type: 'append'
      prevIndex: number
      prevTerm: number
      commit: number
      entries: readonly Entry[]
    } & Addressed)
  | ({
      type: 'appendAnswer'
      rejected: boolean /** accepted: last index now matching; rejected: the prevIndex that failed */
      index: number
      hintIndex: number
      hintTerm: number /** its log failed its checks: replicate to it, count it for nothing */
      quarantined: boolean
    } & Addressed)
  | ({
      type: 'heartbeat'
      commit: number /** ReadIndex round, leader's own counter */
      round: number
    } & Addressed)
  | ({
      type: 'heartbeatAnswer'
      round: number
      quarantined: boolean /** it would rather not lead: others are to be preferred as successors */
      reluctant: boolean
    } & Addressed)
  | ({
      type: 'snapshot'
      meta: SnapshotMeta
      snapshotId: number
      chunk: number
      last: boolean /** running CRC-32 of all chunks so far */
      crc: number
      data: Buffer
    } & Addressed)
  | ({
      type: 'snapshotAnswer'
      snapshotId: number /** next chunk wanted; −1 = start again */
      nextChunk: number /** the whole snapshot is installed and durable */
      installed: boolean
      index: number
    } & Addressed)
  | ({ type: 'timeoutNow' } & Addressed)
  | ({
      type: 'readIndex'
      token: number /** its term and vote may be forgotten too: nothing that it answers counts */
      amnesiac: boolean
    } & Addressed)
  | ({ type: 'readIndexAnswer'; token: number; index: number } & Addressed)
  | ({
      type: 'claim'
      /** 0: only to be remembered, no answer wanted. */
      token: number
      standing: Standing
      /** Random per life of the sender's data. */
      incarnation: number
      /** `term` and the log's last entry as they are durable at the sender. */
      lastIndex: number
      lastTerm: number
    } & Addressed)
  | ({
      type: 'claimAnswer'
      token: number
      verdict: Verdict
      /** The farthest that the claimant was durable, as the answerer knows it. */
      evidence: DurableMark
      /** Of the answerer itself. */
      standing: Standing
      incarnation: number
      /** For one that was met at the founding: who else was. */
      founders: readonly Founder[]
    } & Addressed)

/**
 * What a replica says of itself. `new`: it has never taken part, or has lost everything. `returning`: it has started and takes no part
 * yet. `member`: it takes part. `waiting`: only a leader can heal it.
 */
export const standings = ['new', 'returning', 'member', 'waiting'] as const
export type Standing = (typeof standings)[number]

/** What another replica remembers of a claim. `unknown`: it is in no position to tell. */
export const verdicts = ['unknown', 'sound', 'lost'] as const
export type Verdict = (typeof verdicts)[number]

/** How far a replica was durable: it only ever grows, so one that comes back behind it has lost something. */
export interface DurableMark {
  readonly term: number
  readonly lastTerm: number
  readonly lastIndex: number
}

/** What a replica keeps about itself and its peers, so that none can come back older than it was. */
export interface StandingRecord {
  /** Random per life of the data. */
  readonly incarnation: number
  /** It takes part: it was there when the group was founded, or a leader has brought it up to date. */
  readonly member: boolean
  readonly peers: readonly PeerRecord[]
}

export interface Founder {
  readonly id: ReplicaId
  readonly incarnation: number
}

export interface PeerRecord extends DurableMark {
  readonly id: ReplicaId
  /** As of the founding; 0 when it was not met then. */
  readonly incarnation: number
}

export interface Addressed {
  from: ReplicaId
  to: ReplicaId
  term: number
}

/** The messages of one kind. */
export type MessageOf<Type extends RaftMessage['type']> = Extract<RaftMessage, { type: Type }>

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'
