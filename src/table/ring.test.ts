import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RingSet, targetOwners } from './ring.ts'

const slotCount = 1_024

const ringSets = fc.uniqueArray(
  fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,8}$/),
    weight: fc.constantFrom(0.4, 1, 1, 2)
  }),
  { minLength: 2, maxLength: 8, selector: set => set.id }
)

function evenSets(count: number): RingSet[] {
  return Array.from({ length: count }, (_, i) => ({ id: `s${i + 1}`, weight: 1 }))
}

describe('ring', () => {
  it('stays as it is over releases: the first slots of three sets', () => {
    const owners = targetOwners(slotCount, evenSets(3))
    expect(owners.slice(0, 12).join(' ')).toMatchInlineSnapshot(
      `"s3 s3 s2 s3 s2 s2 s2 s2 s3 s2 s1 s3"`
    )
  })

  it('depends on the sets, not on their order', () => {
    fc.assert(
      fc.property(ringSets, sets => {
        expect(targetOwners(64, [...sets].reverse())).toEqual(targetOwners(64, sets))
      }),
      { numRuns: 30 }
    )
  })

  it('moves slots only to the set that is added, whatever the weights', () => {
    fc.assert(
      fc.property(ringSets, sets => {
        const added = sets[0]!
        const before = targetOwners(slotCount, sets.slice(1))
        const after = targetOwners(slotCount, sets)
        for (const [slot, owner] of after.entries()) {
          if (owner !== before[slot]) expect(owner).toBe(added.id)
        }
      }),
      { numRuns: 30 }
    )
  })

  it.each([1, 2, 3, 7])('moves about 1/N of 16,384 slots from %i sets to one more', count => {
    const before = targetOwners(16_384, evenSets(count))
    const after = targetOwners(16_384, evenSets(count + 1))
    const moved = after.filter((owner, slot) => owner !== before[slot]).length
    const fairShare = 16_384 / (count + 1)
    expect(moved).toBeGreaterThan(0.8 * fairShare)
    expect(moved).toBeLessThan(1.2 * fairShare)
  })

  it('gives a set of twice the weight about twice the slots', () => {
    const owners = targetOwners(16_384, [...evenSets(2), { id: 'big', weight: 2 }])
    const share = owners.filter(owner => owner === 'big').length / owners.length
    expect(share).toBeGreaterThan(0.45)
    expect(share).toBeLessThan(0.55)
  })

  it('knows sets whose ids look like numbers or object members', () => {
    const ids = ['1', '2', 'constructor', 'toString']
    const owners = new Set(
      targetOwners(
        slotCount,
        ids.map(id => ({ id, weight: 1 }))
      )
    )
    expect([...owners].sort()).toEqual(ids)
  })

  it('refuses a cluster without sets', () => {
    expect(() => targetOwners(slotCount, [])).toThrow('at least one set')
  })
})
