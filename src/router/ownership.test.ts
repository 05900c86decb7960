import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import { Ownership, type SlotStep, slotSteps } from './ownership.ts'

const slotCount = 8

function owned(rows: MapRows): Ownership {
  const ownership = new Ownership()
  ownership.own(rows, slotCount, [{ first: 0, count: 4, slotEpoch: 1 }])
  return ownership
}

describe('the ownership of slots', () => {
  const out: [SlotStep, number][] = [
    ['seal', 0],
    ['leave', 7],
    ['forget', 7]
  ]
  const inward: [SlotStep, number][] = [
    ['import', 0],
    ['imported', 0],
    ['take', 7],
    ['settle', 7]
  ]

  it('goes out and in step by step, each only where the one before has led', () => {
    for (const [slot, steps] of [
      [1, out],
      [5, inward]
    ] as const) {
      for (const skipped of steps) {
        const rows = new MapRows()
        const ownership = owned(rows)
        const taken = steps.map(([step, epoch]) => {
          if (step === skipped[0]) return undefined
          return ownership.step(rows, slotCount, slot, step, 6, epoch)
        })
        const at = steps.indexOf(skipped)
        expect(taken.slice(0, at).every(done => done === true)).toBe(true)
        expect(taken.slice(at + 1).every(done => done === false)).toBe(true)
      }
    }
  })

  it('remembers whose slots are which from the first entry that says so, and reads rows of before', () => {
    const rows = new MapRows()
    const ownership = owned(rows)
    ownership.flush(rows)
    const plain = rows.dump()
    expect(ownership.space(rows, slotCount, [])).toEqual({ slotCount, tenants: [] })
    ownership.flush(rows)
    expect(rows.dump()).toEqual(plain)
    const tenants = [{ prefix: 'acme-', first: 6, count: 2 }]
    const space = { slotCount, tenants }
    expect(ownership.space(rows, slotCount, tenants)).toEqual(space)
    expect(ownership.space(rows, slotCount, [])).toEqual(space)
    ownership.flush(rows)
    const again = new Ownership()
    expect(again.tenants(rows)).toEqual(tenants)
    expect([again.routeEpoch(rows), again.state(rows, 3), again.slotCount(rows)]).toEqual([
      0,
      'owned',
      8
    ])
    again.raiseRouteEpoch(rows, 9)
    again.flush(rows)
    again.reset()
    expect([again.routeEpoch(rows), again.tenants(rows)]).toEqual([9, tenants])
  })

  it('never takes a slot that was here before for one of the first table', () => {
    const rows = new MapRows()
    const ownership = owned(rows)
    for (const [step, epoch] of out) ownership.step(rows, slotCount, 1, step, 6, epoch)
    expect(ownership.state(rows, 1)).toBe('none')
    expect(ownership.own(rows, slotCount, [{ first: 0, count: 8, slotEpoch: 1 }])).toBe(4)
    expect(ownership.state(rows, 1)).toBe('none')
  })

  it('lets nothing in while the remains of another slot are here', () => {
    const rows = new MapRows()
    const ownership = owned(rows)
    ownership.step(rows, slotCount, 1, 'seal', 6, 0)
    ownership.step(rows, slotCount, 1, 'leave', 6, 7)
    expect(ownership.step(rows, slotCount, 5, 'import', 8, 0)).toBe(false)
    ownership.step(rows, slotCount, 1, 'forget', 0, 7)
    expect(ownership.step(rows, slotCount, 5, 'import', 8, 0)).toBe(true)
  })

  it('serves again after an abort, under the slotEpoch it had, and ignores the ends of other moves', () => {
    const rows = new MapRows()
    const ownership = owned(rows)
    ownership.step(rows, slotCount, 1, 'seal', 6, 0)
    expect(ownership.refusal(rows, 1, 1)).toBe('SLOT_SEALED')
    expect(ownership.step(rows, slotCount, 1, 'unseal', 5, 0)).toBe(false)
    expect(ownership.step(rows, slotCount, 1, 'leave', 5, 7)).toBe(false)
    expect(ownership.step(rows, slotCount, 1, 'unseal', 6, 0)).toBe(true)
    expect(ownership.refusal(rows, 1, 1)).toBeUndefined()
  })

  it('is in the rows what it is in memory, after whatever steps', () => {
    const step = fc.record({
      slot: fc.nat(slotCount - 1),
      step: fc.constantFrom(...slotSteps),
      move: fc.integer({ min: 2, max: 5 }),
      epoch: fc.integer({ min: 1, max: 7 })
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), steps => {
        const rows = new MapRows()
        const ownership = owned(rows)
        for (const one of steps) {
          ownership.step(rows, slotCount, one.slot, one.step, one.move, one.epoch)
        }
        ownership.flush(rows)
        const read = new Ownership()
        for (let slot = 0; slot < slotCount; slot++) {
          expect(read.state(rows, slot)).toBe(ownership.state(rows, slot))
          expect(read.slotEpoch(rows, slot)).toBe(ownership.slotEpoch(rows, slot))
          expect(read.move(rows, slot)).toBe(ownership.move(rows, slot))
        }
        expect(read.routeEpoch(rows)).toBe(ownership.routeEpoch(rows))
        expect(read.unsettled(rows)).toEqual(ownership.unsettled(rows))
        expect(read.count(rows, 'owned')).toBe(ownership.count(rows, 'owned'))
      })
    )
  })
})
