/**
 * Token bucket that keeps blind retries to a share of the sends, so that a fault never becomes a
 * storm. A small constant refill lets a client that sends little retry at all.
 */
export class RetryBudget {
  readonly #perSend: number
  readonly #perMs: number
  readonly #capacity: number
  #tokens: number
  #refilledAtMs: number

  /**
   * @param share tokens earned by one first send.
   * @param floorPerSecond tokens earned by time alone.
   */
  constructor(nowMs: number, share: number, floorPerSecond: number, capacity: number) {
    this.#perSend = share
    this.#perMs = floorPerSecond / 1_000
    this.#capacity = capacity
    this.#tokens = capacity
    this.#refilledAtMs = nowMs
  }

  sent(): void {
    this.#tokens = Math.min(this.#capacity, this.#tokens + this.#perSend)
  }

  /** Takes one token; false when the retry has to wait. */
  take(nowMs: number): boolean {
    const earned = (nowMs - this.#refilledAtMs) * this.#perMs
    this.#tokens = Math.min(this.#capacity, this.#tokens + earned)
    this.#refilledAtMs = nowMs
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }
}
