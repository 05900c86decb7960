/** Lets so many pass in a second, the first at once. What could have passed while nobody wanted to does not pass later all together. */
export class Turnstile {
  readonly #perSecond: number
  #free = 1
  #atMs: number

  /** @param perSecond undefined: everybody passes. @param nowMs monotonic, as for `pass`. */
  constructor(perSecond: number | undefined, nowMs: number) {
    this.#perSecond = perSecond ?? Number.POSITIVE_INFINITY
    this.#atMs = nowMs
  }

  /** How many of those that want to pass now. */
  pass(wanted: number, nowMs: number): number {
    if (this.#perSecond === Number.POSITIVE_INFINITY) return wanted
    const grown = this.#free + ((nowMs - this.#atMs) / 1_000) * this.#perSecond
    this.#free = Math.min(grown, Math.max(1, this.#perSecond))
    this.#atMs = nowMs
    const passing = Math.min(wanted, Math.floor(this.#free))
    this.#free -= passing
    return passing
  }
}
