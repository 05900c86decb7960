import { crc32 as zlibCrc32 } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { tenantsOf } from '../../test/support/arbitrary-table.ts'
import { reserveSlots, slotOfKey } from './slot-of.ts'

const starts = ['', 'a', 'b', 'bo', 'b.', '用', 'z'.repeat(31), 'z'.repeat(32)]
const key = fc
  .tuple(fc.constantFrom(...starts), fc.string({ unit: 'binary', maxLength: 8 }))
  .map(parts => parts.join(''))

describe('the slot of a key', () => {
  it('is its CRC-32 over UTF-8, in a cluster without tenants', () => {
    fc.assert(
      fc.property(key, uid => {
        expect(slotOfKey(uid, { slotCount: 1_024, tenants: [] })).toBe(zlibCrc32(uid) % 1_024)
      })
    )
  })

  it('is one of its tenant, or one of nobody', () => {
    fc.assert(
      fc.property(fc.constantFrom(8, 64), key, fc.gen(), (slotCount, uid, draw) => {
        const tenants = draw(tenantsOf, slotCount)
        const slot = slotOfKey(uid, { slotCount, tenants })
        const tenant = tenants.find(({ prefix }) => uid.startsWith(prefix))
        const common = slotCount - tenants.reduce((sum, { count }) => sum + count, 0)
        if (tenant === undefined) expect(slot).toBe(zlibCrc32(uid) % common)
        else {
          expect(slot).toBe(tenant.first + (zlibCrc32(uid) % tenant.count))
          expect(slot).toBeGreaterThanOrEqual(common)
          expect(slot).toBeLessThan(slotCount)
        }
      }),
      { numRuns: 1_000 }
    )
  })

  it('is reserved side by side at the end, by prefix', () => {
    const wanted = [
      { id: 'one', prefix: 'b-', slots: 4 },
      { id: 'two', prefix: 'a-', slots: 2 }
    ]
    expect(reserveSlots(16, wanted).map(({ id, first, count }) => [id, first, count])).toEqual([
      ['two', 10, 2],
      ['one', 12, 4]
    ])
  })
})
