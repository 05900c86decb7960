export interface Distribution {
  readonly count: number
  readonly mean: number
  /** Estimated from buckets that double: too high by at most a factor of two. */
  readonly p50: number
  readonly p99: number
  readonly max: number
}

const lowestPower = -7
/** 2^-7 … 2^24: fractions of a millisecond to hours, single items to millions. */
const bounds: readonly number[] = Array.from({ length: 32 }, (_, i) => 2 ** (i + lowestPower))

/** Counts values in buckets whose bounds double; the last bucket holds what is beyond all bounds. Values below 0 count as the smallest. */
export class Buckets {
  readonly #counts = new Float64Array(bounds.length + 1)
  #count = 0
  #sum = 0
  #max = 0

  observe(value: number): void {
    this.#counts[bucketOf(value)]! += 1
    this.#count += 1
    this.#sum += value
    if (value > this.#max) this.#max = value
  }

  summary(): Distribution {
    const count = this.#count
    if (count === 0) return { count: 0, mean: 0, p50: 0, p99: 0, max: 0 }
    const mean = this.#sum / count
    return { count, mean, p50: this.#quantile(0.5), p99: this.#quantile(0.99), max: this.#max }
  }

  /** `upTo[i]`: how many values are at or below `bounds[i]`. */
  cumulative() {
    let below = 0
    const upTo = bounds.map((_, i) => {
      below += this.#counts[i]!
      return below
    })
    return { bounds, upTo, count: this.#count, sum: this.#sum }
  }

  #quantile(share: number): number {
    let left = share * this.#count
    for (let i = 0; i < bounds.length; i++) {
      left -= this.#counts[i]!
      if (left <= 0) return Math.min(bounds[i]!, this.#max)
    }
    return this.#max
  }
}

function bucketOf(value: number): number {
  if (!(value > bounds[0]!)) return 0
  return Math.min(bounds.length, Math.ceil(Math.log2(value)) - lowestPower)
}
