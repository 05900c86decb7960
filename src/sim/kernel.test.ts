import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Kernel } from './kernel.ts'

describe('Kernel', () => {
  it('runs events by time, and events of one instant in the order they were scheduled', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 3000 }), delays => {
        const kernel = new Kernel()
        const ran: [number, number][] = []
        for (const [n, delay] of delays.entries()) {
          kernel.schedule(delay, () => ran.push([kernel.nowMs(), n]))
        }
        kernel.runUntil(20)
        const expected = delays
          .map((delay, n): [number, number] => [delay, n])
          .sort((a, b) => a[0] - b[0] || a[1] - b[1])
        expect(ran).toEqual(expected)
      }),
      { numRuns: 50 }
    )
  })

  it('stops at the given instant and keeps later events', () => {
    const kernel = new Kernel()
    let ran = 0
    kernel.schedule(5, () => ran++)
    kernel.schedule(5.5, () => ran++)
    kernel.runUntil(5)
    expect([ran, kernel.nowMs()]).toEqual([1, 5])
    kernel.runUntil(10)
    expect([ran, kernel.nowMs()]).toEqual([2, 10])
  })
})
