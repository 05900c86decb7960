import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { kill } from '../../test/support/drill-facts.ts'
import { PresenceLog } from './presence-log.ts'

const gatewaysOf = (node: string): string[] => (node === 's1-a' ? ['t1'] : [])
const on = (transferId: string, transferBootId = 1) => [
  { uid: 'u', routes: [{ transferId, transferBootId }] }
]
const endMs = 20_000

describe('where users are said to be', () => {
  let log = new PresenceLog()
  beforeEach(() => {
    log = new PresenceLog()
  })
  afterEach(() => vi.restoreAllMocks())

  /** What each group is answered, 10 ms after it is asked for. */
  const answered = (group: number, askedMs: number, users: ReturnType<typeof on>): void => {
    vi.spyOn(performance, 'now').mockReturnValue(askedMs + 10)
    log.answered(group, askedMs, users)
  }
  const afterKill = () => log.after([kill], gatewaysOf, endMs)

  it('a dead gateway was wrongly named until it was for the last time', () => {
    for (const askedMs of [5_000, 5_900, 6_250, 6_700]) answered(0, askedMs, on('t1'))
    answered(0, 7_000, on('t2'))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: 700 }])
  })

  it('it was not, if it was never named after its death', () => {
    answered(0, 5_900, on('t1'))
    answered(0, 6_200, on('t2'))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: 0 }])
  })

  it('while nobody answers it may have been named all the time', () => {
    answered(0, 5_900, on('t1'))
    answered(0, 7_500, on('t2'))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: 1_500 }])
  })

  it('what another group is answered says nothing of its users', () => {
    answered(0, 5_900, on('t1'))
    answered(1, 5_950, on('t1'))
    answered(0, 6_200, on('t2'))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: endMs - 6_000 }])
    answered(1, 9_000, on('t2'))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: 3_000 }])
  })

  it('its next life is right to be named', () => {
    answered(0, 5_900, on('t1', 1))
    answered(0, 6_400, on('t1', 2))
    expect(afterKill()).toEqual([{ fault: 0, transfer: 't1', ms: 0 }])
  })

  it('gateways that were never seen, and other faults, are left out', () => {
    answered(0, 5_900, on('t2'))
    expect(afterKill()).toEqual([])
    answered(0, 5_950, on('t1'))
    expect(log.after([{ ...kill, action: 'pause' }], gatewaysOf, endMs)).toEqual([])
  })

  it('tells which gateway a user had at a time', () => {
    answered(0, 1_000, on('t1'))
    answered(0, 2_000, on('t2'))
    expect([500, 1_500, 2_500].map(atMs => log.gatewaysOf('u', atMs))).toEqual(['', 't1', 't2'])
  })
})
