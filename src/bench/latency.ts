import { build, type Histogram } from 'hdr-histogram-js'

export interface LatencySummary {
  readonly count: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** Latencies in an HDR histogram: microsecond steps up to 2 minutes, three significant digits. */
export class LatencyRecorder {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3
  })

  record(latencyMs: number): void {
    this.#histogram.recordValue(Math.min(120_000_000, Math.max(1, Math.round(latencyMs * 1_000))))
  }

  reset(): void {
    this.#histogram.reset()
  }

  summary(): LatencySummary {
    const at = (percentile: number): number =>
      this.#histogram.totalCount === 0
        ? 0
        : this.#histogram.getValueAtPercentile(percentile) / 1_000
    return {
      count: this.#histogram.totalCount,
      p50Ms: at(50),
      p99Ms: at(99),
      p999Ms: at(99.9),
      maxMs: this.#histogram.maxValue / 1_000
    }
  }
}
