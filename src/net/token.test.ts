import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createToken, verifyToken } from './token.ts'

const secret = Buffer.alloc(32, 7)

describe('connect tokens', () => {
  it('names the uid until it expires', () => {
    const token = createToken(secret, 'zoë/1', 5_000)
    expect(verifyToken(secret, token, 4_999)).toEqual({ uid: 'zoë/1' })
    expect(verifyToken(secret, token, 5_000)).toBe('TOKEN_EXPIRED')
  })

  it('is refused under another secret, even when expired', () => {
    const token = createToken(secret, 'ann', 5_000)
    expect(verifyToken(Buffer.alloc(32, 8), token, 9_000)).toBe('BAD_TOKEN')
  })

  it('refuses to sign a bad uid', () => {
    expect(() => createToken(secret, '', 1)).toThrowError()
  })

  it('does not survive any change of one character', () => {
    const token = createToken(secret, 'ann', 5_000)
    fc.assert(
      fc.property(fc.nat(token.length - 1), fc.constantFrom('A', 'x', '9', '.', '-'), (at, to) => {
        fc.pre(token[at] !== to)
        const changed = token.slice(0, at) + to + token.slice(at + 1)
        const verdict = verifyToken(secret, changed, 0)
        // The last base64url digit carries bits beyond the mac: those decode to the same bytes.
        const same = Buffer.from(changed.split('.')[3] ?? '', 'base64url')
        const original = Buffer.from(token.split('.')[3]!, 'base64url')
        if (changed.slice(0, -2) === token.slice(0, -2) && same.equals(original)) return
        expect(verdict).toBe('BAD_TOKEN')
      })
    )
  })

  it('answers any text with a verdict', () => {
    fc.assert(
      fc.property(fc.string(), text => {
        expect(verifyToken(secret, text, 0)).toBe('BAD_TOKEN')
      })
    )
  })
})
