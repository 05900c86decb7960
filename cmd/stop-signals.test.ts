import { describe, expect, it, vi } from 'vitest'
import { StopSignals } from './stop-signals.ts'

describe('stop signals', () => {
  it('take what npm hands on as well for one, and a later one for haste', () => {
    let nowMs = 5_000
    vi.spyOn(performance, 'now').mockImplementation(() => nowMs)
    const signals = new StopSignals()
    const state = () => [signals.stop.aborted, signals.hurry.aborted]
    try {
      expect(state()).toEqual([false, false])
      process.emit('SIGHUP', 'SIGHUP')
      nowMs += 20
      process.emit('SIGHUP', 'SIGHUP')
      expect(state()).toEqual([true, false])
      nowMs += 1_000
      process.emit('SIGHUP', 'SIGHUP')
      expect(state()).toEqual([true, true])
    } finally {
      signals.release()
      vi.restoreAllMocks()
    }
  })
})
