/**
 * A set of non-negative integers kept as ascending runs: a device that got messages 1 … n costs one
 * run, whatever n is.
 */
export class RunSet {
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  /** How many runs: 1 + the number of gaps, 0 when empty. */
  get runs(): number {
    return this.#starts.length
  }

  get first(): number | undefined {
    return this.#starts[0]
  }

  get last(): number | undefined {
    return this.#ends[this.#ends.length - 1]
  }

  /** How many integers. */
  get size(): number {
    let size = 0
    for (let i = 0; i < this.#starts.length; i++) size += this.#ends[i]! - this.#starts[i]! + 1
    return size
  }

  has(value: number): boolean {
    const at = this.#runAt(value)
    return at >= 0 && value <= this.#ends[at]!
  }

  /** False when it was there already. */
  add(value: number): boolean {
    const at = this.#runAt(value)
    if (at >= 0 && value <= this.#ends[at]!) return false
    const extendsLeft = at >= 0 && this.#ends[at] === value - 1
    const extendsRight = this.#starts[at + 1] === value + 1
    if (extendsLeft && extendsRight) {
      this.#ends[at] = this.#ends[at + 1]!
      this.#starts.splice(at + 1, 1)
      this.#ends.splice(at + 1, 1)
    } else if (extendsLeft) {
      this.#ends[at] = value
    } else if (extendsRight) {
      this.#starts[at + 1] = value
    } else if (at === this.#starts.length - 1) {
      this.#starts.push(value)
      this.#ends.push(value)
    } else {
      this.#starts.splice(at + 1, 0, value)
      this.#ends.splice(at + 1, 0, value)
    }
    return true
  }

  /** Adds first … last to a set that holds nothing from `first` on. */
  append(first: number, last: number): void {
    if (first > last) return
    this.#starts.push(first)
    this.#ends.push(last)
  }

  /** The runs of this set within [from, until] that `other` lacks, ascending, as [first, last]. */
  *without(other: RunSet, from: number, until: number): Generator<[number, number]> {
    for (let i = 0; i < this.#starts.length; i++) {
      const end = Math.min(this.#ends[i]!, until)
      let start = Math.max(this.#starts[i]!, from)
      while (start <= end) {
        const at = other.#runAt(start)
        const heldUntil = at < 0 ? -1 : other.#ends[at]!
        if (start <= heldUntil) {
          start = heldUntil + 1
          continue
        }
        const last = Math.min(end, (other.#starts[at + 1] ?? end + 1) - 1)
        yield [start, last]
        start = last + 1
      }
    }
  }

  /** Index of the last run that starts at or below `value`, −1 if none. */
  #runAt(value: number): number {
    const starts = this.#starts
    let high = starts.length - 1
    if (high < 0 || starts[high]! <= value) return high
    let low = -1
    while (high - low > 1) {
      const middle = (low + high) >> 1
      if (starts[middle]! <= value) low = middle
      else high = middle
    }
    return low
  }
}
