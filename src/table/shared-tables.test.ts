import { describe, expect, it } from 'vitest'
import { imTable } from '../../test/support/fake-im-table.ts'
import { createTableKeeper } from './create-table-keeper.ts'
import { SharedTables } from './shared-tables.ts'

const encodedOf = (epoch: number): Buffer => Buffer.from(imTable(epoch).encoded)

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
