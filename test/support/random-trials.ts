import { expect } from 'vitest'
import type { Prng } from '../../src/base/prng.ts'
import type { Trial } from './brute-force.ts'

export const never = Number.POSITIVE_INFINITY
/** Random histories to a comparison. */
export const runs = 5_000

/** Judges `runs` random histories both ways; each verdict must be the same. */
export function compare<Input>(
  random: Prng,
  make: (random: Prng) => Trial<Input>[],
  judge: (history: readonly Trial<Input>[]) => { actual: string; spec: boolean }
): { good: number; bad: number } {
  const verdicts = { good: 0, bad: 0 }
  for (let run = 0; run < runs; run++) {
    const history = make(random)
    const { actual, spec } = judge(history)
    if (actual !== (spec ? 'linearizable' : 'violation')) expect.fail(JSON.stringify(history))
    verdicts[spec ? 'good' : 'bad']++
  }
  return verdicts
}

/** Up to six operations with random times, in the order in which they are to take effect. */
export function times(random: Prng, unknownShare: number) {
  return Array.from({ length: 1 + random.below(6) }, () => {
    const call = random.float()
    const length = random.float() ** 2
    const unknown = random.float() < unknownShare
    const lasts = unknown ? 3 * length : length
    return {
      call,
      return: unknown ? never : call + length,
      effect: unknown && random.below(2) === 0 ? never : call + random.float() * lasts
    }
  }).sort((a, b) => a.effect - b.effect)
}

export function pick<T>(random: Prng, items: readonly T[]): T {
  return items[random.below(items.length)]!
}
