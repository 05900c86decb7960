import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PagedNumbers } from './paged-numbers.ts'

describe('paged numbers', () => {
  const index = fc.oneof(fc.nat(600), fc.maxSafeNat(), fc.constantFrom(2 ** 32, 2 ** 53 - 1))

  it('are a map', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(index, fc.double())), fc.array(index), (written, asked) => {
        const map = new Map<number, number>()
        const paged = new PagedNumbers()
        for (const [at, value] of written) {
          map.set(at, value)
          paged.set(at, value)
        }
        for (const at of [...map.keys(), ...asked]) expect(paged.get(at)).toBe(map.get(at))
      })
    )
  })
})
