import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TickGrid } from './tick-grid.ts'

const tickMs = 20
const heartbeatTicks = 3

/** Times at which `grid` ticks, and at which heartbeats are due, when it is asked at `times`. */
function run(grid: TickGrid, times: readonly number[]): { ticks: number; beats: number[] } {
  const beats: number[] = []
  let ticks = 0
  for (const nowMs of times) {
    ticks += grid.advance(nowMs, due => {
      if (due) beats.push(nowMs)
    })
  }
  return { ticks, beats }
}

describe('TickGrid', () => {
  it('ticks as often as time passes, and no further ahead than a tenth', () => {
    const steps = fc.array(fc.double({ min: 0.1, max: 60, noNaN: true }), { maxLength: 200 })
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), steps, (startMs, stepsMs) => {
        const grid = new TickGrid(tickMs, heartbeatTicks, startMs)
        let nowMs = startMs
        let ticks = 0
        for (const stepMs of stepsMs) {
          nowMs += stepMs
          ticks += grid.advance(nowMs, () => {})
          const passed = nowMs - Math.floor(startMs / tickMs) * tickMs
          expect(Math.abs(ticks - passed / tickMs + 0.4)).toBeLessThanOrEqual(0.5 + 1e-6)
        }
      })
    )
  })

  it('is due in the same turns for all, whenever they began', () => {
    const times = Array.from({ length: 300 }, (_, i) => 1_000 + i * 20.7)
    const reference = run(new TickGrid(tickMs, heartbeatTicks, 990), times)
    expect(reference.beats).toHaveLength(Math.floor((300 * 20.7) / (tickMs * heartbeatTicks)))
    for (const startMs of [0, 13, 333.3, 975, 989.9]) {
      const grid = new TickGrid(tickMs, heartbeatTicks, startMs)
      for (let nowMs = startMs; nowMs < 990; nowMs += 19) grid.advance(nowMs, () => {})
      grid.advance(990, () => {})
      expect(run(grid, times)).toEqual(reference)
    }
  })

  it('makes up for a few ticks of a stall, and owes no more than one heartbeat for it', () => {
    const grid = new TickGrid(tickMs, 10, 0)
    // Whatever the rhythm of the stalls, no heartbeat is skipped for good.
    const times = Array.from({ length: 20 }, (_, i) => 80 + (i + 1) * 200)
    const { ticks, beats } = run(grid, times)
    expect(ticks).toBe(20 * 5)
    expect(beats).toEqual(times.slice(1))
  })
})
