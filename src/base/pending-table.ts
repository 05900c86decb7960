import { TimerWheel, type WheelEntry } from './timer-wheel.ts'

export interface PendingEntry extends WheelEntry {
  readonly sequence: number
}

/**
 * Requests that wait for an answer, by sequence, each with a time to be woken at. Made for the
 * usual case that an answer comes before the first, common timeout: such an entry costs one map
 * entry and leaves nothing behind, so it dies young.
 */
export class PendingTable<T extends PendingEntry> {
  readonly #firstMs: number
  /** Entries on their first timeout; they were added, and time out, in this order. */
  readonly #young = new Map<number, T>()
  readonly #old = new Map<number, T>()
  readonly #wheel: TimerWheel<T>

  /** @param firstMs the common timeout of `wakeFirst`. */
  constructor(nowMs: number, firstMs: number) {
    this.#firstMs = firstMs
    this.#wheel = new TimerWheel<T>(nowMs)
  }

  get size(): number {
    return this.#young.size + this.#old.size
  }

  get(sequence: number): T | undefined {
    return this.#young.get(sequence) ?? this.#old.get(sequence)
  }

  /** A copy, in the order of their ages, so that entries may come and go while it is walked. */
  values(): T[] {
    return [...this.#old.values(), ...this.#young.values()]
  }

  /** Adds an entry; `wakeFirst` or `wake` follows in the same turn. */
  add(entry: T): void {
    entry.wakeAtMs = Number.POSITIVE_INFINITY
    this.#young.set(entry.sequence, entry)
  }

  /** Wakes the entry after the common timeout. */
  wakeFirst(entry: T, nowMs: number): void {
    const atMs = nowMs + this.#firstMs
    // A second first timeout would break the order that `advance` relies on.
    const first = entry.wakeAtMs === Number.POSITIVE_INFINITY
    if (first && this.#young.has(entry.sequence)) entry.wakeAtMs = atMs
    else this.wake(entry, atMs)
  }

  /** Wakes the entry at any other time; an earlier time set before is forgotten. */
  wake(entry: T, atMs: number): void {
    this.#age(entry)
    this.#wheel.schedule(entry, atMs)
  }

  /** False when it was not there. */
  delete(entry: T): boolean {
    if (this.#young.delete(entry.sequence)) return true
    this.#wheel.cancel(entry)
    return this.#old.delete(entry.sequence)
  }

  /** Calls `due` for every entry whose time has come; it stays in the table until it is deleted. */
  advance(nowMs: number, due: (entry: T) => void): void {
    for (const entry of this.#young.values()) {
      if (entry.wakeAtMs > nowMs) break
      this.#age(entry)
      due(entry)
    }
    this.#wheel.advance(nowMs, due)
  }

  #age(entry: T): void {
    if (this.#young.delete(entry.sequence)) this.#old.set(entry.sequence, entry)
  }
}
