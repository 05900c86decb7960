export interface LagGuardOptions {
  /** A loop that is late by more than this endangers leadership: about half an election timeout. */
  readonly lateMs: number
  /** So many late turns … */
  readonly times: number
  /** … within this time call for a hand-over. */
  readonly withinMs: number
  /** No other hand-over for this long: where all processes are slow, leadership must not wander. */
  readonly restMs: number
}

/** @param electionMinMs shortest silence after which a follower campaigns. */
export function lagGuardOptions(electionMinMs: number): LagGuardOptions {
  return { lateMs: electionMinMs / 2, times: 3, withinMs: 5_000, restMs: 60_000 }
}

/**
 * Watches how late the event loop of this process comes. One long stall ends by itself, by an
 * election; a loop that is late again and again would keep the group waiting each time, just short
 * of one. Then its leaders should go elsewhere while it still can hand over.
 */
export class LagGuard {
  readonly #options: LagGuardOptions
  readonly #lateAtMs: number[] = []
  #restUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: LagGuardOptions) {
    this.#options = options
  }

  /**
   * A turn of the loop came late by `lateMs`. @returns whether to hand leadership over now; whoever
   * does says so by `handedOver`.
   */
  turn(nowMs: number, lateMs: number): boolean {
    const { lateMs: limitMs, times, withinMs } = this.#options
    if (lateMs <= limitMs) return false
    this.#lateAtMs.push(nowMs)
    while (this.#lateAtMs[0]! < nowMs - withinMs) this.#lateAtMs.shift()
    // Bounded however often it is late.
    if (this.#lateAtMs.length > times) this.#lateAtMs.shift()
    return this.#lateAtMs.length >= times && nowMs >= this.#restUntilMs
  }

  handedOver(nowMs: number): void {
    this.#lateAtMs.length = 0
    this.#restUntilMs = nowMs + this.#options.restMs
  }
}
