const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** npm hands on to its child what the terminal has sent to both: that is one Ctrl-C, not two. */
const onceMs = 500

/** Ctrl-C once asks to stop, twice to hurry. */
export class StopSignals {
  readonly #stop = new AbortController()
  readonly #hurry = new AbortController()
  #stoppedMs = 0
  readonly #listener = () => {
    const nowMs = performance.now()
    if (!this.stop.aborted) {
      this.#stoppedMs = nowMs
      this.#stop.abort()
    } else if (nowMs - this.#stoppedMs > onceMs) {
      this.#hurry.abort()
    }
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
