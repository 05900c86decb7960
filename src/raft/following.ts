import { assert } from '../base/errors.ts'
import type { RaftState } from './state.ts'
import type { Entry, MessageOf, ReplicaId } from './types.ts'

export function handleAppend(state: RaftState, message: MessageOf<'append'>): void {
  const { log } = state
  if (message.prevIndex < log.commit) {
    acceptedTo(state, message.from, log.commit)
    return
  }
  if (log.term(message.prevIndex) !== message.prevTerm) {
    rejectAppend(state, message)
    return
  }
  const { entries } = message
  if (entries.length > 0) log.merge(checked(message))
  const lastNew = message.prevIndex + entries.length
  log.commitTo(Math.min(message.commit, lastNew))
  acceptedTo(state, message.from, lastNew)
}

function checked(message: MessageOf<'append'>): readonly Entry[] {
  const first = message.entries[0]!
  const last = message.entries[message.entries.length - 1]!
  assert(
    first.index === message.prevIndex + 1 &&
      last.index === message.prevIndex + message.entries.length &&
      last.term <= message.term,
    'an append does not follow its previous entry',
    { prevIndex: message.prevIndex, first: first.index, last: last.index }
  )
  return message.entries
}

/** Remembers the answer: appends of one turn are answered once, with the last index. */
function acceptedTo(state: RaftState, to: ReplicaId, index: number): void {
  state.answerIndex = state.answerTo === to ? Math.max(state.answerIndex, index) : index
  state.answerTo = to
}

/**
 * Puts the remembered answer where it belongs: it is an ack, so it waits for the disk. What it would say a second time while the first
 * answer waits is worth no write of its own.
 */
export function flushAnswer(state: RaftState): void {
  if (state.answerTo === 0) return
  const answer: MessageOf<'appendAnswer'> = {
    type: 'appendAnswer',
    from: state.id,
    to: state.answerTo,
    term: state.term,
    rejected: false,
    index: state.answerIndex,
    hintIndex: 0,
    hintTerm: 0,
    quarantined: state.quarantine !== undefined
  }
  state.answerTo = 0
  if (answer.index <= state.log.stableIndex) state.send(answer)
  else if (!isGated(state, answer)) {
    state.gatedAnswer = answer
    state.sendDurable(answer)
  }
}

function isGated({ gatedAnswer, log }: RaftState, answer: MessageOf<'appendAnswer'>): boolean {
  return (
    gatedAnswer !== undefined &&
    !log.replaces &&
    gatedAnswer.to === answer.to &&
    gatedAnswer.index >= answer.index &&
    gatedAnswer.quarantined === answer.quarantined
  )
}

function rejectAppend(state: RaftState, message: MessageOf<'append'>): void {
  const { log } = state
  const hintIndex = log.lastIndexAtTerm(
    Math.min(message.prevIndex, log.lastIndex),
    message.prevTerm
  )
  const hintTerm = log.term(hintIndex) ?? 0
  sendRejection(state, message.from, { index: message.prevIndex, hintIndex, hintTerm })
}

export function sendRejection(
  state: RaftState,
  to: ReplicaId,
  what: Pick<MessageOf<'appendAnswer'>, 'index' | 'hintIndex' | 'hintTerm'>
): void {
  const quarantined = state.quarantine !== undefined
  const { id: from, term } = state
  state.send({ type: 'appendAnswer', from, to, term, rejected: true, ...what, quarantined })
}

export function handleHeartbeat(state: RaftState, message: MessageOf<'heartbeat'>): void {
  const { log } = state
  // A damaged log may have lost what this leader once saw acknowledged.
  const commit =
    state.quarantine === undefined ? message.commit : Math.min(message.commit, log.lastIndex)
  log.commitTo(commit)
  state.send({
    type: 'heartbeatAnswer',
    from: state.id,
    to: message.from,
    term: state.term,
    // What it promised to another leader it may have forgotten: it vouches for none.
    round: state.quarantine?.amnesiac === true ? 0 : message.round,
    quarantined: state.quarantine !== undefined,
    reluctant: state.reluctant
  })
}
