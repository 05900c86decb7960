import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Inflight, Progress } from './progress.ts'

describe('inflight window (86)', () => {
  it('behaves like a plain list', () => {
    const action = fc.oneof(
      fc.record({ add: fc.integer({ min: 1, max: 5 }), bytes: fc.nat(50) }),
      fc.record({ free: fc.nat(40) }),
      fc.constant({ first: true })
    )
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.array(action), (limit, actions) => {
        const inflight = new Inflight(limit, 100)
        let list: { index: number; bytes: number }[] = []
        let last = 0
        for (const each of actions) {
          if ('add' in each) {
            if (inflight.full()) continue
            last += each.add
            inflight.add(last, each.bytes)
            list.push({ index: last, bytes: each.bytes })
          } else if ('free' in each) {
            inflight.freeTo(each.free)
            list = list.filter(item => item.index > each.free)
          } else {
            inflight.freeFirst()
            list.shift()
          }
          const bytes = list.reduce((sum, item) => sum + item.bytes, 0)
          expect(inflight.count).toBe(list.length)
          expect(inflight.bytes).toBe(bytes)
          expect(inflight.full()).toBe(list.length >= limit || bytes >= 100)
        }
      }),
      { numRuns: 2_000 }
    )
  })
})

describe('progress (25)', () => {
  const fresh = (): Progress => {
    const progress = new Progress(2, 4, 1_000)
    progress.reset(10)
    return progress
  }

  it('keeps next above match whatever the answers say', () => {
    const answer = fc.oneof(
      fc.record({ ok: fc.nat(20) }),
      fc.record({ rejected: fc.nat(20), hint: fc.nat(20) }),
      fc.constantFrom('probe' as const, 'replicate' as const, 'snapshot' as const)
    )
    fc.assert(
      fc.property(fc.array(answer), answers => {
        const progress = fresh()
        for (const each of answers) {
          const before = progress.match
          if (each === 'probe') progress.becomeProbe(progress.match + 1)
          else if (each === 'replicate') progress.becomeReplicate()
          else if (each === 'snapshot') progress.becomeSnapshot()
          else if ('ok' in each) progress.accepted(each.ok)
          else progress.rejectedAt(each.rejected, each.hint)
          expect(progress.match).toBeGreaterThanOrEqual(before)
          expect(progress.next).toBeGreaterThan(progress.match)
        }
      }),
      { numRuns: 2_000 }
    )
  })

  it('takes a rejection only for the probe that is out', () => {
    const progress = fresh()
    expect(progress.rejectedAt(8, 3)).toBe(false)
    expect(progress.next).toBe(10)
    expect(progress.rejectedAt(9, 3)).toBe(true)
    expect(progress.next).toBe(4)
    expect(progress.rejectedAt(9, 1)).toBe(false)
  })

  it('falls back to probing right after what matches', () => {
    const progress = fresh()
    progress.accepted(5)
    progress.becomeReplicate()
    progress.next = 9
    expect(progress.rejectedAt(4, 0)).toBe(false)
    expect(progress.rejectedAt(7, 0)).toBe(true)
    expect([progress.state, progress.next]).toEqual(['probe', 6])
  })
})
