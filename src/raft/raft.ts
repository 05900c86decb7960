import { assert } from '../base/errors.ts'
import type { Random } from '../base/ports.ts'
import {
  campaign,
  countOwnVote,
  forgetLeader,
  handlePreVoteAnswer,
  handleTimeoutNow,
  handleVoteAnswer,
  handleVoteRequest,
  ignoresCandidate,
  resumeCampaign
} from './election.ts'
import { handleAppend, handleHeartbeat, sendRejection } from './following.ts'
import type { MembershipTarget } from './membership.ts'
import { leaveJoint, membershipApplied, proposeMembership } from './membership.ts'
import { Outlet } from './outlet.ts'
import { askForCommit, handleReadIndexAnswer, leaveQuarantine } from './quarantine.ts'
import type {
  AppendAck,
  LogReader,
  RaftConfig,
  RaftCore,
  RaftStatus,
  Ready,
  Refusal
} from './raft-api.ts'
import {
  appendOwn,
  broadcastHeartbeat,
  countOwnDisk,
  handleAppendAnswer,
  handleHeartbeatAnswer,
  quorumHeard,
  readForPeer,
  reportSnapshot,
  reportUnreachable
} from './replication.ts'
import { type RaftInitial, RaftState } from './state.ts'
import { leaveHungDisk, resign, startTransfer, tickTransfer } from './transfer.ts'
import {
  entryKinds,
  type Membership,
  type RaftMessage,
  type ReplicaId,
  type SnapshotMeta
} from './types.ts'

/**
 * One replica's Raft core (Ongaro's dissertation; the interface follows etcd's). Pure and
 * synchronous: messages and ticks go in, `ready()` says what to write, send and apply. Nothing
 * leaves before `ready()`, so that whatever came in during a turn shares one append per follower,
 * one answer and one write.
 */
export class Raft implements RaftCore {
  readonly #state: RaftState
  readonly #outlet: Outlet

  /** @param log sees entries as soon as they were handed out by `ready()`. */
  constructor(config: RaftConfig, initial: RaftInitial, log: LogReader, random: Random) {
    this.#state = new RaftState(config, initial, log, random)
    this.#outlet = new Outlet(this.#state, initial.hardState)
  }

  tick(heartbeatDue?: boolean): void {
    const state = this.#state
    state.elapsed++
    if (state.quarantine !== undefined) state.quarantine.ticks++
    if (state.role === 'leader') this.#tickLeader(state, heartbeatDue)
    // A round whose own vote is still on its way to the disk has asked nobody yet.
    else if (state.elapsed >= state.timeoutTicks && state.ownVoteSequence === 0) campaign(state)
  }

