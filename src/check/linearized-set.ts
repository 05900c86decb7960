const full = 0xffff_ffff

/**
 * A bitset of operations that knows its own window: words below `#low` are full, words above
 * `#high` empty. Operations are linearized roughly in call order, so the window, and with it `key`,
 * stays small however many operations there are.
 */
export class LinearizedSet {
  readonly #words: Uint32Array
  #low = 0
  #high = -1

  constructor(size: number) {
    this.#words = new Uint32Array((size + 31) >>> 5)
  }

  has(index: number): boolean {
    return (this.#words[index >>> 5]! & (1 << (index & 31))) !== 0
  }

  add(index: number): void {
    const word = index >>> 5
    this.#words[word]! |= 1 << (index & 31)
    if (word > this.#high) this.#high = word
    while (this.#words[this.#low] === full) this.#low++
  }

  remove(index: number): void {
    const word = index >>> 5
    this.#words[word]! &= ~(1 << (index & 31))
    if (word < this.#low) this.#low = word
    while (this.#high >= 0 && this.#words[this.#high] === 0) this.#high--
  }

  /** Equal for equal sets only, and no key is the beginning of another. */
  key(): string {
    let key = `${this.#low},${this.#high};`
    for (let i = this.#low; i <= this.#high; i++) {
      const word = this.#words[i]!
      key += String.fromCharCode(word >>> 16, word & 0xffff)
    }
    return key
  }

  /** The words, for `includes` and `equals`. */
  copy(): Uint32Array {
    return this.#words.slice()
  }

  includes(words: Uint32Array): boolean {
    for (let i = 0; i < words.length; i++) if ((words[i]! & ~this.#words[i]!) !== 0) return false
    return true
  }

  equals(words: Uint32Array): boolean {
    if (words.length !== this.#words.length) return false
    for (let i = 0; i < words.length; i++) if (words[i] !== this.#words[i]) return false
    return true
  }
}
