import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TimerWheel } from './timer-wheel.ts'

interface Entry {
  wakeAtMs: number
  wakeTick: number
  readonly id: number
}

const entry = (id: number): Entry => ({ id, wakeAtMs: 0, wakeTick: -1 })

describe('TimerWheel', () => {
  it('wakes at the set time, not before, and once', () => {
    const wheel = new TimerWheel<Entry>(0, 10, 8)
    const woken: number[] = []
    wheel.schedule(entry(1), 25)
    wheel.advance(20, e => woken.push(e.id))
    expect(woken).toEqual([])
    wheel.advance(30, e => woken.push(e.id))
    wheel.advance(500, e => woken.push(e.id))
    expect(woken).toEqual([1])
  })

  it('forgets a cancelled entry and an earlier time', () => {
    const wheel = new TimerWheel<Entry>(0, 10, 8)
    const woken: [number, number][] = []
    const moved = entry(1)
    const cancelled = entry(2)
    wheel.schedule(moved, 20)
    wheel.schedule(cancelled, 20)
    wheel.schedule(moved, 50)
    wheel.cancel(cancelled)
    for (let now = 0; now <= 200; now += 10) wheel.advance(now, e => woken.push([e.id, now]))
    expect(woken).toEqual([[1, 50]])
  })

  it('agrees with a naive timer list under any schedule, move, cancel and stall', () => {
    const step = fc.oneof(
      fc.record({ op: fc.constant('set' as const), id: fc.nat(5), inMs: fc.nat(400) }),
      fc.record({ op: fc.constant('cancel' as const), id: fc.nat(5), inMs: fc.constant(0) }),
      fc.record({ op: fc.constant('pass' as const), id: fc.constant(0), inMs: fc.nat(300) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const wheel = new TimerWheel<Entry>(0, 10, 8)
        const entries = Array.from({ length: 6 }, (_, id) => entry(id))
        const naive = new Map<number, { atMs: number; latestMs: number }>()
        let now = 0
        for (const { op, id, inMs } of steps) {
          if (op === 'set') {
            wheel.schedule(entries[id]!, now + inMs)
            // At its time at the earliest, and at the next tick's at the latest.
            const tick = Math.max(Math.ceil((now + inMs) / 10), Math.floor(now / 10) + 1)
            naive.set(id, { atMs: now + inMs, latestMs: tick * 10 })
          } else if (op === 'cancel') {
            wheel.cancel(entries[id]!)
            naive.delete(id)
          } else {
            now += inMs
            const woken = new Set<number>()
            wheel.advance(now, e => {
              expect(woken.has(e.id)).toBe(false)
              woken.add(e.id)
            })
            for (const [k, { atMs, latestMs }] of [...naive]) {
              if (latestMs <= now) expect(woken).toContain(k)
              if (!woken.delete(k)) continue
              expect(atMs).toBeLessThanOrEqual(now)
              naive.delete(k)
            }
            expect([...woken]).toEqual([])
          }
        }
      })
    )
  })
})
