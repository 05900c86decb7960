import { assert } from '../base/errors.ts'
import { entryBytes } from './log.ts'
import type { Progress } from './progress.ts'
import { jointValue } from './quorum.ts'
import type { RaftState } from './state.ts'
import { continueTransfer } from './transfer.ts'
import { type EntryKind, entryKinds, type MessageOf, type ReplicaId } from './types.ts'

const countedMatch = (member: Progress): number => (member.quarantined ? 0 : member.match)
const roundOf = (member: Progress): number => member.round
const noData = Buffer.alloc(0)

/** Adds one entry to the leader's own log; it goes out with the next `pump`. */
export function appendOwn(state: RaftState, kind: EntryKind, data: Buffer): number {
  const index = state.log.lastIndex + 1
  state.log.push({ index, term: state.term, kind, data })
  state.pumpDue = true
  return index
}

/**
 * Sends every follower what it may get now: entries while its window has room, else the commit
 * index if it does not know it.
 */
export function pump(state: RaftState): void {
  state.pumpDue = false
  for (const member of state.progress.values()) {
    if (member.id !== state.id) pumpTo(state, member)
  }
}

function pumpTo(state: RaftState, member: Progress): void {
  if (member.state === 'snapshot') return
  if (member.state === 'probe') {
    if (member.probeSent && member.verify) sendAppend(state, member, false)
    else if (!member.probeSent && sendAppend(state, member)) member.probeSent = true
    return
  }
  const { log } = state
  while (member.next <= log.lastIndex && !member.inflight.full()) {
    if (!sendAppend(state, member)) return
  }
  const owed = Math.min(log.commit, member.next - 1)
  if (member.verify || (owed > member.sentCommit && !member.inflight.full())) {
    sendAppend(state, member)
  }
}

/**
 * @param full with as many entries as one message and the window may take, else empty.
 * @returns false when nothing was sent: the follower needs a snapshot, or is not there to take
 * one.
 */
function sendAppend(state: RaftState, member: Progress, full = true): boolean {
  const { log, config } = state
  const prevIndex = member.next - 1
  const prevTerm = log.term(prevIndex)
  if (prevTerm === undefined || (member.next < log.firstIndex() && member.next <= log.lastIndex)) {
    wantSnapshot(state, member)
    return false
  }
  const window = member.state === 'replicate' && member.inflight.full()
  const entries = window || !full ? [] : log.entries(member.next, config.maxMessageBytes)
  member.verify = false
  member.sentCommit = Math.max(member.sentCommit, Math.min(log.commit, prevIndex + entries.length))
  if (entries.length > 0 && member.state === 'replicate') {
    let bytes = 0
    for (let i = 0; i < entries.length; i++) bytes += entryBytes(entries[i]!)
    member.next += entries.length
    member.inflight.add(member.next - 1, bytes)
  }
  state.send({
    type: 'append',
    from: state.id,
    to: member.id,
    term: state.term,
    prevIndex,
    prevTerm,
    commit: log.commit,
    entries
  })
  return true
}

function wantSnapshot(state: RaftState, member: Progress): void {
  // A silent follower would only make us build a snapshot that nobody takes.
  if (!member.active) return
  member.becomeSnapshot()
  state.snapshotsWanted.push(member.id)
}

export function broadcastHeartbeat(state: RaftState): void {
  const { log } = state
  const round = state.reads.round
  state.heartbeatElapsed = 0
  for (const member of state.progress.values()) {
    if (member.id === state.id) continue
    // Never beyond what is verified there: the rest of its log may be another leader's.
    const commit = Math.min(member.match, log.commit)
    member.sentCommit = Math.max(member.sentCommit, commit)
    state.send({
      type: 'heartbeat',
      from: state.id,
      to: member.id,
      term: state.term,
      commit,
      round
    })
  }
}

/**
 * Commits what a majority of disks holds, but counts only entries of the own term (§3.6.2, Figure
 * 3.7).
 */
export function advanceCommit(state: RaftState): void {
  const index = jointValue(state.voters, state.outgoing, countedMatch)
  if (index < state.termStart || index > state.log.lastIndex) return
  if (!state.log.commitTo(index)) return
  state.pumpDue = true
  for (const member of state.progress.values()) {
    if (member.healToken !== 0 && member.healIndex <= index) answerAmnesiac(state, member)
  }
}

/** What is durable here counts like any follower's ack. */
export function countOwnDisk(state: RaftState): void {
  const own = state.progress.get(state.id)
  if (own === undefined) return
  if (own.accepted(state.log.stableIndex)) advanceCommit(state)
}

/** Confirms the reads of every round that a majority of each half has answered. */
export function confirmReads(state: RaftState): void {
  if (!state.reads.pending) return
  const own = state.progress.get(state.id)
  if (own !== undefined) own.round = state.reads.round
  state.reads.confirm(jointValue(state.voters, state.outgoing, roundOf), state.confirmed)
}

/** Has a majority of each half, this leader counted, been heard within the time of check-quorum? */
export function quorumHeard(state: RaftState): boolean {
  const { checkQuorumTicks } = state.config
  const heardOf = ({ silentTicks }: Progress): number => (silentTicks < checkQuorumTicks ? 1 : 0)
  return jointValue(state.voters, state.outgoing, heardOf) >= 1
}