  #tickLeader(state: RaftState, heartbeatDue: boolean | undefined): void {
    const { config } = state
    if (state.elapsed >= config.checkQuorumTicks) {
      state.elapsed = 0
      leaveHungDisk(state)
    }
    for (const member of state.progress.values()) {
      if (member.id !== state.id) member.silent(config.checkQuorumTicks)
    }
    if (config.checkQuorum && !quorumHeard(state)) {
      resign(state)
      return
    }
    tickTransfer(state)
    leaveJoint(state)
    state.heartbeatElapsed++
    if (heartbeatDue ?? state.heartbeatElapsed >= config.heartbeatTicks) broadcastHeartbeat(state)
  }

  step(message: RaftMessage): void {
    const state = this.#state
    if (message.to !== state.id || message.from === state.id) return
    if (message.term > state.term) {
      if (!this.#learnTerm(state, message)) return
    } else if (message.term < state.term) {
      this.#answerOldTerm(state, message)
      return
    }
    this.#dispatch(state, message)
  }

  /** @returns false when the message is to be ignored. */
  #learnTerm(state: RaftState, message: RaftMessage): boolean {
    switch (message.type) {
      case 'preVote':
        return !ignoresCandidate(state, message)
      case 'vote':
        if (ignoresCandidate(state, message)) return false
        break
      case 'preVoteAnswer':
        // A grant speaks of a term that nobody has entered yet.
        if (message.granted) return true
        break
      default:
    }
    state.becomeFollower(message.term, isFromLeader(message) ? message.from : 0)
    return true
  }

  /**
   * A sender that is behind must learn of this term, or it could neither lead nor follow (etcd's
   * stuck candidate).
   */
  #answerOldTerm(state: RaftState, message: RaftMessage): void {
    if (isFromLeader(message)) {
      sendRejection(state, message.from, { index: 0, hintIndex: 0, hintTerm: 0 })
    } else if (message.type === 'preVote' || message.type === 'vote') {
      handleVoteRequest(state, message)
    }
  }

  #dispatch(state: RaftState, message: RaftMessage): void {
    switch (message.type) {
      case 'preVote':
      case 'vote':
        handleVoteRequest(state, message)
        return
      case 'preVoteAnswer':
        handlePreVoteAnswer(state, message)
        return
      case 'voteAnswer':
        handleVoteAnswer(state, message)
        return
      case 'append':
        this.#follow(state, message.from)
        handleAppend(state, message)
        leaveQuarantine(state)
        return
      case 'heartbeat':
        this.#follow(state, message.from)
        handleHeartbeat(state, message)
        leaveQuarantine(state)
        return
      case 'snapshot':
        this.#follow(state, message.from)
        return
      case 'timeoutNow':
        handleTimeoutNow(state)
        return
      case 'readIndexAnswer':
        handleReadIndexAnswer(state, message)
        return
      default:
        if (state.role === 'leader') this.#dispatchToLeader(state, message)
    }
  }

  #dispatchToLeader(state: RaftState, message: RaftMessage): void {
    switch (message.type) {
      case 'appendAnswer':
        handleAppendAnswer(state, message)
        return
      case 'heartbeatAnswer':
        handleHeartbeatAnswer(state, message)
        return
      case 'snapshotAnswer': {
        const member = state.progress.get(message.from)
        member?.heard()
        return
      }
      case 'readIndex':
        readForPeer(state, message)
        return
      default:
    }
  }

  /** `leader` has just been heard in the current term. */
  #follow(state: RaftState, leader: ReplicaId): void {
    assert(
      state.role !== 'leader' && (state.leader === 0 || state.leader === leader),
      'two leaders in one term',
      { term: state.term, leader, other: state.leader }
    )
    if (state.role === 'follower' && state.leader === leader) state.elapsed = 0
    else state.becomeFollower(state.term, leader)
    askForCommit(state)
  }

  propose(data: readonly Buffer[]): { readonly index: number; readonly term: number } | Refusal {
    const state = this.#state
    if (state.role !== 'leader') return 'notLeader'
    if (state.transferTo !== 0) return 'transferring'
    let bytes = 0
    for (let i = 0; i < data.length; i++) bytes += data[i]!.length
    // One proposal of any size may always pass, or a large one never could.
    const total = state.uncommittedBytes + bytes
    if (state.uncommittedBytes > 0 && total > state.config.maxUncommittedBytes) return 'overloaded'
    state.uncommittedBytes = total
    const index = state.log.lastIndex + 1
    for (let i = 0; i < data.length; i++) appendOwn(state, entryKinds.normal, data[i]!)
    return { index, term: state.term }
  }

  proposeMembership(target: MembershipTarget): Refusal | undefined {
    return proposeMembership(this.#state, target)
  }

  readIndex(token: number): Refusal | undefined {
    if (this.#state.role !== 'leader') return 'notLeader'
    return this.#state.reads.add(token, 0) ? undefined : 'overloaded'
  }

  transferLeadership(to: ReplicaId): Refusal | undefined {
    return startTransfer(this.#state, to)
  }

  campaign(): void {
    campaign(this.#state)
  }

  set reluctant(reluctant: boolean) {
    this.#state.reluctant = reluctant
  }

  forgetLeader(afterTicks: number): void {
    forgetLeader(this.#state, afterTicks)
  }

  reportUnreachable(peer: ReplicaId): void {
    reportUnreachable(this.#state, peer)
  }

  abandon(): void {
    const state = this.#state
    if (state.role !== 'follower' || state.leader !== 0) state.becomeFollower(state.term, 0)
    state.log.commitTo(state.log.lastIndex)
  }

  acknowledged(peer: ReplicaId): number {
    const state = this.#state
    return state.role === 'leader' ? (state.progress.get(peer)?.acknowledged ?? 0) : 0
  }

  trust(): void {
    this.#state.quarantine = undefined
  }

  distrust(): void {
    const state = this.#state
    if (state.role !== 'follower') state.becomeFollower(state.term, 0)
    state.beginQuarantine(true)
  }

  reportSnapshot(peer: ReplicaId, ok: boolean, index: number): void {
    reportSnapshot(this.#state, peer, ok, index)
  }

  needsSnapshot(meta: SnapshotMeta): boolean {
    const { log } = this.#state
    if (meta.index <= log.commit) return false
    if (log.term(meta.index) !== meta.term) return true
    log.commitTo(meta.index)
    return false
  }

  restored(meta: SnapshotMeta): void {
    const state = this.#state
    assert(state.role !== 'leader', 'a leader does not install snapshots')
    state.log.restore(meta.index, meta.term)
    state.answerTo = 0
    state.gatedAnswer = undefined
    membershipApplied(state, meta.membership)
    if (state.leader !== 0) {
      // Committed, hence equal to the leader's log: an ack like any other.
      state.answerTo = state.leader
      state.answerIndex = meta.index
    }
    leaveQuarantine(state)
  }

  applied(index: number, membership?: Membership): void {
    const state = this.#state
    state.log.appliedTo(index)
    if (membership !== undefined) membershipApplied(state, membership)
    leaveJoint(state)
    resumeCampaign(state)
  }

  compacted(index: number): void {
    assert(index <= this.#state.log.applied + 1, 'an entry was compacted before it was applied', {
      index
    })
  }

  appended(ack: AppendAck): void {
    const state = this.#state
    state.log.stableTo(ack)
    countOwnVote(state, this.#outlet.acknowledge(ack.sequence))
    if (state.role === 'leader') countOwnDisk(state)
    leaveQuarantine(state)
  }

  hasReady(): boolean {
    return this.#outlet.hasReady()
  }

  ready(): Ready {
    return this.#outlet.ready()
  }

  status(): RaftStatus {
    const state = this.#state
    const members = state.role === 'leader' ? [...state.progress.values()] : []
    return {
      id: state.id,
      role: state.role,
      term: state.term,
      vote: state.vote,
      leader: state.leader,
      commit: state.log.commit,
      applied: state.log.applied,
      lastIndex: state.log.lastIndex,
      lastTerm: state.log.lastTerm,
      stableIndex: state.log.stableIndex,
      membership: state.membership,
      quarantined: state.quarantine !== undefined,
      transferringTo: state.transferTo,
      changing:
        state.membership.outgoing.length > 0 ||
        (state.role === 'leader' && state.pendingChange > state.log.applied),
      progress: members.map(member => ({
        id: member.id,
        match: member.match,
        next: member.next,
        state: member.state,
        active: member.active,
        heard: member.silentTicks < state.config.checkQuorumTicks,
        quarantined: member.quarantined,
        willing: member.willing
      }))
    }
  }
}

function isFromLeader(message: RaftMessage): boolean {
  return message.type === 'append' || message.type === 'heartbeat' || message.type === 'snapshot'
}
