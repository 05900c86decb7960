import { flushAnswer } from './following.ts'
import type { Ready } from './raft-api.ts'
import { broadcastHeartbeat, confirmReads, pump } from './replication.ts'
import type { RaftState } from './state.ts'
import type { HardState, ReplicaId, Role } from './types.ts'

const maxCommittedBytes = 4 << 20
const nothing: readonly never[] = []
const emptyReady: Ready = {
  now: nothing,
  afterAppend: nothing,
  committed: nothing,
  reads: nothing,
  droppedReads: nothing,
  snapshotsWanted: nothing
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

/** Turns what has gathered in the state into a `Ready`, and decides what must wait for the disk. */
export class Outlet {
  readonly #state: RaftState
  #handedHardState: HardState
  /** The last write that carried a new term or vote: until it is durable no message may leave. */
  #identitySequence = 0
  #acknowledged = 0
  #told: { role: Role; leader: ReplicaId; term: number }

  constructor(state: RaftState, hardState: HardState) {
    this.#state = state
    this.#handedHardState = hardState
    this.#told = { role: 'follower', leader: 0, term: hardState.term }
  }

  /** A write and all before it are durable. @returns the latest such write. */
  acknowledge(sequence: number): number {
    if (sequence > this.#acknowledged) this.#acknowledged = sequence
    return this.#acknowledged
  }

  hasReady(): boolean {
    const state = this.#state
    return (
      state.outbox.length > 0 ||
      state.pumpDue ||
      state.log.hasWrite() ||
      state.log.hasCommitted() ||
      state.gated.length > 0 ||
      state.answerTo !== 0 ||
      state.confirmed.length > 0 ||
      state.dropped.length > 0 ||
      state.snapshotsWanted.length > 0 ||
      this.#identityChanged() ||
      this.#readsDue(state) ||
      this.#changed()
    )
  }

  #identityChanged(): boolean {
    const { term, vote } = this.#handedHardState
    return term !== this.#state.term || vote !== this.#state.vote
  }

  #readsDue(state: RaftState): boolean {
    return state.reads.waiting > 0 && state.role === 'leader' && state.committedInTerm()
  }

  #changed(): boolean {
    const { role, leader, term } = this.#told
    return role !== this.#state.role || leader !== this.#state.leader || term !== this.#state.term
  }

  ready(): Ready {
    if (!this.hasReady()) return emptyReady
    const state = this.#state
    if (this.#readsDue(state)) {
      state.reads.open(state.log.commit)
      broadcastHeartbeat(state)
      confirmReads(state)
    }
    if (state.pumpDue) pump(state)
    flushAnswer(state)
    const reads = this.#takeReads(state)
    let now = take(state.outbox)
    let afterAppend = take(state.gated)
    state.outbox = []
    state.gated = []
    const identityChanged = this.#identityChanged()
    if (identityChanged || this.#identitySequence > this.#acknowledged) {
      if (now.length > 0) afterAppend = now.concat(afterAppend)
      now = nothing
    } else if (this.#acknowledged === state.log.sequence && !state.log.hasWrite()) {
      if (afterAppend.length > 0) now = now.concat(afterAppend)
      afterAppend = nothing
    }
    const ready: Mutable<Ready> = {
      now,
      afterAppend,
      committed: nothing,
      reads,
      droppedReads: take(state.dropped),
      snapshotsWanted: take(state.snapshotsWanted)
    }
    state.dropped = []
    state.snapshotsWanted = []
    if (state.log.hasWrite() || identityChanged || afterAppend.length > 0) {
      ready.append = this.#takeAppend(state, identityChanged)
    }
    if (state.log.hasCommitted()) ready.committed = this.#takeCommitted(state)
    if (this.#changed()) {
      this.#told = { role: state.role, leader: state.leader, term: state.term }
      ready.change = this.#told
    }
    return ready
  }

  #takeReads(state: RaftState): Ready['reads'] {
    if (state.confirmed.length === 0) return nothing
    const own = state.confirmed.filter(read => read.from === 0)
    for (const read of state.confirmed) {
      if (read.from === 0) continue
      state.send({
        type: 'readIndexAnswer',
        from: state.id,
        to: read.from,
        term: state.term,
        token: read.token,
        index: read.index
      })
    }
    state.confirmed = []
    return own
  }

  #takeAppend(state: RaftState, identityChanged: boolean): NonNullable<Ready['append']> {
    const write = state.log.take()
    const append: Mutable<NonNullable<Ready['append']>> = {
      entries: write.entries,
      mustSync: true,
      ack: state.log.ack(state.term)
    }
    if (write.truncateFrom > 0) append.truncateFrom = write.truncateFrom
    if (identityChanged) this.#identitySequence = append.ack.sequence
    // The commit index travels with the entries: who holds a membership change must know the one
    // before it committed.
    if (identityChanged || this.#handedHardState.commit !== state.log.commit) {
      const hardState = { term: state.term, vote: state.vote, commit: state.log.commit }
      this.#handedHardState = hardState
      append.hardState = hardState
    }
    return append
  }

  #takeCommitted(state: RaftState): Ready['committed'] {
    const entries = state.log.takeCommitted(maxCommittedBytes)
    if (state.uncommittedBytes > 0) {
      let bytes = 0
      for (let i = 0; i < entries.length; i++) bytes += entries[i]!.data.length
      state.uncommittedBytes = Math.max(0, state.uncommittedBytes - bytes)
    }
    return entries
  }
}

function take<T>(list: T[]): readonly T[] {
  return list.length === 0 ? nothing : list
}
