import { assert } from '../base/errors.ts'
import { jointVote } from './quorum.ts'
import { appendOwn, countOwnDisk } from './replication.ts'
import type { RaftState } from './state.ts'
import { entryKinds, type RaftMessage, type ReplicaId } from './types.ts'

type VoteRequest = Extract<RaftMessage, { type: 'preVote' | 'vote' }>
type VoteAnswer = Extract<RaftMessage, { type: 'preVoteAnswer' | 'voteAnswer' }>

const noData = Buffer.alloc(0)
const scanBytes = 1 << 20

/** Time for an election, by the timer or by hand. */
export function campaign(state: RaftState): void {
  if (!mayCampaign(state)) {
    // `elapsed` stays: nobody was heard, so the leader's protection must not be renewed.
    state.timeoutTicks = state.elapsed + state.config.recampaignTicks
    return
  }
  startRound(state, state.config.preVote ? 'preVote' : 'vote', false)
}

/**
 * The leader asks this replica to take over: no pre-vote, and voters ignore that they hear a
 * leader.
 */
export function handleTimeoutNow(state: RaftState): void {
  if (!state.promotable() || state.role === 'leader') return
  if (hasUnappliedChange(state)) state.campaignWhenApplied = true
  else startRound(state, 'vote', true)
}

/** Something was applied: a hand-over that waited for a membership to take effect goes on. */
export function resumeCampaign(state: RaftState): void {
  if (!state.campaignWhenApplied || hasUnappliedChange(state)) return
  state.campaignWhenApplied = false
  if (state.role === 'follower' && state.promotable()) startRound(state, 'vote', true)
}

function mayCampaign(state: RaftState): boolean {
  return state.role !== 'leader' && state.promotable() && !hasUnappliedChange(state)
}

/** A replica must not count votes by a membership that it knows to be replaced. */
function hasUnappliedChange(state: RaftState): boolean {
  const { log } = state
  let index = log.applied + 1
  while (index <= log.commit) {
    const entries = log.entries(index, scanBytes)
    for (const entry of entries) {
      if (entry.index > log.commit) return false
      if (entry.kind === entryKinds.config) return true
    }
    if (entries.length === 0) return true
    index += entries.length
  }
  return false
}

function startRound(state: RaftState, type: 'preVote' | 'vote', force: boolean): void {
  state.clearRole()
  state.leader = 0
  if (type === 'vote') state.elections++
  state.restartLostRoundTimer()
  let term = state.term + 1
  if (type === 'preVote') {
    state.role = 'preCandidate'
    state.votes.set(state.id, true)
  } else {
    state.role = 'candidate'
    state.enterTerm(term)
    state.answerTo = 0
    state.voteFor(state.id)
    term = state.term
    // Its own vote counts like any other: once it is on disk, with the write that the next Ready
    // hands out.
    state.ownVoteSequence = state.log.sequence + 1
  }
  for (const member of state.progress.values()) {
    if (member.id !== state.id && state.isVoter(member.id)) {
      askForVote(state, type, member.id, term, force)
    }
  }
  decide(state)
}

function askForVote(
  state: RaftState,
  type: 'preVote' | 'vote',
  to: ReplicaId,
  term: number,
  force: boolean
): void {
  const { lastIndex, lastTerm, commit } = state.log
  const request: RaftMessage = {
    type,
    from: state.id,
    to,
    term,
    lastIndex,
    lastTerm,
    force,
    commit,
    commitTerm: state.log.term(commit) ?? 0
  }
  if (type === 'vote') state.sendDurable(request)
  else state.send(request)
}

/** This candidate's term and vote are durable. */
export function countOwnVote(state: RaftState, acknowledged: number): void {
  if (state.ownVoteSequence === 0 || acknowledged < state.ownVoteSequence) return
  state.ownVoteSequence = 0
  // Only now the others are asked, and have their time to answer.
  state.elapsed = 0
  state.votes.set(state.id, true)
  decide(state)
}

function decide(state: RaftState): void {
  const { voters, outgoing } = state.membership
  const result = jointVote(voters, outgoing, state.votes)
  if (result === 'pending') return
  if (result === 'lost') state.becomeFollower(state.term, 0)
  else if (state.role === 'preCandidate') startRound(state, 'vote', false)
  else becomeLeader(state)
}

