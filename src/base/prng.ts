import type { Random } from './ports.ts'

/**
 * xoshiro128** (Blackman, Vigna): small, fast, splittable by seed. Not for secrets.
 * Seeded through splitmix32 so that neighbouring seeds give unrelated streams.
 */
export class Prng implements Random {
  #a: number
  #b: number
  #c: number
  #d: number

  /** @param seed any safe integer. @param stream a name; each stream of one seed is independent of the others. */
  constructor(seed: number, stream = '') {
    let state = (seed ^ Math.floor(seed / 0x1_0000_0000)) >>> 0
    for (let i = 0; i < stream.length; i++) {
      state = Math.imul(state ^ stream.charCodeAt(i), 0x01000193) >>> 0
    }
    const next = (): number => {
      state = (state + 0x9e3779b9) >>> 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x21f0aaad)
      z = Math.imul(z ^ (z >>> 15), 0x735a2d97)
      return (z ^ (z >>> 15)) >>> 0
    }
    this.#a = next()
    this.#b = next()
    this.#c = next()
    this.#d = next() | 1
  }

  /** Uniform 32-bit unsigned integer. */
  u32(): number {
    const x = Math.imul(this.#b, 5)
    const result = Math.imul((x << 7) | (x >>> 25), 9) >>> 0
    const t = this.#b << 9
    this.#c ^= this.#a
    this.#d ^= this.#b
    this.#b ^= this.#c
    this.#a ^= this.#d
    this.#c ^= t
    this.#d = (this.#d << 11) | (this.#d >>> 21)
    return result
  }

  float(): number {
    return this.u32() / 0x1_0000_0000
  }

  below(bound: number): number {
    return Math.floor(this.float() * bound)
  }

  id48(): number {
    return (this.u32() & 0xffff) * 0x1_0000_0000 + this.u32() || 1
  }
}
