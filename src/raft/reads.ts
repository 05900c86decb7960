import type { ReplicaId } from './types.ts'

const maxPendingReads = 65_536

interface ReadBatch {
  readonly round: number
  readonly index: number
  readonly reads: readonly PendingRead[]
}

interface PendingRead {
  readonly token: number
  /** The replica that asked by message; 0 = asked here. */
  readonly from: ReplicaId
}

/** A read that is linearizable once everything up to `index` is applied. */
export interface ConfirmedRead {
  readonly token: number
  readonly from: ReplicaId
  readonly index: number
}

/**
 * ReadIndex (§6.4) by rounds: reads that arrive together share the leader's next round number,
 * which its heartbeats carry. Answers to round r from a majority confirm every read of a round ≤
 * r. The number is the leader's own and never repeats within a term, so that a late answer to an
 * earlier round cannot confirm a later read, whatever tokens the callers choose.
 */
export class Reads {
  #round = 0
  #count = 0
  #arrived: PendingRead[] = []
  #batches: ReadBatch[] = []

  get round(): number {
    return this.#round
  }

  /** Reads that wait for a round of their own. */
  get waiting(): number {
    return this.#arrived.length
  }

  get pending(): boolean {
    return this.#batches.length > 0
  }

  /** @returns false when too many are pending. */
  add(token: number, from: ReplicaId): boolean {
    if (this.#count >= maxPendingReads) return false
    this.#count++
    this.#arrived.push({ token, from })
    return true
  }

  /**
   * Starts a round for all that wait. `index`: the leader's commit, which covers an entry of its
   * own term.
   */
  open(index: number): void {
    this.#round++
    this.#batches.push({ round: this.#round, index, reads: this.#arrived })
    this.#arrived = []
  }

  /** A majority has answered `round`. */
  confirm(round: number, to: ConfirmedRead[]): void {
    let done = 0
    while (done < this.#batches.length && this.#batches[done]!.round <= round) {
      const batch = this.#batches[done++]!
      for (const read of batch.reads) {
        to.push({ token: read.token, from: read.from, index: batch.index })
      }
      this.#count -= batch.reads.length
    }
    if (done > 0) this.#batches.splice(0, done)
  }

  /** Leadership is lost: gives up every read. The round is kept, for numbers never repeat. */
  drop(to: number[]): void {
    for (const batch of this.#batches) {
      for (const read of batch.reads) if (read.from === 0) to.push(read.token)
    }
    for (const read of this.#arrived) if (read.from === 0) to.push(read.token)
    this.#batches = []
    this.#arrived = []
    this.#count = 0
  }
}
