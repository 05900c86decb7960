import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteArena } from './byte-arena.ts'

/** What the buffers keep alive. */
function heldBytes(buffers: readonly Buffer[]): number {
  const memories = new Set(buffers.map(({ buffer }) => buffer))
  return [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
}

describe('ByteArena', () => {
  it('keeps what was given to it, whatever comes after', () => {
    const sizes = fc.array(fc.uint8Array({ maxLength: 9_000, size: 'max' }), { maxLength: 60 })
    fc.assert(
      fc.property(sizes, given => {
        const arena = new ByteArena()
        const originals = given.map(bytes => Buffer.from(bytes))
        const kept = originals.map(bytes => arena.keep(bytes))
        for (const bytes of originals) if (bytes.length < 4096) bytes.fill(0)
        expect(kept.map(bytes => [...bytes])).toEqual(given.map(bytes => [...bytes]))
      }),
      { numRuns: 30 }
    )
  })

  it('holds little more than the bytes, where buffers of the pool hold all of it', () => {
    const arena = new ByteArena()
    const pooled: Buffer[] = []
    const kept: Buffer[] = []
    for (let i = 0; i < 2_000; i++) {
      pooled.push(Buffer.from(`entry ${i} of a hundred bytes or so`.padEnd(100)))
      kept.push(arena.keep(pooled.at(-1)!))
      Buffer.from('what else a process does meanwhile'.repeat(100))
    }
    expect(heldBytes(pooled)).toBeGreaterThan(2_000 * 4_000)
    expect(heldBytes(kept)).toBeLessThan(2_000 * 100 + 65_536)
  })
})
