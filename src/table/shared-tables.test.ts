import { describe, expect, it } from 'vitest'
import { imTable } from '../../test/support/fake-im-table.ts'
import { createTableKeeper } from './create-table-keeper.ts'
import { SharedTables } from './shared-tables.ts'
import { isDelta } from './table-delta.ts'

const encodedOf = (epoch: number): Buffer => Buffer.from(imTable(epoch).encoded)

describe('tables that keepers share', () => {
  it('are read once, whatever buffers they come in', () => {
    const work = new SharedTables()
    const keepers = [createTableKeeper({ work }), createTableKeeper({ work })]
    for (const keeper of keepers) {
      const buffer = encodedOf(5)
      expect(keeper.adopt(buffer)).toBe('adopted')
      buffer.fill(0xff)
    }
    expect(keepers[0]!.view()).toBe(keepers[1]!.view())
    expect(keepers[0]!.view().encoded).toEqual(encodedOf(5))
    const update = keepers[0]!.updateFrom(4)
    expect(createTableKeeper({ work }).adopt(update)).toBe('adopted')
  })

  it('are updated once by an update that all of them get', () => {
    const work = new SharedTables()
    const source = createTableKeeper()
    const keepers = [createTableKeeper({ work }), createTableKeeper({ work })]
    for (const keeper of [source, ...keepers]) keeper.adopt(encodedOf(5))
    source.adopt(encodedOf(6))
    const update = source.updateFrom(5)
    expect(isDelta(update)).toBe(true)
    for (const keeper of keepers) expect(keeper.adopt(Buffer.from(update))).toBe('adopted')
    expect(keepers[1]!.view().encoded).toEqual(encodedOf(6))
    const { encoded } = work.compile(encodedOf(5))
    const next = work.expand(encoded, update)
    expect(next).toEqual(encodedOf(6))
    expect(work.expand(encoded, Buffer.from(update))).toBe(next)
    expect(work.expand(encodedOf(5), update)).not.toBe(next)
  })

  it('are not updated by what builds upon another table, nor by another update', () => {
    const work = new SharedTables()
    const source = createTableKeeper()
    for (const epoch of [5, 6]) source.adopt(encodedOf(epoch))
    const update = source.updateFrom(5)
    expect(work.expand(encodedOf(4), update)).toBeUndefined()
    const base = encodedOf(5)
    expect(work.expand(base, update)).toEqual(encodedOf(6))
    const forged = Buffer.from(update)
    forged[forged.length - 1] = forged.at(-1)! ^ 1
    expect(work.expand(base, forged)).not.toEqual(encodedOf(6))
  })

  it('are never taken for others of the same hash, and bad ones never for good ones', () => {
    const work = new SharedTables()
    const good = encodedOf(5)
    work.compile(good)
    const forged = Buffer.from(good)
    forged[good.length - 12] = forged[good.length - 12]! ^ 1
    expect(() => work.compile(forged)).toThrow(expect.objectContaining({ code: 'BAD_PACKET' }))
    expect(work.compile(good).epoch).toBe(5)
  })

  it('are forgotten when there are newer ones', () => {
    const work = new SharedTables(2)
    const first = work.compile(encodedOf(1))
    const second = work.compile(encodedOf(2))
    expect(work.compile(encodedOf(1))).toBe(first)
    work.compile(encodedOf(3))
    expect(work.compile(encodedOf(1))).toBe(first)
    expect(work.compile(encodedOf(2))).not.toBe(second)
  })
})
