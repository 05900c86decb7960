import type {
  Entry,
  HardState,
  Membership,
  RaftMessage,
  ReplicaId,
  Role,
  SnapshotMeta
} from './types.ts'

/** Why a proposal, a read or an operator request was refused; nothing has happened. */
export type Refusal =
  | 'notLeader'
  | 'transferring'
  | 'overloaded'
  | 'notMember'
  | 'changePending'
  | 'notReady'
  | 'unsafe'

/** The log as the core needs it: entries may be handed in but not yet durable (see `appended`). */
export interface LogReader {
  firstIndex(): number
  lastIndex(): number
  term(index: number): number | undefined
  entries(from: number, to: number, maxBytes: number): Entry[]
}

/**
 * What must happen next, in this order: hand `append` to the disk · send `now` · when `append` is
 * durable call `appended(append.ack)` and send `afterAppend` · apply `committed` in order and call
 * `applied` · answer `reads` once `applied ≥ index`.
 */
export interface Ready {
  /** Present when role, leader or term changed since the last Ready. */
  readonly change?: { readonly role: Role; readonly leader: ReplicaId; readonly term: number }
  readonly append?: {
    readonly hardState?: HardState
    readonly truncateFrom?: number
    readonly entries: readonly Entry[]
    readonly mustSync: boolean
    /**
     * Identifies this write to `appended`: an ack of an older term must not mark anything stable
     * (etcd's ABA race).
     */
    readonly ack: AppendAck
  }
  readonly now: readonly RaftMessage[]
  readonly afterAppend: readonly RaftMessage[]
  /** Locally durable and committed, not yet handed out. */
  readonly committed: readonly Entry[]
  /** Confirmed reads: linearizable once everything up to `index` is applied. */
  readonly reads: readonly { readonly token: number; readonly index: number }[]
  /** Reads that will never be confirmed (leadership lost). */
  readonly droppedReads: readonly number[]
  /** Followers that are behind the log's start and need a snapshot stream now. */
  readonly snapshotsWanted: readonly ReplicaId[]
}

export interface AppendAck {
  readonly term: number
  readonly sequence: number
  readonly lastIndex: number
  readonly lastTerm: number
}

export interface RaftStatus {
  readonly id: ReplicaId
  readonly role: Role
  readonly term: number
  readonly vote: ReplicaId
  /** 0 = none known. */
  readonly leader: ReplicaId
  readonly commit: number
  readonly applied: number
  readonly lastIndex: number
  /** Term of the entry at `lastIndex`; 0 for an empty log. */
  readonly lastTerm: number
  readonly stableIndex: number
  readonly membership: Membership
  readonly quarantined: boolean
  readonly transferringTo: ReplicaId
  /** A membership change is in the log and not applied yet, or the joint state not left. */
  readonly changing: boolean
  /** Leader only. */
  readonly progress: readonly {
    readonly id: ReplicaId
    readonly match: number
    readonly next: number
    readonly state: 'probe' | 'replicate' | 'snapshot'
    readonly active: boolean
    /** Heard within the time of check-quorum. */
    readonly heard: boolean
    readonly quarantined: boolean
    /** It has said in this term that it does not mind leading. */
    readonly willing: boolean
  }[]
}

export interface RaftConfig {
  readonly id: ReplicaId
  /**
   * Ticks of 20 ms by default. A follower campaigns after a random electionTicks … 2 ×
   * electionTicks − 1.
   */
  readonly electionTicks: number
  readonly heartbeatTicks: number
  /**
   * After a lost or split round: campaigns again after a random recampaignTicks … 3 ×
   * recampaignTicks.
   */
  readonly recampaignTicks: number
  readonly checkQuorumTicks: number
  readonly transferTicks: number
  readonly maxInflightMessages: number
  readonly maxInflightBytes: number
  readonly maxMessageBytes: number
  readonly maxUncommittedBytes: number
  readonly preVote: boolean
  readonly checkQuorum: boolean
}

/**
 * The pure core; `Raft` in raft.ts implements it. Messages are handed in by `step`, time by
 * `tick`.
 */
export interface RaftCore {
  /**
   * @param heartbeatDue whether a leader sends heartbeats in this tick, for a host that does so for all its groups at once; without
   * it every `heartbeatTicks` since the last one.
   */
  tick(heartbeatDue?: boolean): void
  step(message: RaftMessage): void
  /** Appends one normal entry per item. The first gets `index`. */
  propose(data: readonly Buffer[]): { readonly index: number; readonly term: number } | Refusal
  /**
   * Starts a membership change (joint when it touches more than one voter; leaves the joint state
   * by itself).
   */
  proposeMembership(target: {
    voters: readonly ReplicaId[]
    learners: readonly ReplicaId[]
  }): Refusal | undefined
  /**
   * Asks for a linearizable read; answered in `Ready.reads` or `Ready.droppedReads`. Tokens are
   * the caller's, never sent to decide freshness.
   */
  readIndex(token: number): Refusal | undefined
  transferLeadership(to: ReplicaId): Refusal | undefined
  /** Whether this replica would rather not lead, so that others are preferred as successors. */
  set reluctant(reluctant: boolean)
  /** Campaign now (tests, single-replica groups). */
  campaign(): void
  /**
   * Evidence that the leader is gone: forget it, so that this replica votes and campaigns (pre-
   * vote first) after `afterTicks`.
   */
  forgetLeader(afterTicks: number): void
  reportUnreachable(peer: ReplicaId): void
  /**
   * The group is given up, and this replica is the one that tells what is left of it: all that its log holds counts as committed, whoever else has it. To be
   * repeated while entries are still on their way to the disk; the core must get no ticks and no messages any more.
   */
  abandon(): void
  /** The highest index that `peer` acknowledged to this leader; 0 when it does not lead. */
  acknowledged(peer: ReplicaId): number
  /** Others remember nothing newer of this replica than it does: it takes part. */
  trust(): void
  /** It does not remember what others do: it counts for nothing until a leader has healed it. */
  distrust(): void
  /** A snapshot stream to `peer` ended; `ok` = it reported itself installed at `index`. */
  reportSnapshot(peer: ReplicaId, ok: boolean, index: number): void
  /**
   * Is this snapshot worth installing? Not when all of it is committed here, nor when the log
   * holds its last entry: installing it would remove entries that were acknowledged; then only the
   * commit index advances. To be asked right before `finishInstall`; from there to `restored` no
   * message may be stepped.
   */
  needsSnapshot(meta: SnapshotMeta): boolean
  /** A snapshot was installed here and is durable: the log now starts after `meta.index`. */
  restored(meta: SnapshotMeta): void
  hasReady(): boolean
  ready(): Ready
  appended(ack: AppendAck): void
  applied(index: number, membership?: Membership): void
  /** The store dropped entries below `index`. */
  compacted(index: number): void
  status(): RaftStatus
}
