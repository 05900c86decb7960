import type { EndpointId } from '../protocol/endpoint.ts'

/** Part of `downAfterMs` after which others are asked, so that they have answered when it is over. */
const suspectShare = 2 / 3
/** Changes of one process that may follow each other at once before they are spaced. */
const changeBurst = 4

interface Heard {
  lastMs: number
  /** The process's node refused a connection since: certainly gone. */
  gone: boolean
  /**
   * Grows by the spacing with each change; how far it is ahead of now says how many came too fast.
   */
  changesPaidMs: number
}

/**
 * The leader's memory of when it heard each process. It only ever leads to proposals about who is
 * up; ownership of slots does not depend on it. Holds one entry per process of the table.
 */
export class Liveness {
  readonly #downAfterMs: number
  readonly #changeSpacingMs: number
  readonly #heard = new Map<EndpointId, Heard>()
  #graceFromMs = 0

  constructor(downAfterMs: number, changeSpacingMs: number) {
    this.#downAfterMs = downAfterMs
    this.#changeSpacingMs = changeSpacingMs
  }

  /** Leadership begins: nobody was heard yet, everybody has a full `downAfterMs`. */
  begin(nowMs: number): void {
    this.#heard.clear()
    this.grace(nowMs)
  }

  /**
   * Everybody gets a full `downAfterMs` from now on: this process itself stood still and may not
   * have read what had arrived.
   */
  grace(nowMs: number): void {
    this.#graceFromMs = nowMs
  }

  heard(endpoint: EndpointId, nowMs: number): void {
    const entry = this.#entry(endpoint)
    entry.lastMs = nowMs
    entry.gone = false
  }

  gone(endpoint: EndpointId): void {
    this.#entry(endpoint).gone = true
  }

  /** Whether the process is to be called down, as far as this arbiter alone can tell. */
  overdue(endpoint: EndpointId, nowMs: number): boolean {
    return this.#silentFor(endpoint, this.#downAfterMs, nowMs)
  }

  /** Whether the process is overdue, or soon will be. */
  suspect(endpoint: EndpointId, nowMs: number): boolean {
    return this.#silentFor(endpoint, this.#downAfterMs * suspectShare, nowMs)
  }

  #silentFor(endpoint: EndpointId, leastMs: number, nowMs: number): boolean {
    const entry = this.#heard.get(endpoint)
    const lastMs = Math.max(entry?.lastMs ?? this.#graceFromMs, this.#graceFromMs)
    return entry?.gone === true || nowMs - lastMs >= leastMs
  }

  /** The table changed on account of this process. */
  changed(endpoint: EndpointId, nowMs: number): void {
    const entry = this.#entry(endpoint)
    entry.changesPaidMs = Math.max(entry.changesPaidMs, nowMs) + this.#changeSpacingMs
  }

  /**
   * 0 when a change of this process may be proposed, else how long a process that flaps has to
   * wait.
   */
  changeWaitMs(endpoint: EndpointId, nowMs: number): number {
    const entry = this.#heard.get(endpoint)
    if (entry === undefined) return 0
    return Math.max(0, entry.changesPaidMs - (changeBurst - 1) * this.#changeSpacingMs - nowMs)
  }

  #entry(endpoint: EndpointId): Heard {
    let entry = this.#heard.get(endpoint)
    if (entry === undefined) {
      entry = { lastMs: this.#graceFromMs, gone: false, changesPaidMs: Number.NEGATIVE_INFINITY }
      this.#heard.set(endpoint, entry)
    }
    return entry
  }
}
