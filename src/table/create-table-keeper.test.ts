import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createTableKeeper } from './create-table-keeper.ts'
import type { RoutingTable } from './table.ts'
import { encodeTable, type TableLabel } from './table-codec.ts'

function tableOf(epoch: number, zone = 'default', clusterId = '0a0000000001'): RoutingTable {
  const set = { id: 's1', zone, state: 'active' as const, weight: 1 }
  return {
    clusterId,
    epoch,
    slotCount: 16,
    runs: [{ first: 0, count: 16, setId: 's1', slotEpoch: 1 }],
    moves: [],
    grey: [],
    tenants: [],
    pins: [],
    sets: [{ ...set, transfers: [], logics: [], routers: [] }],
    arbiters: []
  }
}

const encodedOf = (...args: Parameters<typeof tableOf>): Buffer => encodeTable(tableOf(...args))

describe('table keeper', () => {
  it('adopts only what is strictly newer', () => {
    const keeper = createTableKeeper()
    expect(keeper.view().epoch).toBe(0)
    expect(keeper.adopt(encodedOf(5))).toBe('adopted')
    expect(keeper.adopt(encodedOf(5))).toBe('same')
    expect(keeper.adopt(encodedOf(4))).toBe('older')
    expect(keeper.adopt(encodedOf(9))).toBe('adopted')
    expect(keeper.view().epoch).toBe(9)
  })

  it('ends at the newest table, whatever is lost, doubled or reordered on the way', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), epochs => {
        const keeper = createTableKeeper()
        const seen: number[] = []
        keeper.onAdopted(view => seen.push(view.epoch))
        for (const epoch of epochs) keeper.adopt(encodedOf(epoch))
        expect(keeper.view().epoch).toBe(Math.max(...epochs))
        expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b))
      })
    )
  })

  it('keeps the old table and raises the alarm when one epoch has two contents', () => {
    const conflicts: [number, TableLabel][] = []
    const keeper = createTableKeeper({
      onConflict: (inForce, refused) => conflicts.push([inForce.contentHash, refused])
    })
    keeper.adopt(encodedOf(5, 'here'))
    const inForce = keeper.view()
    expect(keeper.adopt(encodedOf(5, 'there'))).toBe('conflict')
    expect(keeper.view()).toBe(inForce)
    expect(conflicts).toHaveLength(1)
    expect(conflicts[0]![0]).toBe(inForce.contentHash)
    expect(conflicts[0]![1].contentHash).not.toBe(inForce.contentHash)
    expect(keeper.adopt(encodedOf(6, 'there'))).toBe('adopted')
  })

  it('takes a damaged copy of its own epoch for what it is, not for a conflict', () => {
    const conflicts: TableLabel[] = []
    const keeper = createTableKeeper({ onConflict: (_, refused) => conflicts.push(refused) })
    const encoded = encodedOf(5)
    keeper.adopt(encoded)
    const damaged = Buffer.from(encoded)
    damaged[damaged.length - 1]! ^= 1
    expect(keeper.adopt(damaged)).toBe('malformed')
    expect(conflicts).toEqual([])
  })

  it('refuses other clusters once it knows its own', () => {
    const other = encodedOf(9, 'default', '0b0000000001')
    const expecting = createTableKeeper({ expectedClusterId: '0a0000000001' })
    expect(expecting.adopt(other)).toBe('foreign')
    const learning = createTableKeeper()
    expect(learning.adopt(encodedOf(1))).toBe('adopted')
    expect(learning.adopt(other)).toBe('foreign')
    expect(learning.view().epoch).toBe(1)
  })

  it('answers hostile input, and keeps its table', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(), (bytes, at) => {
        const keeper = createTableKeeper()
        keeper.adopt(encodedOf(5))
        const view = keeper.view()
        // By chance such bytes are the label of an update of another cluster, or of long ago.
        expect(['malformed', 'foreign', 'older', 'gap']).toContain(keeper.adopt(Buffer.from(bytes)))
        const newer = encodedOf(6)
        newer[at % newer.length]! ^= 0x55
        expect(['malformed', 'foreign', 'older', 'same']).toContain(keeper.adopt(newer))
        expect(keeper.view()).toBe(view)
      })
    )
  })

  it('does not keep the buffer that the table came in', () => {
    const keeper = createTableKeeper()
    const received = encodedOf(5)
    keeper.adopt(received)
    received.fill(0)
    expect(keeper.view().encoded.equals(encodedOf(5))).toBe(true)
  })

  it('shows the new table to listeners inside adopt, never an old one after a newer', () => {
    const keeper = createTableKeeper()
    const seen: string[] = []
    keeper.onAdopted(view => {
      seen.push(`a${view.epoch}=${keeper.view().epoch}`)
      if (view.epoch === 1) keeper.adopt(encodedOf(2))
    })
    keeper.onAdopted(view => seen.push(`b${view.epoch}=${keeper.view().epoch}`))
    keeper.adopt(encodedOf(1))
    expect(seen).toEqual(['a1=1', 'a2=2', 'b2=2'])
  })
})

