import { describe, expect, it } from 'vitest'
import { RecentRate } from './recent-rate.ts'

describe('a recent rate', () => {
  it('is of the last second, however often it is asked', () => {
    const rate = new RecentRate()
    expect(rate.perSecond(0, 10_000)).toBe(0)
    expect(rate.perSecond(50, 10_500)).toBe(100)
    expect(rate.perSecond(50, 10_500)).toBe(100)
    expect(rate.perSecond(100, 11_000)).toBe(100)
    expect(rate.perSecond(100, 11_500)).toBe(50)
    expect(rate.perSecond(100, 12_000)).toBe(0)
  })

  it('is over a longer time when nobody asked within a second', () => {
    const rate = new RecentRate()
    rate.perSecond(0, 10_000)
    expect(rate.perSecond(500, 15_000)).toBe(100)
    expect(rate.perSecond(500, 16_000)).toBe(0)
  })
})
