import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { TableWaits } from './table-waits.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** Tells whether it has resolved. */
function watched(waiting: Promise<void>): { done: boolean } {
  const state = { done: false }
  void waiting.then(() => {
    state.done = true
  })
  return state
}

describe('those who wait for a newer table', () => {
  it('are told of the first one, and not of one that they know', async () => {
    const waits = new TableWaits()
    const at4 = watched(waits.newer(4, 1_000))
    const at5 = watched(waits.newer(5, 1_000))
    waits.adopted(4)
    await vi.advanceTimersByTimeAsync(0)
    expect([at4.done, at5.done]).toEqual([false, false])
    waits.adopted(5)
    await vi.advanceTimersByTimeAsync(0)
    expect([at4.done, at5.done]).toEqual([true, false])
    waits.adopted(7)
    await vi.advanceTimersByTimeAsync(0)
    expect(at5.done).toBe(true)
    expect(vi.getTimerCount()).toBe(0)
  })

  it('wait no longer than they want to', async () => {
    const waits = new TableWaits()
    const waiting = watched(waits.newer(4, 1_000))
    await vi.advanceTimersByTimeAsync(999)
    expect(waiting.done).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(waiting.done).toBe(true)
  })

  it('are no more than there is room for', async () => {
    const waits = new TableWaits()
    const waiting = Array.from({ length: 64 }, () => waits.newer(4, 1_000))
    await expect(waits.newer(4, 1_000)).rejects.toMatchObject({ code: 'OVERLOADED' })
    waits.adopted(5)
    await Promise.all(waiting)
    const again = waits.newer(5, 1_000)
    await vi.advanceTimersByTimeAsync(1_000)
    await again
  })
})