function distrust(state: RaftState, member: Progress): void {
  member.quarantine()
  member.becomeProbe(state.log.lastIndex + 1)
  state.pumpDue = true
}

/** Any answer proves life; its flag tells whether its acks may be counted. */
function hear(state: RaftState, member: Progress, quarantined: boolean): void {
  member.heard()
  if (quarantined && !member.quarantined) {
    distrust(state, member)
  } else if (!quarantined) {
    redeem(state, member)
  }
}

/** It says that it is sound. One that may have forgotten everything is believed once it holds what it was given since. */
function redeem(state: RaftState, member: Progress): void {
  if (!member.quarantined || member.match < member.healIndex) return
  member.quarantined = false
  member.healIndex = 0
  member.healToken = 0
  advanceCommit(state)
}

/**
 * Only a damaged replica asks, once or more in each of its lives. Whatever it acknowledged before
 * is void from here on, so that nothing is committed through it after the index that it gets.
 *
 * An amnesiac may have voted, too, for a candidate of a later term. So it gets the index of an entry that is appended now and that a
 * majority without it has to commit. Whoever is elected with that forgotten vote needs one of this majority, and lacks the entry.
 */
export function readForPeer(state: RaftState, request: MessageOf<'readIndex'>): void {
  const member = state.progress.get(request.from)
  if (member === undefined) return
  distrust(state, member)
  if (!request.amnesiac) {
    state.reads.add(request.token, request.from)
    return
  }
  // One that is still to be committed was appended since this member counts for nothing.
  if (member.healIndex <= state.log.commit) {
    member.healIndex = appendOwn(state, entryKinds.noop, noData)
  }
  member.healToken = request.token
}

function answerAmnesiac(state: RaftState, member: Progress): void {
  const { healToken: token, healIndex: index } = member
  member.healToken = 0
  state.send({
    type: 'readIndexAnswer',
    from: state.id,
    to: member.id,
    term: state.term,
    token,
    index
  })
}

export function handleAppendAnswer(state: RaftState, answer: MessageOf<'appendAnswer'>): void {
  const member = state.progress.get(answer.from)
  if (member === undefined) return
  hear(state, member, answer.quarantined)
  state.pumpDue = true
  if (answer.rejected) {
    // What it acknowledged in an earlier life may come late; as long as it counts for nothing, its newest word holds.
    if (member.quarantined && answer.index <= member.match) member.match = 0
    const hint =
      answer.hintTerm > 0
        ? state.log.lastIndexAtTerm(answer.hintIndex, answer.hintTerm)
        : answer.hintIndex
    member.rejectedAt(answer.index, hint)
    return
  }
  assert(answer.index <= state.log.lastIndex, 'a follower acknowledged what was never sent', {
    from: answer.from,
    index: answer.index
  })
  const moved = member.accepted(answer.index)
  if (!moved && !(member.match === answer.index && member.state === 'probe')) return
  if (member.state === 'replicate') {
    member.inflight.freeTo(answer.index)
  } else if (member.state === 'probe' || member.match + 1 >= state.log.firstIndex()) {
    member.becomeReplicate()
  }
  if (!answer.quarantined) {
    member.acknowledged = Math.max(member.acknowledged, answer.index)
    redeem(state, member)
  }
  if (moved) advanceCommit(state)
  continueTransfer(state, member)
}

export function handleHeartbeatAnswer(
  state: RaftState,
  answer: MessageOf<'heartbeatAnswer'>
): void {
  const member = state.progress.get(answer.from)
  if (member === undefined) return
  hear(state, member, answer.quarantined)
  member.willing = !answer.reluctant
  if (
    member.state !== 'snapshot' &&
    (member.match < state.log.lastIndex || member.state === 'probe')
  ) {
    // Either an append or its answer was lost, or it is under way: an empty one behind it tells. Entries in its place would pile up
    // on a slow link, which heartbeats overtake.
    member.verify = true
    state.pumpDue = true
  }
  if (answer.round > member.round) {
    assert(answer.round <= state.reads.round, 'an answer to a round that was never opened', {
      from: answer.from,
      round: answer.round
    })
    member.round = answer.round
    confirmReads(state)
  }
}

export function reportUnreachable(state: RaftState, peer: ReplicaId): void {
  const member = state.progress.get(peer)
  if (state.role !== 'leader' || member === undefined || member.state !== 'replicate') return
  member.becomeProbe(member.match + 1)
  member.probeSent = true
}

export function reportSnapshot(
  state: RaftState,
  peer: ReplicaId,
  ok: boolean,
  index: number
): void {
  const member = state.progress.get(peer)
  if (state.role !== 'leader' || member?.state !== 'snapshot') return
  if (ok && index <= state.log.lastIndex) {
    // Only its answer to an append, which waits for its disk, moves `match`.
    member.becomeProbe(index + 1)
    state.pumpDue = true
  } else {
    member.becomeProbe(member.match + 1)
    // The next heartbeat answer tries again: at once would spin on a link that just failed.
    member.probeSent = true
  }
}
