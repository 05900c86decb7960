import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { MembershipTarget } from './membership.ts'
import type { RaftStatus } from './raft-api.ts'
import { bestOf } from './transfer.ts'
import type { ReplicaId } from './types.ts'

/** A replica that lacks more entries than this neither takes over nor gets a vote: the group would wait for it. */
export const behindEntriesMax = 200

/**
 * What an operator may ask of a group, judged by its leader's status. Each rule throws the coded
 * refusal, and decides nothing that the core would not check again.
 */

/**
 * The voter that is to lead: `to`, or without it the fittest. The leader itself when it is asked for. Throws NOT_LEADER, REPLICA_UNKNOWN, NOT_VOTER, REPLICA_DOWN,
 * REPLICA_QUARANTINED, REPLICA_BEHIND, LAST_VOTER, CHANGE_PENDING.
 */
export function successorOf(status: RaftStatus, to: ReplicaId | undefined): ReplicaId {
  mustLead(status)
  if (to === status.id) return to
  const target = to ?? nextBest(status)
  mustBeMember(status, target)
  if (!isVoter(status, target)) {
    throw refusal('NOT_VOTER', `replica ${target} is a learner`, target)
  }
  mustKeepUp(status, target)
  if (status.transferringTo !== 0 && status.transferringTo !== target) {
    const text = `leadership is being handed to replica ${status.transferringTo}`
    throw refusal('CHANGE_PENDING', text, status.transferringTo)
  }
  return target
}

/**
 * The members with `id` as a new learner; undefined when it is a member already. Throws NOT_LEADER,
 * CHANGE_PENDING.
 */
export function withLearner(status: RaftStatus, id: ReplicaId): MembershipTarget | undefined {
  mustLead(status)
  const { voters, learners } = status.membership
  if (voters.includes(id) || learners.includes(id)) return undefined
  mustRest(status)
  return { voters, learners: [...learners, id] }
}

/**
 * The members with the learner `id` as a voter; undefined when it is one. Throws NOT_LEADER,
 * REPLICA_UNKNOWN, REPLICA_DOWN, REPLICA_QUARANTINED, REPLICA_BEHIND, QUORUM_AT_RISK,
 * CHANGE_PENDING.
 */
export function withVoter(status: RaftStatus, id: ReplicaId): MembershipTarget | undefined {
  mustLead(status)
  const { voters, learners } = status.membership
  if (voters.includes(id)) return undefined
  mustBeMember(status, id)
  mustRest(status)
  mustKeepUp(status, id)
  const target = { voters: [...voters, id], learners: learners.filter(other => other !== id) }
  mustHaveMajority(status, target.voters, `with replica ${id} as a voter`)
  return target
}

/**
 * The members without `id`; undefined when it is none. Throws NOT_LEADER, LAST_VOTER,
 * QUORUM_AT_RISK, CHANGE_PENDING, and REPLICA_LEADS when nothing else is in the way.
 */
export function without(status: RaftStatus, id: ReplicaId): MembershipTarget | undefined {
  mustLead(status)
  const { voters, outgoing, learners } = status.membership
  if (![...voters, ...outgoing, ...learners].includes(id)) return undefined
  mustRest(status)
  const target = {
    voters: voters.filter(other => other !== id),
    learners: learners.filter(other => other !== id)
  }
  if (target.voters.length === 0) {
    throw refusal('LAST_VOTER', `replica ${id} is the only voter of the group`, id)
  }
  if (voters.includes(id)) mustHaveMajority(status, target.voters, `without replica ${id}`)
  if (id === status.id) throw refusal('REPLICA_LEADS', `replica ${id} leads the group`, id)
  return target
}

function mustLead(status: RaftStatus): void {
  if (status.role === 'leader') return
  const text =
    status.leader === 0
      ? `replica ${status.id} does not lead and knows no leader`
      : `replica ${status.leader} leads, not replica ${status.id}`
  throw new RingsetError('NOT_LEADER', text, { leader: status.leader })
}

