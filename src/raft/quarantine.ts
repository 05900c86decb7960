import type { RaftState } from './state.ts'
import type { RaftMessage } from './types.ts'

/**
 * The way out of quarantine. A damaged replica may have lost entries that it once acknowledged, so
 * until it holds everything that was committed when it came back it must not vote. What was
 * committed it learns by a linearizable read through the leader: a commit index in some append is
 * not enough, for that append may have been sent before the damage. Where its term and vote are intact
 * (they live apart from the log), its answers to heartbeats stay true and are counted as ever; not
 * so if it is amnesiac, see `readForPeer`.
 */
export function askForCommit(state: RaftState): void {
  const { quarantine } = state
  if (quarantine === undefined || quarantine.target > 0 || state.leader === 0) return
  if (quarantine.token !== 0 && quarantine.ticks < state.config.electionTicks) return
  // Random, so that an answer to an earlier life of this replica cannot pass.
  quarantine.token = state.random.id48()
  quarantine.ticks = 0
  state.send({
    type: 'readIndex',
    from: state.id,
    to: state.leader,
    term: state.term,
    token: quarantine.token,
    amnesiac: quarantine.amnesiac
  })
}

export function handleReadIndexAnswer(
  state: RaftState,
  answer: Extract<RaftMessage, { type: 'readIndexAnswer' }>
): void {
  const { quarantine } = state
  if (quarantine === undefined || quarantine.token === 0) return
  if (answer.token !== quarantine.token || quarantine.target > 0) return
  quarantine.target = answer.index
  leaveQuarantine(state)
}

/** Leaves once everything up to the read's index is committed and durable here. */
export function leaveQuarantine(state: RaftState): void {
  const { quarantine, log } = state
  if (quarantine === undefined || quarantine.target === 0) return
  if (Math.min(log.commit, log.stableIndex) < quarantine.target) return
  state.quarantine = undefined
}
