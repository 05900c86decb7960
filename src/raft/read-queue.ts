type ReadCallback = (confirmed: boolean) => void

/** Linearizable reads on their way: gathered per flush into one ReadIndex round, then held until the rows have caught up. */
export class ReadQueue {
  #gathered: ReadCallback[] = []
  readonly #asked = new Map<number, ReadCallback[]>()
  #waiting: { index: number; callbacks: ReadCallback[] }[] = []
  #lastToken = 0

  add(done: ReadCallback): void {
    this.#gathered.push(done)
  }

  /** One round for everything gathered. @param ask returns false when the core refuses. */
  ask(ask: (token: number) => boolean): void {
    if (this.#gathered.length === 0) return
    const callbacks = this.#gathered
    this.#gathered = []
    this.#lastToken += 1
    if (ask(this.#lastToken)) this.#asked.set(this.#lastToken, callbacks)
    else settle(callbacks, false)
  }

  /** The round of `token` is confirmed: its reads may run once everything up to `index` is applied. */
  confirm(token: number, index: number, applied: number): void {
    const callbacks = this.#asked.get(token)
    if (callbacks === undefined) return
    this.#asked.delete(token)
    if (applied >= index) settle(callbacks, true)
    else this.#waiting.push({ index, callbacks })
  }

  drop(token: number): void {
    const callbacks = this.#asked.get(token)
    this.#asked.delete(token)
    if (callbacks !== undefined) settle(callbacks, false)
  }

  release(applied: number): void {
    if (this.#waiting.length === 0) return
    const still: { index: number; callbacks: ReadCallback[] }[] = []
    for (const waiting of this.#waiting) {
      if (waiting.index > applied) still.push(waiting)
      else settle(waiting.callbacks, true)
    }
    this.#waiting = still
  }

  /** Leadership is gone: nothing on its way can be confirmed. */
  dropAll(): void {
    const dropped = [...this.#asked.values(), ...this.#waiting.map(({ callbacks }) => callbacks)]
    this.#asked.clear()
    this.#waiting = []
    for (const callbacks of dropped) settle(callbacks, false)
  }
}

function settle(callbacks: readonly ReadCallback[], confirmed: boolean): void {
  for (const callback of callbacks) callback(confirmed)
}
