/** What a `TimerWheel` keeps on its entries. Entries are made with both fields 0 and −1. */
export interface WheelEntry {
  /** When the entry wants to be woken; set by `schedule`. */
  wakeAtMs: number
  /** The bucket that holds the live reference; −1 while none does. */
  wakeTick: number
}

/**
 * Hashed timing wheel (Varghese, Lauck 1987): O(1) to set, move and cancel, driven by ticks. A
 * moved or cancelled entry leaves a dead reference behind that its old bucket drops when the time
 * comes.
 */
export class TimerWheel<T extends WheelEntry> {
  readonly #buckets: T[][] = []
  readonly #tickMs: number
  #tick: number

  /**
   * @param tickMs resolution.
   * @param bucketCount times further away than `tickMs × bucketCount` go round more than once.
   */
  constructor(nowMs: number, tickMs = 10, bucketCount = 1024) {
    this.#tickMs = tickMs
    this.#tick = Math.floor(nowMs / tickMs)
    for (let i = 0; i < bucketCount; i++) this.#buckets.push([])
  }

  /**
   * Wakes `entry` at the first `advance` at or after `atMs`; an earlier time set before is
   * forgotten.
   */
  schedule(entry: T, atMs: number): void {
    entry.wakeAtMs = atMs
    const wanted = Math.ceil(atMs / this.#tickMs)
    const tick = Math.min(Math.max(wanted, this.#tick + 1), this.#tick + this.#buckets.length - 1)
    if (entry.wakeTick === tick) return
    entry.wakeTick = tick
    this.#buckets[tick % this.#buckets.length]!.push(entry)
  }

  cancel(entry: T): void {
    entry.wakeTick = -1
  }

  /** Calls `due` once for every entry whose time has come; `due` may schedule again. */
  advance(nowMs: number, due: (entry: T) => void): void {
    const target = Math.floor(nowMs / this.#tickMs)
    const count = this.#buckets.length
    const rounds = Math.min(target - this.#tick, count)
    // After a stall longer than one round every bucket is due, each once.
    this.#tick = Math.max(this.#tick, target - count)
    for (let i = 0; i < rounds; i++) {
      this.#tick++
      const at = this.#tick % count
      const bucket = this.#buckets[at]!
      if (bucket.length === 0) continue
      this.#buckets[at] = []
      for (const entry of bucket) {
        if (entry.wakeTick < 0 || entry.wakeTick % count !== at) continue
        entry.wakeTick = -1
        if (entry.wakeAtMs > nowMs) this.schedule(entry, entry.wakeAtMs)
        else due(entry)
      }
    }
  }
}
