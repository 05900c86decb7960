import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { assignRuns, ownersOf, runsOf, slotEpochsOf } from './runs.ts'

const slots = fc.array(fc.tuple(fc.constantFrom('s1', 's2'), fc.integer({ min: 1, max: 3 })), {
  minLength: 1,
  maxLength: 60
})

describe('runs', () => {
  it('are as few as possible and expand to what they were made of', () => {
    fc.assert(
      fc.property(slots, list => {
        const owners = list.map(([owner]) => owner)
        const epochs = list.map(([, epoch]) => epoch)
        const runs = runsOf(owners, epochs)
        expect(ownersOf(runs)).toEqual(owners)
        expect(slotEpochsOf(runs)).toEqual(epochs)
        const changes = list.filter(
          ([owner, epoch], i) => i > 0 && (owner !== owners[i - 1] || epoch !== epochs[i - 1])
        )
        expect(runs.length).toBe(changes.length + 1)
      })
    )
  })

  it('raise the epoch of exactly the slots whose owner changes', () => {
    fc.assert(
      fc.property(
        slots,
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('s1', 's2'))),
        (list, picks) => {
          const owners = list.map(([owner]) => owner)
          const epochs = list.map(([, epoch]) => epoch)
          const changes = new Map(picks.map(([slot, setId]) => [slot % list.length, setId]))
          const after = assignRuns(runsOf(owners, epochs), changes, 9)
          const newOwners = ownersOf(after)
          for (const [slot, epoch] of slotEpochsOf(after).entries()) {
            const wanted = changes.get(slot) ?? owners[slot]
            expect(newOwners[slot]).toBe(wanted)
            expect(epoch).toBe(wanted === owners[slot] ? epochs[slot] : 9)
          }
        }
      )
    )
  })

  it('refuse a slot that is not there', () => {
    const runs = runsOf(['s1', 's1'], [1, 1])
    expect(() => assignRuns(runs, new Map([[2, 's2']]), 2)).toThrow('in range')
  })
})
