import { describe, expect, it } from 'vitest'
import { SetLanes } from './set-lanes.ts'

describe('SetLanes', () => {
  it("keeps a retry budget and a count per set, so that one set cannot spend another's", () => {
    const lanes = new SetLanes({ retryShare: 0, retryFloorPerSecond: 1, retryBurst: 2 })
    const dead = lanes.of('s1', 0)
    dead.pending = 10
    expect([dead.budget.take(0), dead.budget.take(0), dead.budget.take(0)]).toEqual([
      true,
      true,
      false
    ])
    const living = lanes.of('s2', 0)
    expect(living.pending).toBe(0)
    expect(living.budget.take(0)).toBe(true)
    expect(lanes.of('s1', 0)).toBe(dead)
  })
})
