import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LinearizedSet } from './linearized-set.ts'

const size = 150
const toggles = fc.array(
  fc.oneof(
    fc.nat(size - 1).map(index => [index]),
    // Whole words, so that the window moves.
    fc.nat(4).map(word => Array.from({ length: 32 }, (_, i) => 32 * word + i))
  ),
  { maxLength: 30 }
)

function toggled(changes: readonly (readonly number[])[]): [LinearizedSet, Set<number>] {
  const set = new LinearizedSet(size)
  const plain = new Set<number>()
  for (const index of changes.flat().filter(one => one < size)) {
    if (plain.delete(index)) set.remove(index)
    else {
      plain.add(index)
      set.add(index)
    }
  }
  return [set, plain]
}

describe('LinearizedSet', () => {
  it('holds what was added and not removed', () => {
    fc.assert(
      fc.property(toggles, changes => {
        const [set, plain] = toggled(changes)
        for (let index = 0; index < size; index++) expect(set.has(index)).toBe(plain.has(index))
      })
    )
  })

  it('has one key, and one copy, for each content, whatever its past', () => {
    fc.assert(
      fc.property(toggles, changes => {
        const [set, plain] = toggled(changes)
        const [straight] = toggled([[...plain]])
        expect(set.key()).toBe(straight.key())
        expect(set.equals(straight.copy())).toBe(true)
        const other = plain.has(7) ? [...plain].filter(one => one !== 7) : [...plain, 7]
        const [different] = toggled([other])
        expect(set.key()).not.toBe(different.key())
        expect(set.equals(different.copy())).toBe(false)
        expect(set.includes(different.copy())).toBe(plain.has(7))
        expect(different.includes(set.copy())).toBe(!plain.has(7))
      })
    )
  })

  it('keeps its key short while the set grows in order', () => {
    const set = new LinearizedSet(100_000)
    for (let index = 0; index < 99_000; index++) set.add(index)
    expect(set.key().length).toBeLessThan(20)
  })
})