describe('updates', () => {
  it('bring a keeper from any of the last epochs to the newest, and cost less than the table', () => {
    const source = createTableKeeper()
    const reader = createTableKeeper()
    for (let epoch = 1; epoch <= 12; epoch++) {
      const seenEpoch = reader.view().epoch
      source.adopt(encodedOf(epoch))
      const update = source.updateFrom(seenEpoch)
      const whole = source.view().encoded
      if (epoch > 1) expect(update.length).toBeLessThan(whole.length)
      // One in three is missed.
      if (epoch % 3 !== 0) expect(reader.adopt(update)).toBe('adopted')
    }
    expect(source.adopt(reader.view().encoded)).toBe('older')
    expect(reader.adopt(source.updateFrom(reader.view().epoch))).toBe('adopted')
    expect(reader.view().encoded.equals(source.view().encoded)).toBe(true)
  })

  it('are the whole table for who is too far behind, or unknown', () => {
    const keeper = createTableKeeper()
    expect(keeper.updateFrom(0)).toHaveLength(0)
    for (let epoch = 1; epoch <= 20; epoch++) keeper.adopt(encodedOf(epoch))
    for (const epoch of [0, 1, 11, 20, 21]) {
      expect(keeper.updateFrom(epoch)).toBe(keeper.view().encoded)
    }
    expect(keeper.updateFrom(12)).not.toBe(keeper.view().encoded)
  })

  it('without their base are a gap, of another cluster foreign, of earlier epochs older', () => {
    const source = createTableKeeper()
    source.adopt(encodedOf(4))
    source.adopt(encodedOf(6))
    const update = source.updateFrom(4)
    expect(createTableKeeper().adopt(update)).toBe('gap')
    const keepers = [
      ['gap', encodedOf(3)],
      ['gap', encodedOf(4, 'elsewhere')],
      ['adopted', encodedOf(4)],
      ['same', encodedOf(6)],
      ['older', encodedOf(7)],
      ['foreign', encodedOf(4, 'default', '0b0000000001')]
    ] as const
    for (const [adoption, encoded] of keepers) {
      const keeper = createTableKeeper()
      keeper.adopt(encoded)
      const { epoch } = keeper.view()
      // Who has passed the base on the way still holds it.
      const expected = adoption === 'same' ? 'gap' : adoption
      expect(keeper.adopt(update), String(epoch)).toBe(expected)
    }
    source.adopt(encodedOf(9))
    const passed = createTableKeeper()
    passed.adopt(encodedOf(4))
    passed.adopt(encodedOf(5))
    expect(passed.adopt(source.updateFrom(4))).toBe('adopted')
    expect(passed.adopt(update)).toBe('older')
  })
})
