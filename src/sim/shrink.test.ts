import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shrink } from './shrink.ts'
import type { SimOptions, SimVerdict } from './simulate.ts'

const all = Array.from({ length: 40 }, (_, i) => i + 1)

/** A world of 40 faults, 100 ms apart, that breaks a rule at the last of the faults `needed`. */
function world(needed: readonly number[], users = 2) {
  return (options: SimOptions): SimVerdict => {
    const faults = all
      .filter(number => options.faults?.includes(number) ?? true)
      .filter(number => number * 100 < options.faultMs)
      .map(number => ({ number, kind: 'crash' as const, atMs: number * 100 }))
    const happened = new Set(faults.map(({ number }) => number))
    const broken =
      needed.every(number => happened.has(number)) && (options.swarm?.users ?? 9) >= users
    return {
      seed: options.seed,
      ok: !broken,
      check: broken ? 'rule' : undefined,
      text: undefined,
      hash: '',
      events: 0,
      virtualMs: broken ? Math.max(0, ...needed) * 100 : 9_000,
      acked: 0,
      received: 0,
      elections: 0,
      faults,
      counts: {},
      marks: {}
    } as SimVerdict
  }
}

describe('a failing run', () => {
  const failing: SimOptions = { seed: 1, faultMs: 6_000 }

  it('is left with the faults, the time and the users that it needs', () => {
    fc.assert(
      fc.property(
        fc.subarray(all, { maxLength: 4 }),
        fc.integer({ min: 1, max: 9 }),
        (needed, users) => {
          const run = world(needed, users)
          const shrunk = shrink(failing, run(failing), run, 1_000)
          expect(shrunk.verdict.ok).toBe(false)
          expect(shrunk.verdict.faults.map(({ number }) => number)).toEqual(needed)
          expect(shrunk.options.faultMs).toBeLessThanOrEqual(Math.max(0, ...needed) * 100 + 200)
          const fewest = users <= 2 ? 2 : users <= 4 ? 4 : undefined
          expect(shrunk.options.swarm?.users).toBe(fewest)
        }
      )
    )
  })

  it('stays as it is when nothing may be tried, and keeps the rule that it breaks', () => {
    const run = world([3])
    expect(shrink(failing, run(failing), run, 0)).toEqual({
      options: failing,
      verdict: run(failing),
      runs: 0
    })
    const other = (options: SimOptions): SimVerdict => ({ ...run(options), check: 'other' })
    expect(shrink(failing, run(failing), other, 50).options).toEqual(failing)
  })
})
