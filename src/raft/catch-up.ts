import type { ReplicaId } from './types.ts'

/** Ticks in which a follower gets no further before the log is no longer kept for it: half a minute. */
const patienceTicks = 1_500

interface CatchUp {
  /** Everything up to here it has. */
  index: number
  /** The end of the log when it had installed its snapshot. */
  readonly untilIndex: number
  ticks: number
}

/**
 * Followers that have installed a snapshot and still lack what was appended while it was on its way. Were those entries gone by then,
 * the next snapshot would find the same, for ever.
 */
export class CatchUps {
  readonly #match: (peer: ReplicaId) => number
  readonly #peers = new Map<ReplicaId, CatchUp>()

  /** @param match the index up to which a follower is known to hold the log. */
  constructor(match: (peer: ReplicaId) => number) {
    this.#match = match
  }

  begin(peer: ReplicaId, index: number, untilIndex: number): void {
    this.#peers.set(peer, { index, untilIndex, ticks: 0 })
  }

  /** It is level, or gets another snapshot. */
  end(peer: ReplicaId): void {
    this.#peers.delete(peer)
  }

  clear(): void {
    this.#peers.clear()
  }

  tick(): void {
    for (const [peer, one] of this.#peers) {
      const match = this.#match(peer)
      one.ticks = match > one.index ? 0 : one.ticks + 1
      one.index = Math.max(one.index, match)
      if (one.index >= one.untilIndex || one.ticks > patienceTicks) this.end(peer)
    }
  }

  /** The lowest index of the log that one of them is still to be sent or compared with; Infinity when there is none. */
  neededFrom(): number {
    let lowest = Number.POSITIVE_INFINITY
    for (const { index } of this.#peers.values()) lowest = Math.min(lowest, index)
    return lowest
  }
}
