import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitraryTable } from '../../test/support/arbitrary-table.ts'
import { clusterTagOf, compileTable, emptyTableView } from './compile-table.ts'
import { slotOfKey } from './slot-of.ts'
import { encodeTable } from './table-codec.ts'

describe('compiled table', () => {
  it('answers as the table says, for every slot and set', () => {
    fc.assert(
      fc.property(arbitraryTable, table => {
        const view = compileTable(table)
        for (const run of table.runs) {
          for (let slot = run.first; slot < run.first + run.count; slot++) {
            expect(view.owner(slot)).toMatchObject({ setId: run.setId, slotEpoch: run.slotEpoch })
          }
        }
        for (const slot of [-1, 0.5, table.slotCount, 0xffff]) {
          expect(view.owner(slot)).toBeUndefined()
        }
        for (const set of table.sets) expect(view.set(set.id)).toBe(set)
        expect(view.set('no such set')).toBeUndefined()
        expect(view.encoded.equals(encodeTable(table))).toBe(true)
        expect(view.epoch).toBe(table.epoch)
      })
    )
  })

  it('puts a key into the slot that the table gives it', () => {
    fc.assert(
      fc.property(arbitraryTable, fc.string({ unit: 'binary' }), (table, key) => {
        expect(compileTable(table).slotOf(key)).toBe(slotOfKey(key, table))
      }),
      { numRuns: 30 }
    )
  })

  it('tags a cluster by its low 16 bits, never 0', () => {
    expect(clusterTagOf('123456789abc')).toBe(0x9abc)
    expect(clusterTagOf('123456780000')).toBe(1)
  })

  it('knows nothing before there is a table', () => {
    expect(emptyTableView.epoch).toBe(0)
    expect(emptyTableView.owner(0)).toBeUndefined()
    expect(emptyTableView.set('s1')).toBeUndefined()
    expect(() => emptyTableView.slotOf('alice')).toThrow(
      expect.objectContaining({ code: 'NO_TABLE' })
    )
  })
})
