import { monitorEventLoopDelay } from 'node:perf_hooks'

export interface ProcessReading {
  readonly rssBytes: number
  readonly heapUsedBytes: number
  /** User and system time since the start of the process. */
  readonly cpuMicros: number
  /** How late timers ran, since about ten seconds before the last reading. */
  readonly eventLoopDelayMs: {
    readonly count: number
    readonly mean: number
    readonly p50: number
    readonly p99: number
    readonly max: number
  }
}

/** Each sample wakes the process, so an idle one pays for a finer look. */
const resolutionMs = 50
const windowMs = 10_000

/** Watches this process: memory, processor time, and how long its event loop is blocked. Call `stop` at the end. */
export class ProcessMeter {
  #current = monitorEventLoopDelay({ resolution: resolutionMs })
  #sinceMs = performance.now()
  #reading: ProcessReading['eventLoopDelayMs'] = { count: 0, mean: 0, p50: 0, p99: 0, max: 0 }

  constructor() {
    this.#current.enable()
  }

  read(): ProcessReading {
    const { rss, heapUsed } = process.memoryUsage()
    const { user, system } = process.cpuUsage()
    return {
      rssBytes: rss,
      heapUsedBytes: heapUsed,
      cpuMicros: user + system,
      eventLoopDelayMs: this.#delay()
    }
  }

  stop(): void {
    this.#current.disable()
  }

  #delay(): ProcessReading['eventLoopDelayMs'] {
    const seen = this.#current
    // The histogram holds the whole interval between two wake-ups; the delay is what goes beyond it.
    const late = (nanos: number) => Math.max(0, nanos / 1e6 - resolutionMs)
    if (seen.count > 0) {
      const [p50, p99] = [late(seen.percentile(50)), late(seen.percentile(99))]
      const [mean, max] = [late(seen.mean), late(seen.max)]
      this.#reading = { count: seen.count, mean, p50, p99, max }
    }
    if (performance.now() - this.#sinceMs > windowMs) {
      seen.reset()
      this.#sinceMs = performance.now()
    }
    return this.#reading
  }
}
