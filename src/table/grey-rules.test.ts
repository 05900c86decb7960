import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GreyRules } from './grey-rules.ts'
import { slotOfKey } from './slot-of.ts'
import type { GreyRule } from './table.ts'

const rule = (version: string, change: Partial<GreyRule> = {}): GreyRule => ({
  version,
  percent: 0,
  uids: [],
  prefixes: [],
  ...change
})
const users = Array.from({ length: 20_000 }, (_, i) => `user-${i}`)
const takenBy = (percent: number, version = '0.2.0', of = users) => {
  const rules = new GreyRules([rule(version, { percent })])
  return of.filter(uid => rules.of(uid) !== undefined)
}

/** Six standard deviations of a share of `count` users. */
const spread = (percent: number, count: number) =>
  6 * Math.sqrt((percent / 100) * (1 - percent / 100) * count) + 1

describe('rules of grey releases', () => {
  it('take the share that they say, whatever the version is called', () => {
    const percents = fc.integer({ min: 0, max: 10_000 }).map(hundredths => hundredths / 100)
    const version = fc.stringMatching(/^[a-z0-9.-]{1,12}$/)
    fc.assert(
      fc.property(percents, version, (percent, name) => {
        const taken = takenBy(percent, name).length
        const expected = (percent / 100) * users.length
        expect(Math.abs(taken - expected)).toBeLessThanOrEqual(spread(percent, users.length))
      }),
      { numRuns: 40 }
    )
    expect(takenBy(0)).toEqual([])
    expect(takenBy(100)).toEqual(users)
  })

  it('keep whom they have while the share grows, and take others for another version', () => {
    const few = takenBy(5)
    const more = new Set(takenBy(20))
    expect(few.every(uid => more.has(uid))).toBe(true)
    const again = takenBy(5, '0.3.0', few).length
    expect(Math.abs(again - few.length * 0.05)).toBeLessThan(spread(5, few.length))
  })

  it('take a share of every slot, not a choice of slots', () => {
    const slots = 1_024
    const taken = new Set(takenBy(50))
    const shares = Array.from({ length: slots }, () => ({ all: 0, taken: 0 }))
    for (const uid of users) {
      const share = shares[slotOfKey(uid, { slotCount: slots, tenants: [] })]!
      share.all++
      if (taken.has(uid)) share.taken++
    }
    const wholly = shares.filter(share => share.taken === 0 || share.taken === share.all)
    expect(wholly.length).toBeLessThan(slots / 100)
  })

  it('hash a name by its UTF-8 bytes', () => {
    const rules = new GreyRules([rule('0.2.0', { percent: 50 })])
    const names = Array.from({ length: 4_000 }, (_, i) => `用户-é-${i}`)
    const taken = names.filter(uid => rules.of(uid) !== undefined).length
    expect(Math.abs(taken - 2_000)).toBeLessThan(spread(50, 4_000))
  })

  it('prefer names to prefixes, long prefixes to short ones, and those to shares', () => {
    const rules = new GreyRules([
      rule('1', { percent: 100, prefixes: ['vip-'] }),
      rule('2', { prefixes: ['vip-a'] }),
      rule('3', { uids: ['vip-ann'] }),
      rule('4', { percent: 100 })
    ])
    const versions = ['vip-ann', 'vip-abe', 'vip-bob', 'carl'].map(uid => rules.of(uid)?.version)
    expect(versions).toEqual(['3', '2', '1', '1'])
  })

  it('keep those whom no rule names away from the versions that a rule names', () => {
    const rules = new GreyRules([rule('2', { uids: ['ann'] })])
    const fits = (version: string, uid: string) => rules.fits(version, rules.of(uid))
    expect([fits('2', 'ann'), fits('1', 'ann')]).toEqual([true, false])
    expect([fits('2', 'bob'), fits('1', 'bob')]).toEqual([false, true])
    const without = new GreyRules([])
    expect([without.none, without.fits('2', without.of('ann'))]).toEqual([true, true])
  })
})
