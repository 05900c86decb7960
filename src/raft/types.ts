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
  | ({ type: 'heartbeatAnswer'; round: number; quarantined: boolean } & Addressed)
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
  | ({ type: 'readIndex'; token: number } & Addressed)
  | ({ type: 'readIndexAnswer'; token: number; index: number } & Addressed)

export interface Addressed {
  from: ReplicaId
  to: ReplicaId
  term: number
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'
