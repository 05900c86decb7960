/** A stalled process must not make up for lost time at once: timeouts are judged on processed input (libuv runs timers first). */
const catchUpTicksMax = 5

/**
 * Turns time into ticks. Ticks lie on one grid for all groups of a process, and so do those in which leaders send heartbeats: these
 * leave in the same turns, whenever the groups were elected, and share writes.
 */
export class TickGrid {
  readonly #tickMs: number
  readonly #heartbeatTicks: number
  #tick: number
  #beat: number

  constructor(tickMs: number, heartbeatTicks: number, nowMs: number) {
    this.#tickMs = tickMs
    this.#heartbeatTicks = heartbeatTicks
    this.#tick = Math.floor(nowMs / tickMs)
    this.#beat = Math.floor(this.#tick / heartbeatTicks)
  }

  /** Calls `tick` for each tick that has passed, after a stall for a few of them. @returns how many. */
  advance(nowMs: number, tick: (heartbeatDue: boolean) => void): number {
    // A timer that comes a little early must not wait for the next.
    const due = Math.floor(nowMs / this.#tickMs + 0.1) - this.#tick
    const ticks = Math.max(0, Math.min(due, catchUpTicksMax))
    for (let i = 0; i < ticks; i++) {
      this.#tick++
      const beat = Math.floor(this.#tick / this.#heartbeatTicks)
      tick(beat > this.#beat)
      this.#beat = beat
    }
    if (due > ticks) this.#tick += due - ticks
    return ticks
  }
}
