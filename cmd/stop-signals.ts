const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Ctrl-C once asks to stop, twice to hurry. */
export class StopSignals {
  readonly #stop = new AbortController()
  readonly #hurry = new AbortController()
  readonly #listener = () => {
    if (this.stop.aborted) this.#hurry.abort()
    this.#stop.abort()
  }

  constructor() {
    for (const signal of signals) process.on(signal, this.#listener)
  }

  get stop(): AbortSignal {
    return this.#stop.signal
  }

  get hurry(): AbortSignal {
    return this.#hurry.signal
  }

  /** Signals have their usual effect again. */
  release(): void {
    for (const signal of signals) process.off(signal, this.#listener)
  }
}
