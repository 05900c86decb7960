import { describe, expect, it } from 'vitest'
import { Turnstile } from './turnstile.ts'

describe('a turnstile', () => {
  it('lets one pass at once, and then so many in a second', () => {
    const turnstile = new Turnstile(4, 1_000)
    expect(turnstile.pass(10, 1_000)).toBe(1)
    expect(turnstile.pass(10, 1_200)).toBe(0)
    expect(turnstile.pass(10, 1_250)).toBe(1)
    expect(turnstile.pass(10, 1_750)).toBe(2)
    expect(turnstile.pass(1, 2_250)).toBe(1)
    expect(turnstile.pass(10, 2_250)).toBe(1)
  })

  it('does not make up for a time in which nobody came', () => {
    const turnstile = new Turnstile(4, 0)
    expect(turnstile.pass(0, 60_000)).toBe(0)
    expect(turnstile.pass(64, 60_000)).toBe(4)
    expect(turnstile.pass(64, 60_249)).toBe(0)
    const slow = new Turnstile(0.5, 0)
    expect(slow.pass(64, 60_000)).toBe(1)
    expect(slow.pass(64, 61_999)).toBe(0)
    expect(slow.pass(64, 62_000)).toBe(1)
  })

  it('stands open when nobody counts', () => {
    expect(new Turnstile(undefined, 0).pass(64, 0)).toBe(64)
  })
})
