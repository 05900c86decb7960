const startMs = 30_000
const growth = 1.5
const shrink = 0.8

/**
 * The adaptive interval between heartbeats: grows while connections survive it, and settles below
 * the last good value when one went silent, as middleboxes forget idle connections after a time
 * that nobody announces.
 */
export class Heartbeat {
  #minMs = startMs
  #maxMs = startMs
  #intervalMs = startMs
  #goodMs = 0
  /** An interval that has failed is not tried again. */
  #ceilingMs = Number.POSITIVE_INFINITY

  get intervalMs(): number {
    return Math.round(Math.min(Math.max(this.#intervalMs, this.#minMs), this.#maxMs))
  }

  /** The server's bounds. */
  bounds(minMs: number, maxMs: number): void {
    this.#minMs = Math.max(minMs, 1)
    this.#maxMs = Math.max(maxMs, this.#minMs)
  }

  /** A heartbeat after a whole interval of silence was answered. */
  survived(): void {
    this.#goodMs = this.intervalMs
    this.#intervalMs = Math.min(this.intervalMs * growth, this.#ceilingMs)
  }

  /** A heartbeat got no answer. */
  failed(): void {
    this.#ceilingMs = Math.max(this.#minMs, this.intervalMs * shrink)
    this.#intervalMs = Math.min(this.#goodMs || this.intervalMs, this.#ceilingMs)
  }
}