function mustBeMember({ membership }: RaftStatus, id: ReplicaId): void {
  const { voters, outgoing, learners } = membership
  const members = [...new Set([...voters, ...outgoing, ...learners])].sort((a, b) => a - b)
  if (members.includes(id)) return
  const text = `replica ${id} is no member of the group; its members are ${members.join(', ')}`
  throw refusal('REPLICA_UNKNOWN', text, id)
}

function mustRest(status: RaftStatus): void {
  if (status.membership.outgoing.length > 0) {
    throw new RingsetError('CHANGE_PENDING', 'the group is between two memberships')
  }
  if (status.changing) {
    throw new RingsetError('CHANGE_PENDING', 'the last change of the group is not through yet')
  }
  if (status.transferringTo === 0) return
  const text = `leadership is being handed to replica ${status.transferringTo}`
  throw refusal('CHANGE_PENDING', text, status.transferringTo)
}

/** Is it heard, sound, and close enough to the end of the log? */
function mustKeepUp(status: RaftStatus, id: ReplicaId): void {
  const peer = status.progress.find(other => other.id === id)
  if (peer?.quarantined) {
    throw refusal('REPLICA_QUARANTINED', `replica ${id} is in quarantine`, id)
  }
  if (peer === undefined || !peer.heard) {
    throw refusal('REPLICA_DOWN', `replica ${id} does not answer its leader`, id)
  }
  const behind = status.lastIndex - peer.match
  if (behind <= behindEntriesMax) return
  const how = peer.state === 'snapshot' ? ' and is receiving a snapshot' : ''
  const text = `replica ${id} lacks ${behind} of ${status.lastIndex} entries${how}; at most ${behindEntriesMax} are allowed`
  throw new RingsetError('REPLICA_BEHIND', text, { replica: id, behind })
}

function mustHaveMajority(status: RaftStatus, voters: readonly ReplicaId[], when: string): void {
  const alive = voters.filter(id => isFit(status, id))
  const needed = (voters.length >> 1) + 1
  if (alive.length >= needed) return
  const text = `${when}, ${alive.length} of ${voters.length} voters would be alive, and ${needed} are needed`
  throw new RingsetError('QUORUM_AT_RISK', text, { alive: alive.length, needed })
}

function isFit(status: RaftStatus, id: ReplicaId): boolean {
  if (id === status.id) return !status.quarantined
  const peer = status.progress.find(other => other.id === id)
  return peer?.heard === true && !peer.quarantined
}

function isVoter({ membership }: RaftStatus, id: ReplicaId): boolean {
  return membership.voters.includes(id)
}

export interface Successor {
  readonly id: ReplicaId
  readonly match: number
  /** It does not mind leading, and lacks so little that it can take over soon. */
  readonly willing: boolean
}

/** Whom a leader hands over to unless told: another voter that is alive and sound, a willing one if there is any. */
export function fittest(status: RaftStatus): Successor | undefined {
  const { id: own, lastIndex, progress } = status
  const fit = progress.filter(({ id }) => id !== own && isVoter(status, id) && isFit(status, id))
  return bestOf(
    fit.map(({ id, match, willing }) => {
      return { id, match, willing: willing && lastIndex - match <= behindEntriesMax }
    })
  )
}

function nextBest(status: RaftStatus): ReplicaId {
  if (status.membership.voters.every(id => id === status.id)) {
    throw refusal('LAST_VOTER', `replica ${status.id} is the only voter of the group`, status.id)
  }
  const best = fittest(status)
  if (best !== undefined) return best.id
  throw new RingsetError('REPLICA_DOWN', 'no other voter of the group is fit to lead')
}

function refusal(code: ErrorCode, text: string, replica: ReplicaId): RingsetError {
  return new RingsetError(code, text, { replica })
}
