import { afterEach, describe, expect, it } from 'vitest'
import { FaultTime } from '../../test/support/fault-time.ts'
import { silentLog } from '../base/ports.ts'
import { LinkFaults } from '../net/link-faults.ts'
import { FaultDesk } from './fault-desk.ts'

const faults = new LinkFaults(new FaultTime())
afterEach(() => faults.stop())

const cut = {
  peer: 'n2',
  address: '127.0.0.1:7002',
  direction: 'both',
  cut: true,
  flapMs: 0,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: 0
}

describe('faults of links by the control interface', () => {
  it('are refused unless the configuration lets them be', () => {
    expect(() => new FaultDesk(undefined, silentLog).set({ faults: [], leaseMs: 1 })).toThrow(
      expect.objectContaining({ code: 'UNSUPPORTED' })
    )
  })

  it('are set and healed, and told in the log', () => {
    const told: string[] = []
    const log = { ...silentLog, warn: (event: string) => told.push(event) }
    const desk = new FaultDesk(faults, log)
    desk.set({ faults: [cut], leaseMs: 5_000 })
    desk.set({ faults: [cut], leaseMs: 5_000 })
    expect(faults.size).toBe(1)
    desk.set({ faults: [], leaseMs: 0 })
    expect(faults.size).toBe(0)
    expect(told).toEqual(['fault_control_enabled', 'links_disturbed', 'links_disturbed'])
  })

  it.each([
    [{ leaseMs: 0 }, {}],
    [{ leaseMs: 60_001 }, {}],
    [{}, { direction: 'up' }],
    [{}, { peer: '' }],
    [{}, { address: 'a'.repeat(301) }],
    [{}, { delayMs: 60_001 }],
    [{}, { jitterMs: 60_001 }],
    [{}, { flapMs: 9 }],
    [{}, { lossShare: 1.1 }],
    [{}, { lossShare: Number.NaN }],
    [{ faults: Array.from({ length: 1_025 }, () => cut) }, {}]
  ])('out of bounds are refused, and nothing is changed: %j %j', (order, change) => {
    const desk = new FaultDesk(faults, silentLog)
    const given = { faults: [{ ...cut, ...change }], leaseMs: 5_000, ...order }
    expect(() => desk.set(given)).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect(faults.size).toBe(0)
  })
})