function becomeLeader(state: RaftState): void {
  assert(state.role === 'candidate' && state.vote === state.id, 'leader without an election')
  state.role = 'leader'
  state.leader = state.id
  state.clearRole()
  state.elections = 0
  state.elapsed = 0
  state.heartbeatElapsed = 0
  const { lastIndex } = state.log
  for (const member of state.progress.values()) {
    member.reset(lastIndex + 1)
    if (member.id === state.id) {
      member.becomeReplicate()
      member.active = true
    }
  }
  // Some entry of the log may be a membership change that is not applied yet.
  state.pendingChange = lastIndex
  state.termStart = appendOwn(state, entryKinds.noop, noData)
  countOwnDisk(state)
}

/** A leader that was heard within the election timeout is defended against candidates (§4.2.3). */
function hearsLeader(state: RaftState): boolean {
  if (!state.config.checkQuorum || state.leader === 0) return false
  return state.role === 'leader' || state.elapsed < state.config.electionTicks
}

/** Vote requests that must not even be looked at, so that they cannot raise the term. */
export function ignoresCandidate(state: RaftState, request: VoteRequest): boolean {
  return request.term > state.term && !request.force && hearsLeader(state)
}

export function handleVoteRequest(state: RaftState, request: VoteRequest): void {
  learnCommit(state, request)
  const isPreVote = request.type === 'preVote'
  const free =
    state.vote === request.from ||
    (state.vote === 0 && state.leader === 0) ||
    (isPreVote && request.term > state.term)
  // A learner or a stranger votes too: it may be a voter without knowing it yet (etcd #10998).
  const granted =
    free &&
    state.quarantine === undefined &&
    request.term >= state.term &&
    state.log.isUpToDate(request.lastIndex, request.lastTerm)
  // A grant names the candidate's term; a pre-vote does not change ours. A refusal names ours, to
  // be learned from.
  const term = granted ? request.term : state.term
  const from = state.id
  const to = request.from
  const { commit } = state.log
  const commitTerm = state.log.term(commit) ?? 0
  if (isPreVote) {
    state.send({ type: 'preVoteAnswer', from, to, term, granted, commit, commitTerm })
    return
  }
  const answer: RaftMessage = { type: 'voteAnswer', from, to, term, granted, commit, commitTerm }
  if (granted) {
    state.voteFor(to)
    state.restartElectionTimer()
    state.sendDurable(answer)
  } else {
    state.send(answer)
  }
}

/**
 * Elections carry the commit index (as in raft-rs). Without it a change could wedge: those whose
 * logs are new enough to win still count by the membership before it, while those who know it
 * committed have logs too short to win.
 */
function learnCommit(state: RaftState, { commit, commitTerm }: VoteRequest | VoteAnswer): void {
  if (state.role === 'leader' || commitTerm === 0) return
  if (state.log.term(commit) !== commitTerm || !state.log.commitTo(commit)) return
  if (state.role !== 'follower' && hasUnappliedChange(state)) state.becomeFollower(state.term, 0)
}

export function handlePreVoteAnswer(state: RaftState, answer: VoteAnswer): void {
  learnCommit(state, answer)
  if (state.role !== 'preCandidate') return
  // A grant of an earlier round names an earlier term.
  if (answer.granted && answer.term !== state.term + 1) return
  if (!state.votes.has(answer.from)) state.votes.set(answer.from, answer.granted)
  decide(state)
}

export function handleVoteAnswer(state: RaftState, answer: VoteAnswer): void {
  learnCommit(state, answer)
  if (state.role !== 'candidate') return
  if (!state.votes.has(answer.from)) state.votes.set(answer.from, answer.granted)
  decide(state)
}

/**
 * The leader is known to be gone: vote for others at once, and stand after `afterTicks`. A word
 * from the leader undoes it.
 */
export function forgetLeader(state: RaftState, afterTicks: number): void {
  if (state.role !== 'follower') return
  state.leader = 0
  state.timeoutTicks = Math.min(state.timeoutTicks, state.elapsed + Math.max(afterTicks, 1))
}
