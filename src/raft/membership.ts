import { encodeMembership } from './codec.ts'
import type { Refusal } from './raft-api.ts'
import { advanceCommit, appendOwn, confirmReads } from './replication.ts'
import type { RaftState } from './state.ts'
import { bestSuccessor, sendTimeoutNow } from './transfer.ts'
import { entryKinds, type Membership, type ReplicaId } from './types.ts'

/** The members that a change is to lead to. */
export interface MembershipTarget {
  readonly voters: readonly ReplicaId[]
  readonly learners: readonly ReplicaId[]
}

const nobody: readonly ReplicaId[] = []

/**
 * A membership takes effect when its entry is *applied* (as in etcd). Safe because only one change
 * is under way at a time, a leader starts none before an entry of its own term is committed
 * (Ongaro's erratum to single-server changes), and whoever holds the next change's entry knows the
 * previous one committed: the append that carries it carries that commit index, and both are
 * stored in one write.
 */
export function proposeMembership(state: RaftState, target: MembershipTarget): Refusal | undefined {
  if (state.role !== 'leader') return 'notLeader'
  if (state.transferTo !== 0) return 'transferring'
  if (!isSound(target)) return 'unsafe'
  if (!state.committedInTerm()) return 'notReady'
  const { voters, outgoing, learners } = state.membership
  if (outgoing.length > 0 || state.pendingChange > state.log.applied) return 'changePending'
  const changed = difference(voters, target.voters) + difference(target.voters, voters)
  const learnersChanged =
    difference(learners, target.learners) + difference(target.learners, learners)
  if (changed + learnersChanged === 0) return undefined
  appendMembership(state, {
    voters: target.voters,
    // Two majorities that differ by one voter always meet; any other change goes through both
    // (§4.3).
    outgoing: changed > 1 ? voters : nobody,
    learners: target.learners
  })
  return undefined
}

function appendMembership(state: RaftState, membership: Membership): void {
  state.pendingChange = appendOwn(state, entryKinds.config, encodeMembership(membership))
}

function difference(from: readonly ReplicaId[], without: readonly ReplicaId[]): number {
  let count = 0
  for (const id of from) if (!without.includes(id)) count++
  return count
}

function isSound({ voters, learners }: MembershipTarget): boolean {
  if (voters.length === 0) return false
  const all = [...voters, ...learners]
  if (new Set(all).size !== all.length) return false
  return all.every(id => Number.isInteger(id) && id >= 1 && id <= 255)
}

/** Leaves the joint state as soon as it is applied here, also one that a former leader entered. */
export function leaveJoint(state: RaftState): void {
  const { voters, outgoing, learners } = state.membership
  if (state.role !== 'leader' || outgoing.length === 0 || state.transferTo !== 0) return
  if (state.pendingChange > state.log.applied) return
  appendMembership(state, { voters, outgoing: nobody, learners })
}

/** The entry of `membership` was applied, or a snapshot with it installed. */
export function membershipApplied(state: RaftState, membership: Membership): void {
  state.useMembership(membership)
  if (state.role !== 'leader') return
  if (!state.isVoter(state.id)) {
    handOver(state)
    return
  }
  if (state.transferTo !== 0 && !state.isVoter(state.transferTo)) state.transferTo = 0
  state.pumpDue = true
  advanceCommit(state)
  confirmReads(state)
}

/** A leader that has been voted out leaves the place to the voter that has most of the log. */
function handOver(state: RaftState): void {
  const best = bestSuccessor(state)
  if (best !== undefined) sendTimeoutNow(state, best.id)
  state.becomeFollower(state.term, 0)
}
