import { crc32OfString } from '../base/crc32.ts'

/** What became of a seed: a hash over all events, and on request their story. */
export class Trace {
  readonly #story: ((line: string) => void) | undefined
  readonly #numbers = new Map<string, number>()
  #hash = 0x811c9dc5

  /** @param story gets readable lines; without it none are made. */
  constructor(story?: (line: string) => void) {
    this.#story = story
  }

  get told(): boolean {
    return this.#story !== undefined
  }

  /** Equal after equal events in equal order. 8 hex digits. */
  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, '0')
  }

  /** Counts an event into the hash. */
  event(atMs: number, what: string, subject: number, detail = 0): void {
    let number = this.#numbers.get(what)
    if (number === undefined) {
      number = crc32OfString(what)
      this.#numbers.set(what, number)
    }
    this.#mix(Math.floor(atMs * 1_000) | 0)
    this.#mix(number)
    this.#mix(subject)
    this.#mix(detail | 0)
  }

  tell(atMs: number, who: string, line: () => string): void {
    this.#story?.(`${(atMs / 1_000).toFixed(4).padStart(9)} ${who.padEnd(8)} ${line()}`)
  }

  #mix(value: number): void {
    this.#hash = Math.imul(this.#hash ^ value, 0x01000193)
    this.#hash ^= this.#hash >>> 15
  }
}
