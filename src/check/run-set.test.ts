import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { RunSet } from './run-set.ts'

function setOf(values: Iterable<number>): RunSet {
  const set = new RunSet()
  for (const value of values) set.add(value)
  return set
}

const values = fc.array(fc.nat(40), { maxLength: 40 })

describe('RunSet', () => {
  it('holds what was added, once, in the fewest runs', () => {
    fc.assert(
      fc.property(values, added => {
        const set = new RunSet()
        const plain = new Set<number>()
        for (const value of added) {
          expect(set.add(value)).toBe(!plain.has(value))
          plain.add(value)
        }
        const sorted = [...plain].sort((a, b) => a - b)
        for (let value = 0; value <= 41; value++) expect(set.has(value)).toBe(plain.has(value))
        expect(set.size).toBe(plain.size)
        expect(set.first).toBe(sorted[0])
        expect(set.last).toBe(sorted.at(-1))
        expect(set.runs).toBe(sorted.filter(value => !plain.has(value - 1)).length)
      })
    )
  })

  it('names what another set lacks within bounds', () => {
    fc.assert(
      fc.property(values, values, fc.nat(40), fc.nat(40), (own, others, from, until) => {
        const missing: number[] = []
        for (const [first, last] of setOf(own).without(setOf(others), from, until)) {
          for (let value = first; value <= last; value++) missing.push(value)
        }
        const expected = [...new Set(own)]
          .filter(value => value >= from && value <= until && !others.includes(value))
          .sort((a, b) => a - b)
        expect(missing).toEqual(expected)
      })
    )
  })

  it('costs one run for messages in order and for those in reverse', () => {
    const up = setOf(Array.from({ length: 1_000 }, (_, index) => index + 1))
    const down = setOf(Array.from({ length: 1_000 }, (_, index) => 1_000 - index))
    expect(up.runs).toBe(1)
    expect(down.runs).toBe(1)
  })
})
