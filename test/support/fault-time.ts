import type { FaultPorts } from '../../src/net/delay-line.ts'

/** Time that stands still until a test moves it, and chance that a test chooses. */
export class FaultTime implements FaultPorts {
  #nowMs = 0
  #timers: { atMs: number; run: () => void }[] = []
  chance = 0.5

  nowMs(): number {
    return this.#nowMs
  }

  random(): number {
    return this.chance
  }

  after(ms: number, run: () => void): () => void {
    const timer = { atMs: this.#nowMs + ms, run }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(one => one !== timer)
    }
  }

  /** Timers that are due run in their order. */
  advance(ms: number): void {
    const untilMs = this.#nowMs + ms
    for (;;) {
      const due = this.#timers.filter(({ atMs }) => atMs <= untilMs)
      const next = due.sort((a, b) => a.atMs - b.atMs)[0]
      if (next === undefined) break
      this.#timers = this.#timers.filter(one => one !== next)
      this.#nowMs = Math.max(this.#nowMs, next.atMs)
      next.run()
    }
    this.#nowMs = untilMs
  }

  get timers(): number {
    return this.#timers.length
  }
}
