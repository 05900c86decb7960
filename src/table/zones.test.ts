import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decisiveZone } from './zones.ts'

const zonesOf = (voters: string): string[] => [...voters]

describe('decisiveZone', () => {
  it.each([
    ['aab', 3, 'a'],
    ['aaa', 3, 'a'],
    ['abc', 3, undefined],
    ['aab', 2, undefined],
    ['aaa', 1, undefined],
    ['aaabc', 3, 'a'],
    ['aabbc', 3, undefined],
    ['aabc', 3, undefined],
    ['aabc', 4, 'a'],
    ['ab', 9, undefined],
    ['a', 9, undefined],
    ['', 9, undefined]
  ])('of voters in %s with %i zones is %s', (voters, zones, zone) => {
    expect(decisiveZone(zonesOf(voters), zones)).toBe(zone)
  })

  it('holds so many that the rest is no majority, and never where the voters stand evenly', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...'abcd'), { maxLength: 9 }), voters => {
        const zone = decisiveZone(voters, 4)
        const majority = Math.floor(voters.length / 2) + 1
        const rest = (without: string): number => voters.filter(one => one !== without).length
        if (zone !== undefined) expect(rest(zone)).toBeLessThan(majority)
        const even = voters.map((_, i) => 'abcd'[i % 4]!)
        expect(decisiveZone(even, 4)).toBeUndefined()
      })
    )
  })
})
