/** Something to be driven every now and then. */
export interface Ticking {
  tick(): void
}

/**
 * One timer for any number of clients: thousands in a process must not mean thousands of timers.
 * Runs only while it has members.
 */
class Ticker {
  readonly #everyMs: number
  readonly #members = new Set<Ticking>()
  #timer: NodeJS.Timeout | undefined

  constructor(everyMs: number) {
    this.#everyMs = everyMs
  }

  add(member: Ticking): void {
    this.#members.add(member)
    this.#timer ??= setInterval(() => {
      for (const one of this.#members) one.tick()
    }, this.#everyMs)
  }

  remove(member: Ticking): void {
    this.#members.delete(member)
    if (this.#members.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

/** Heartbeats, acknowledgements, repetitions and reconnects of every `ImClient` of the process. */
export const clientTicker = new Ticker(100)
/** Deadlines and retries of every `LogicClient` of the process. */
export const routeTicker = new Ticker(10)
