import type { ReplicaId } from './types.ts'

/** Appends under way to one follower: a ring of (last index, bytes), oldest first. */
export class Inflight {
  readonly #limitMessages: number
  readonly #limitBytes: number
  readonly #indexes: number[] = []
  readonly #sizes: number[] = []
  #start = 0
  #count = 0
  #bytes = 0

  constructor(limitMessages: number, limitBytes: number) {
    this.#limitMessages = limitMessages
    this.#limitBytes = limitBytes
  }

  get count(): number {
    return this.#count
  }

  get bytes(): number {
    return this.#bytes
  }

  full(): boolean {
    return this.#count >= this.#limitMessages || this.#bytes >= this.#limitBytes
  }

  add(lastIndex: number, sizeBytes: number): void {
    const at = (this.#start + this.#count) % this.#limitMessages
    this.#indexes[at] = lastIndex
    this.#sizes[at] = sizeBytes
    this.#count++
    this.#bytes += sizeBytes
  }

  /** Everything up to `index` has arrived. */
  freeTo(index: number): void {
    while (this.#count > 0 && this.#indexes[this.#start]! <= index) this.freeFirst()
  }

  freeFirst(): void {
    if (this.#count === 0) return
    this.#bytes -= this.#sizes[this.#start]!
    this.#start = (this.#start + 1) % this.#limitMessages
    this.#count--
  }

  clear(): void {
    this.#start = 0
    this.#count = 0
    this.#bytes = 0
  }
}

type ProgressState = 'probe' | 'replicate' | 'snapshot'

/**
 * What the leader knows about one member. `probe`: its log's end is a guess, one append at a time.
 * `replicate`: appends are pipelined, `next` runs ahead of `match`. `snapshot`: it needs a
 * snapshot, nothing is appended.
 */
export class Progress {
  readonly id: ReplicaId
  readonly inflight: Inflight
  /** Durable there and equal to the leader's log up to here. */
  match = 0
  /** The highest index that it acknowledged in this term and that counted, also in a life that it has lost. */
  acknowledged = 0
  /** First index of the next append; always > match. */
  next = 1
  state: ProgressState = 'probe'
  /** Probe only: an append is out and unanswered. */
  probeSent = false
  /** Verify with an empty append what was sent, the pipeline or a probe, even though there is nothing more to send. */
  verify = false
  /** Heard in this term, and within the time of check-quorum. */
  active = false
  /** Ticks since it was last heard, or had its first chance to be; meaningful while leading. */
  silentTicks = 0
  /** Highest commit index told to it. */
  sentCommit = 0
  /** Highest read round that it answered. */
  round = 0
  /** It has said in this term that it does not mind leading. */
  willing = false
  /**
   * Its log failed its checks at start: it holds what it acknowledges but counts for no majority.
   */
  quarantined = false
  /** It may have forgotten everything: it counts again once it holds this entry, appended after that was known. */
  healIndex = 0
  /** Token to answer once `healIndex` is committed by others; 0 = none. */
  healToken = 0

  constructor(id: ReplicaId, limitMessages: number, limitBytes: number) {
    this.id = id
    this.inflight = new Inflight(limitMessages, limitBytes)
  }

  /** Forgets everything, at the start of a term. */
  reset(next: number): void {
    this.match = 0
    this.acknowledged = 0
    this.next = next
    this.state = 'probe'
    this.probeSent = false
    this.verify = false
    this.active = false
    this.silentTicks = 0
    this.sentCommit = 0
    this.round = 0
    this.willing = false
    this.quarantined = false
    this.healIndex = 0
    this.healToken = 0
    this.inflight.clear()
  }

  heard(): void {
    this.active = true
    this.silentTicks = 0
  }

  /** One more tick without a word. */
  silent(checkQuorumTicks: number): void {
    this.silentTicks++
    if (this.silentTicks >= checkQuorumTicks) this.active = false
  }

  /** Its log is damaged: what it acknowledged earlier may be gone. */
  quarantine(): void {
    this.quarantined = true
    this.match = 0
    this.#enter('probe')
  }

  becomeProbe(next: number): void {
    this.next = Math.max(next, this.match + 1)
    this.#enter('probe')
  }

  becomeReplicate(): void {
    this.next = this.match + 1
    this.#enter('replicate')
  }

  becomeSnapshot(): void {
    this.#enter('snapshot')
  }

  #enter(state: ProgressState): void {
    this.state = state
    this.probeSent = false
    this.verify = false
    this.inflight.clear()
  }

  /** An accepted append. @returns whether `match` moved. */
  accepted(index: number): boolean {
    const moved = index > this.match
    if (moved) this.match = index
    if (index >= this.next) this.next = index + 1
    return moved
  }

  /**
   * A rejected append at `rejected`; `hint` is the last index that may match.
   * @returns false when the answer is stale: an index that is known to match, or a probe that is
   * not the one outstanding.
   */
  rejectedAt(rejected: number, hint: number): boolean {
    if (rejected <= this.match) return false
    if (this.state === 'replicate') {
      this.becomeProbe(this.match + 1)
      return true
    }
    if (rejected !== this.next - 1) return false
    this.next = Math.max(Math.min(rejected, hint + 1), this.match + 1)
    this.probeSent = false
    return true
  }
}
