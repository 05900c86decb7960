import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteReader, ByteWriter } from './bytes.ts'

const limitBytes = 128

function written(text: string): Buffer {
  const writer = new ByteWriter(8)
  writer.string(text)
  return writer.copy()
}

/** What is there behind its length, which takes one byte. */
function read(bytes: Uint8Array): string {
  return new ByteReader(Buffer.from([bytes.length, ...bytes])).string(limitBytes)
}

describe('a text', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 31 }), text => {
        expect(new ByteReader(written(text)).string(limitBytes)).toBe(text)
      })
    )
  })

  it('is refused, or takes the same bytes when it is written again', () => {
    const pieces = [0xff, 0xc3, 0x28, 0xe2, 0x82, 0xac, 0xf0, 0x9f, 0x98, 0x80, 0xed, 0xa0, 0x41]
    const bytes = fc.array(fc.oneof(fc.nat(255), fc.constantFrom(...pieces)), { maxLength: 100 })
    let accepted = 0
    fc.assert(
      fc.property(bytes, given => {
        let text: string
        try {
          text = read(Uint8Array.from(given))
        } catch (error) {
          expect(error).toMatchObject({ code: 'BAD_PACKET' })
          return
        }
        accepted++
        expect([...written(text).subarray(1)]).toEqual(given)
      })
    )
    expect(accepted).toBeGreaterThan(0)
  })

  it.each([
    ['of Latin-1', [0xfc]],
    ['of bytes that are never UTF-8', Array<number>(limitBytes - 1).fill(0xff)],
    ['cut within a character', [0xe2, 0x82]],
    ['of half a pair', [0xed, 0xa0, 0x80]]
  ])('is refused when it is %s', (_what, bytes) => {
    expect(() => read(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ code: 'BAD_PACKET' })
    )
  })

  it('may hold the character that stands for what cannot be decoded', () => {
    expect(read(Buffer.from('a\ufffdb'))).toBe('a\ufffdb')
  })
})
