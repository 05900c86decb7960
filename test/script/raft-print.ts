import { decodeMembership } from '../../src/raft/codec.ts'
import type { RaftStatus, Ready } from '../../src/raft/raft-api.ts'
import { type Entry, entryKinds, type Membership, type RaftMessage } from '../../src/raft/types.ts'

/** How things look in the golden traces. */
export function printEntry(entry: Entry): string {
  const at = `${entry.term}/${entry.index}`
  if (entry.kind === entryKinds.noop) return `${at} noop`
  if (entry.kind === entryKinds.config) {
    return `${at} config ${printMembership(decodeMembership(entry.data))}`
  }
  return `${at} "${entry.data.toString()}"`
}

export function printEntries(entries: readonly Entry[]): string {
  if (entries.length > 8) {
    return `[${printEntry(entries[0]!)} … ${printEntry(entries[entries.length - 1]!)}]`
  }
  return `[${entries.map(printEntry).join(', ')}]`
}

export function printMembership({ voters, outgoing, learners }: Membership): string {
  const parts = [`(${voters.join(' ')})`]
  if (outgoing.length > 0) parts.push(`&&(${outgoing.join(' ')})`)
  if (learners.length > 0) parts.push(` learners (${learners.join(' ')})`)
  return parts.join('')
}

export function printMessage(message: RaftMessage): string {
  const { type, from, to, term } = message
  return `${from}->${to} ${type} term=${term}${printBody(message)}`
}

function printBody(message: RaftMessage): string {
  switch (message.type) {
    case 'preVote':
    case 'vote':
      return (
        ` last=${message.lastTerm}/${message.lastIndex}${printCommit(message)}` +
        `${message.force ? ' force' : ''}`
      )
    case 'preVoteAnswer':
    case 'voteAnswer':
      return `${message.granted ? ' granted' : ' refused'}${printCommit(message)}`
    case 'append':
      return (
        ` prev=${message.prevTerm}/${message.prevIndex} commit=${message.commit}` +
        ` ${printEntries(message.entries)}`
      )
    case 'appendAnswer':
      return `${printAppendAnswer(message)}${message.quarantined ? ' quarantined' : ''}`
    case 'heartbeat':
      return ` commit=${message.commit} round=${message.round}`
    case 'heartbeatAnswer':
      return ` round=${message.round}${message.quarantined ? ' quarantined' : ''}`
    case 'snapshot':
      return (
        ` meta=${message.meta.term}/${message.meta.index}` +
        ` ${printMembership(message.meta.membership)}`
      )
    case 'snapshotAnswer':
      return message.installed ? ` installed=${message.index}` : ` next=${message.nextChunk}`
    case 'timeoutNow':
      return ''
    case 'readIndex':
      return message.amnesiac ? ' amnesiac' : ''
    case 'readIndexAnswer':
      return ` index=${message.index}`
    case 'claim':
      return ` ${message.standing} last=${message.lastTerm}/${message.lastIndex}`
    case 'claimAnswer':
      return ` ${message.verdict} ${message.standing}`
  }
}

function printCommit({ commit, commitTerm }: { commit: number; commitTerm: number }): string {
  return ` commit=${commitTerm}/${commit}`
}

function printAppendAnswer(answer: RaftMessage & { type: 'appendAnswer' }): string {
  if (!answer.rejected) return ` index=${answer.index}`
  return ` rejected=${answer.index} hint=${answer.hintTerm}/${answer.hintIndex}`
}

export function printReady(ready: Ready): string[] {
  const lines: string[] = []
  const { change, append } = ready
  if (change !== undefined) {
    lines.push(`${change.role} term=${change.term} leader=${change.leader}`)
  }
  if (append !== undefined) {
    const parts = [`write ${append.ack.sequence}`]
    const { hardState } = append
    if (hardState !== undefined) {
      parts.push(`term=${hardState.term} vote=${hardState.vote} commit=${hardState.commit}`)
    }
    if (append.truncateFrom !== undefined) parts.push(`truncate=${append.truncateFrom}`)
    if (append.entries.length > 0) parts.push(printEntries(append.entries))
    lines.push(parts.join(' '))
  }
  for (const message of ready.now) lines.push(`now ${printMessage(message)}`)
  for (const message of ready.afterAppend) lines.push(`after ${printMessage(message)}`)
  if (ready.committed.length > 0) lines.push(`committed ${printEntries(ready.committed)}`)
  for (const read of ready.reads) lines.push(`read ${read.token} at ${read.index}`)
  for (const token of ready.droppedReads) lines.push(`read ${token} dropped`)
  for (const peer of ready.snapshotsWanted) lines.push(`wants a snapshot for ${peer}`)
  return lines
}

export function printStatus(status: RaftStatus): string[] {
  const { id, role, term, vote, leader, commit, applied, lastIndex, stableIndex } = status
  const flags = status.quarantined ? ' quarantined' : ''
  const transfer = status.transferringTo === 0 ? '' : ` transferringTo=${status.transferringTo}`
  return [
    `${id} ${role} term=${term} vote=${vote} leader=${leader} commit=${commit} applied=${applied}` +
      ` last=${lastIndex} stable=${stableIndex}` +
      ` ${printMembership(status.membership)}${flags}${transfer}`,
    ...status.progress.map(
      member =>
        `  ${member.id} ${member.state} match=${member.match} next=${member.next}` +
        `${member.active ? '' : ' silent'}`
    )
  ]
}
