import { describe, expect, it } from 'vitest'
import { createTableKeeper } from './create-table-keeper.ts'
import { SharedTables } from './shared-tables.ts'
import type { RoutingTable } from './table.ts'
import { encodeTable } from './table-codec.ts'

const encodedOf = (epoch: number): Buffer => {
  const table: RoutingTable = {
    clusterId: '0a0000000001',
    epoch,
    slotCount: 16,
    runs: [{ first: 0, count: 16, setId: 's1', slotEpoch: 1 }],
    moves: [],
    grey: [],
    tenants: [],
    pins: [],
    sets: [
      {
        id: 's1',
        zone: 'default',
        state: 'active',
        weight: 1,
        transfers: [],
        logics: [],
        routers: []
      }
    ],
    arbiters: []
  }
  return encodeTable(table)
}

describe('tables that keepers share', () => {
  it('are read once, whatever buffers they come in', () => {
    const { compile } = new SharedTables()
    const keepers = [createTableKeeper({ compile }), createTableKeeper({ compile })]
    for (const keeper of keepers) {
      const buffer = encodedOf(5)
      expect(keeper.adopt(buffer)).toBe('adopted')
      buffer.fill(0xff)
    }
    expect(keepers[0]!.view()).toBe(keepers[1]!.view())
    expect(keepers[0]!.view().encoded).toEqual(encodedOf(5))
    const update = keepers[0]!.updateFrom(4)
    expect(createTableKeeper({ compile }).adopt(update)).toBe('adopted')
  })

  it('are never taken for others of the same hash, and bad ones never for good ones', () => {
    const { compile } = new SharedTables()
    const good = encodedOf(5)
    compile(good)
    const forged = Buffer.from(good)
    forged[good.length - 12] = forged[good.length - 12]! ^ 1
    expect(() => compile(forged)).toThrow(expect.objectContaining({ code: 'BAD_PACKET' }))
    expect(compile(good).epoch).toBe(5)
  })

  it('are forgotten when there are newer ones', () => {
    const { compile } = new SharedTables(2)
    const first = compile(encodedOf(1))
    const second = compile(encodedOf(2))
    expect(compile(encodedOf(1))).toBe(first)
    compile(encodedOf(3))
    expect(compile(encodedOf(1))).toBe(first)
    expect(compile(encodedOf(2))).not.toBe(second)
  })
})
