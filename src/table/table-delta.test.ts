import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitraryTable } from '../../test/support/arbitrary-table.ts'
import { thrownBy } from '../../test/support/codes.ts'
import { sampleTable } from '../bench/sample-table.ts'
import { assignRuns } from './runs.ts'
import type { RoutingTable } from './table.ts'
import { encodeTable } from './table-codec.ts'
import { applyDelta, isDelta, makeDelta, peekDelta } from './table-delta.ts'

const labelled = (table: RoutingTable) => ({ ...table, encoded: encodeTable(table) })

describe('table delta', () => {
  it('makes the later table of the earlier one, whatever the two are', () => {
    fc.assert(
      fc.property(arbitraryTable, arbitraryTable, (one, other) => {
        const base = labelled(one)
        const next = labelled(other)
        const delta = makeDelta(base, next)
        expect(isDelta(delta)).toBe(true)
        expect(isDelta(next.encoded)).toBe(false)
        expect(peekDelta(delta)).toEqual({
          clusterId: Number.parseInt(other.clusterId, 16),
          epoch: other.epoch,
          baseEpoch: one.epoch
        })
        expect(applyDelta(base.encoded, delta)?.equals(next.encoded)).toBe(true)
      }),
      { numRuns: 30 }
    )
  })

  it('has no use for another content than its base', () => {
    const base = labelled(sampleTable(2))
    const delta = makeDelta(base, labelled({ ...sampleTable(2), epoch: 10 }))
    expect(applyDelta(labelled({ ...sampleTable(2), epoch: 8 }).encoded, delta)).toBeUndefined()
  })

  it('answers hostile bytes with BAD_PACKET, or with a table that is looked at as any other', () => {
    const base = labelled(sampleTable(2))
    const delta = makeDelta(base, labelled({ ...sampleTable(3), epoch: 10 }))
    fc.assert(
      fc.property(fc.nat(), fc.nat(255), (at, value) => {
        const damaged = Buffer.from(delta)
        damaged[at % damaged.length] = value
        expect(['none', 'BAD_PACKET']).toContain(thrownBy(() => applyDelta(base.encoded, damaged)))
      })
    )
    for (let length = 0; length < delta.length; length++) {
      expect(thrownBy(() => applyDelta(base.encoded, delta.subarray(0, length)))).toBe('BAD_PACKET')
    }
  })

  it('costs tens of bytes for what happens every day, in a cluster of 64 sets as well', () => {
    const sizes = [3, 64].map(setCount => {
      const table = sampleTable(setCount)
      const base = labelled(table)
      const sizeOf = (next: Partial<RoutingTable>): number =>
        makeDelta(base, labelled({ ...table, epoch: 10, ...next })).length
      const [first, ...others] = table.sets
      const [logic, ...logics] = first!.logics
      const down = { ...first!, logics: [{ ...logic!, state: 'down' as const }, ...logics] }
      const restarted = { ...first!, logics: [{ ...logic!, bootId: 77 }, ...logics] }
      return {
        whole: base.encoded.length,
        down: sizeOf({ sets: [down, ...others] }),
        restarted: sizeOf({ sets: [restarted, ...others] }),
        moving: sizeOf({ moves: [{ slot: 500, to: 's02', epoch: 10 }] }),
        moved: sizeOf({ runs: assignRuns(table.runs, new Map([[500, 's02']]), 10) })
      }
    })
    for (const { whole, ...rest } of sizes) {
      for (const [what, size] of Object.entries(rest)) {
        expect(size, `${what} of ${whole}`).toBeLessThan(100)
      }
    }
    expect(sizes[1]!.whole).toBeGreaterThan(10_000)
  })
})
