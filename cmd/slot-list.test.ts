import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseSlots, slotsText } from './slot-list.ts'

describe('a list of slots', () => {
  it('is one, a stretch, or several of both', () => {
    expect(parseSlots('17')).toEqual([17])
    expect(parseSlots('3..6')).toEqual([3, 4, 5, 6])
    expect(parseSlots('9..11,1,5,10')).toEqual([1, 5, 9, 10, 11])
    expect(parseSlots('0..1023')).toHaveLength(1_024)
  })

  it('is nothing else', () => {
    for (const text of [
      '',
      ',',
      '1,',
      '-1',
      '5..3',
      '1..',
      '..2',
      's1',
      '1-3',
      '1..2..3',
      '99999',
      '123456',
      '0..1024',
      '1.5'
    ]) {
      expect(() => parseSlots(text), text).toThrow(/^It must be/)
    }
  })

  it('reads what it writes', () => {
    const lists = fc.uniqueArray(fc.nat(200), { maxLength: 50, minLength: 1 })
    fc.assert(
      fc.property(lists, list => {
        const slots = list.sort((a, b) => a - b)
        expect(parseSlots(slotsText(slots))).toEqual(slots)
      })
    )
    expect(slotsText([1, 2, 3, 7, 9, 10])).toBe('1..3,7,9..10')
  })
})
