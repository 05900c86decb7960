import type { Progress } from './progress.ts'
import type { Refusal } from './raft-api.ts'
import type { RaftState } from './state.ts'
import type { ReplicaId } from './types.ts'

/**
 * Hands leadership to `to` once it holds the whole log (§3.10); proposals are refused until it did
 * or the transfer timed out.
 */
export function startTransfer(state: RaftState, to: ReplicaId): Refusal | undefined {
  if (state.role !== 'leader') return 'notLeader'
  if (to === state.id) {
    state.transferTo = 0
    return undefined
  }
  const target = state.progress.get(to)
  if (target === undefined) return 'notMember'
  if (!state.isVoter(to) || target.quarantined) return 'unsafe'
  if (state.transferTo === to) return undefined
  state.transferTo = to
  state.transferElapsed = 0
  state.pumpDue = true
  continueTransfer(state, target)
  return undefined
}

/** Tells the target to campaign as soon as it has everything. */
export function continueTransfer(state: RaftState, target: Progress): void {
  if (state.transferTo !== target.id || target.match !== state.log.lastIndex) return
  sendTimeoutNow(state, target.id)
}

/** Of those who could take over one that does not mind, and of these the one that lacks least. */
export function bestOf<T extends { readonly match: number; readonly willing: boolean }>(
  fit: readonly T[]
): T | undefined {
  let best: T | undefined
  for (const one of fit) {
    const better = best !== undefined && one.willing === best.willing && one.match > best.match
    if (best === undefined || better || (one.willing && !best.willing)) best = one
  }
  return best
}

/** Whom to prefer of the other voters that were heard of late. */
export function bestSuccessor(state: RaftState): Progress | undefined {
  return bestOf(
    state.voters.filter(({ id, quarantined, active }) => id !== state.id && !quarantined && active)
  )
}

/**
 * A leader whose own disk hangs could acknowledge nothing while its heartbeats keep everybody else from leading. It hands over
 * when for the whole time of check-quorum the others' disks have held what its own does not.
 */
export function leaveHungDisk(state: RaftState): void {
  const { stableIndex, commit } = state.log
  const hangs = commit > stableIndex && stableIndex === state.stableAtCheck
  state.stableAtCheck = commit > stableIndex ? stableIndex : -1
  const successor = hangs ? bestSuccessor(state) : undefined
  if (successor !== undefined) startTransfer(state, successor.id)
}

/**
 * A leader that hears no majority steps down. It may still be heard, and then its heartbeats have kept everybody from standing: whoever
 * may best succeed it is told to, at once. If that one is not there, the others stand as soon as they miss heartbeats.
 */
export function resign(state: RaftState): void {
  const fit = state.voters.filter(({ id, quarantined }) => id !== state.id && !quarantined)
  const successor = bestSuccessor(state) ?? bestOf(fit)
  state.becomeFollower(state.term, 0)
  if (successor !== undefined) sendTimeoutNow(state, successor.id)
}

export function sendTimeoutNow(state: RaftState, to: ReplicaId): void {
  state.send({ type: 'timeoutNow', from: state.id, to, term: state.term })
}

export function tickTransfer(state: RaftState): void {
  if (state.transferTo === 0) return
  state.transferElapsed++
  if (state.transferElapsed >= state.config.transferTicks) state.transferTo = 0
}
