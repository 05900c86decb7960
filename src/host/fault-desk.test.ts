import { afterEach, describe, expect, it } from 'vitest'
import { FaultTime } from '../../test/support/fault-time.ts'
import { type LogFacts, silentLog } from '../base/ports.ts'
import type { FaultOrder } from '../control/control-source.ts'
import { FaultDesk } from './fault-desk.ts'
import { NodeFaults } from './node-faults.ts'

const time = new FaultTime()
const faults = new NodeFaults({
  nowMs: () => time.nowMs(),
  float: () => time.random(),
  after: (ms, run) => time.after(ms, run)
})
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
const order = (change: Partial<FaultOrder>): FaultOrder => {
  return { links: [], leaseMs: 5_000, disk: undefined, clockOffsetMs: 0, ...change }
}
const healed = order({ leaseMs: 0 })
const slow = { delayMs: 20, jitterMs: 0, failure: '' }

describe('faults by the control interface', () => {
  it('are refused unless the configuration lets them be', () => {
    expect(() => new FaultDesk(undefined, silentLog).set(healed)).toThrow(
      expect.objectContaining({ code: 'FAULT_CONTROL_OFF' })
    )
  })

  it('are set and healed, and told in the log', () => {
    const told: [string, LogFacts | undefined][] = []
    const warn = (event: string, facts?: LogFacts) => void told.push([event, facts])
    const desk = new FaultDesk(faults, { ...silentLog, warn })
    desk.set(order({ links: [cut] }))
    desk.set(order({ links: [cut] }))
    expect(faults.links.size).toBe(1)
    desk.set(order({ disk: slow, clockOffsetMs: -7 }))
    expect([faults.links.size, faults.clockOffsetMs]).toEqual([0, -7])
    desk.set(healed)
    expect(faults.clockOffsetMs).toBe(0)
    expect(told).toEqual([
      ['fault_control_enabled', undefined],
      ['node_disturbed', { links: 1, clockOffsetMs: 0 }],
      [
        'node_disturbed',
        { links: 0, delayMs: 20, jitterMs: 0, failure: 'none', clockOffsetMs: -7 }
      ],
      ['node_disturbed', { links: 0, clockOffsetMs: 0 }]
    ])
  })

  it('make the wall clock read as they say, and no other', () => {
    const clock = faults.disturbed({ nowMs: () => 3, wallMs: () => 1_000 })
    const desk = new FaultDesk(faults, silentLog)
    const read = (): number[] => [clock.nowMs(), clock.wallMs()]
    expect(read()).toEqual([3, 1_000])
    desk.set(order({ clockOffsetMs: 250 }))
    expect(read()).toEqual([3, 1_250])
    desk.set(order({ clockOffsetMs: -400 }))
    expect(read()).toEqual([3, 600])
    desk.set(healed)
    expect(read()).toEqual([3, 1_000])
  })

  it('end all together with their lease, unless it is renewed', () => {
    const desk = new FaultDesk(faults, silentLog)
    const all = order({ links: [cut], clockOffsetMs: 9, leaseMs: 1_000 })
    desk.set(all)
    time.advance(900)
    desk.set(all)
    time.advance(900)
    expect([faults.links.size, faults.clockOffsetMs]).toEqual([1, 9])
    time.advance(100)
    expect([faults.links.size, faults.clockOffsetMs, time.timers]).toEqual([0, 0, 0])
  })

  it.each<[Partial<FaultOrder>, object]>([
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
    [{ links: Array.from({ length: 1_025 }, () => cut) }, {}],
    [{ disk: { ...slow, delayMs: 60_001 } }, {}],
    [{ disk: { ...slow, failure: 'half' } }, {}],
    [{ clockOffsetMs: 1e12 + 1 }, {}],
    [{ clockOffsetMs: Number.NaN }, {}]
  ])('out of bounds are refused, and nothing is changed: %j %j', (change, ofLink) => {
    const desk = new FaultDesk(faults, silentLog)
    const given = order({ links: [{ ...cut, ...ofLink }], ...change })
    expect(() => desk.set(given)).toThrow(expect.objectContaining({ code: 'USAGE' }))
    expect([faults.links.size, faults.clockOffsetMs]).toEqual([0, 0])
  })
})
