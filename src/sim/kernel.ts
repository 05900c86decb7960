/** The virtual clock and its event queue: one thread, one order. Events at one instant run in the order they were scheduled. */
export class Kernel {
  #nowMs = 0
  #sequence = 0
  #size = 0
  #times: Float64Array = new Float64Array(1024)
  #orders: Float64Array = new Float64Array(1024)
  #events: (() => void)[] = []
  #ran = 0

  nowMs(): number {
    return this.#nowMs
  }

  /** Events run so far. */
  get eventCount(): number {
    return this.#ran
  }

  /** @param delayMs 0 or more, fractions allowed. */
  schedule(delayMs: number, event: () => void): void {
    this.#push(this.#nowMs + Math.max(0, delayMs), event)
  }

  /** Runs events until the clock would pass `untilMs`, then sets the clock there. `after` runs behind every event. */
  runUntil(untilMs: number, after?: () => void): void {
    while (this.#size > 0 && this.#times[0]! <= untilMs) {
      this.#nowMs = this.#times[0]!
      const event = this.#pop()
      this.#ran += 1
      event()
      after?.()
    }
    this.#nowMs = Math.max(this.#nowMs, untilMs)
  }

  #push(timeMs: number, event: () => void): void {
    if (this.#size === this.#times.length) this.#grow()
    let at = this.#size++
    const order = this.#sequence++
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (this.#before(parent, timeMs, order)) break
      this.#move(parent, at)
      at = parent
    }
    this.#times[at] = timeMs
    this.#orders[at] = order
    this.#events[at] = event
  }

  #pop(): () => void {
    const first = this.#events[0]!
    const last = --this.#size
    const timeMs = this.#times[last]!
    const order = this.#orders[last]!
    const event = this.#events[last]!
    this.#events[last] = nothing
    if (last === 0) return first
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= last) break
      if (child + 1 < last && this.#before(child + 1, this.#times[child]!, this.#orders[child]!)) {
        child += 1
      }
      if (!this.#before(child, timeMs, order)) break
      this.#move(child, at)
      at = child
    }
    this.#times[at] = timeMs
    this.#orders[at] = order
    this.#events[at] = event
    return first
  }

  #before(index: number, timeMs: number, order: number): boolean {
    const own = this.#times[index]!
    return own < timeMs || (own === timeMs && this.#orders[index]! < order)
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from]!
    this.#orders[to] = this.#orders[from]!
    this.#events[to] = this.#events[from]!
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2)
    times.set(this.#times)
    this.#times = times
    const orders = new Float64Array(this.#orders.length * 2)
    orders.set(this.#orders)
    this.#orders = orders
  }
}

function nothing(): void {}
