import { describe, expect, it } from 'vitest'
import { LagGuard, lagGuardOptions } from './lag-guard.ts'

const options = lagGuardOptions(250)
const late = options.lateMs + 1

/** Turns at these times; the times at which it asks for a hand-over, which is then done. */
function asks(guard: LagGuard, turns: readonly (readonly [number, number])[]): number[] {
  return turns.flatMap(([nowMs, lateMs]) => {
    if (!guard.turn(nowMs, lateMs)) return []
    guard.handedOver(nowMs)
    return [nowMs]
  })
}

const every = (stepMs: number, fromMs: number, toMs: number, lateMs = late) =>
  Array.from({ length: Math.ceil((toMs - fromMs) / stepMs) }, (_, i) => {
    return [fromMs + i * stepMs, lateMs] as const
  })

describe('a lagging event loop', () => {
  it('calls for a hand-over when it is late three times within five seconds', () => {
    expect(options.lateMs).toBe(125)
    expect(asks(new LagGuard(options), every(1_000, 0, 3_000))).toEqual([2_000])
    expect(asks(new LagGuard(options), every(2_500, 0, 5_001))).toEqual([5_000])
  })

  it('does not for one stall, for late turns far apart, or for turns within half an election', () => {
    expect(asks(new LagGuard(options), [[0, 60_000]])).toEqual([])
    expect(asks(new LagGuard(options), every(2_501, 0, 100_000))).toEqual([])
    expect(asks(new LagGuard(options), every(20, 0, 10_000, options.lateMs))).toEqual([])
  })

  it('never flaps: once a minute at the most, and only if it is still late', () => {
    const asked = asks(new LagGuard(options), every(100, 0, 200_000))
    expect(asked).toEqual([200, 60_200, 120_200, 180_200])
    const guard = new LagGuard(options)
    asks(guard, every(100, 0, 1_000))
    expect(asks(guard, every(20, 1_000, 100_000, 1))).toEqual([])
    expect(asks(guard, every(100, 100_000, 100_250))).toEqual([100_200])
  })

  it('goes on asking until somebody has handed over', () => {
    const guard = new LagGuard(options)
    const turns = every(100, 0, 1_000)
    expect(turns.filter(([nowMs, lateMs]) => guard.turn(nowMs, lateMs))).toHaveLength(8)
  })
})
