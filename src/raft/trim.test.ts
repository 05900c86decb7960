import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogTrimmer } from './trim.ts'
import { type Entry, entryKinds } from './types.ts'

const overheadBytes = 24

function entry(index: number, sizeBytes: number): Entry {
  return { index, term: 1, kind: entryKinds.normal, data: Buffer.alloc(sizeBytes - overheadBytes) }
}

describe('LogTrimmer', () => {
  it('never drops what both limits allow to keep, nor keeps much more than the smaller one', () => {
    const sizes = fc.array(fc.integer({ min: overheadBytes, max: 400 }), {
      minLength: 1,
      maxLength: 400
    })
    fc.assert(
      fc.property(sizes, fc.integer({ min: 0, max: 60 }), (entrySizes, trailingEntries) => {
        const limits = { trailingEntries, trailingBytes: 4_000 }
        const trimmer = new LogTrimmer(limits)
        let first = 1
        for (const [at, sizeBytes] of entrySizes.entries()) {
          const index = at + 1
          trimmer.grown([entry(index, sizeBytes)])
          const to = trimmer.compactTo(index)
          if (to !== undefined) {
            expect(to).toBeGreaterThanOrEqual(first)
            expect(to).toBeLessThanOrEqual(index)
            first = to
          }
          const droppedBytes = sum(entrySizes.slice(first, index))
          const kept = index - first + 1
          if (first > 1) {
            expect(kept > trailingEntries || droppedBytes > limits.trailingBytes).toBe(true)
          }
          expect(kept).toBeLessThanOrEqual(trailingEntries + Math.max(1, trailingEntries / 8) + 1)
          // A mark every sixteenth, and up to 24 of them before it is worth a write.
          expect(sum(entrySizes.slice(first - 1, index))).toBeLessThan(4_000 * 1.6 + 16 * 400)
        }
      }),
      { numRuns: 200 }
    )
  })

  it('does not drop what is not applied yet', () => {
    const trimmer = new LogTrimmer({ trailingEntries: 0, trailingBytes: 100 })
    for (let index = 1; index <= 50; index++) trimmer.grown([entry(index, 90)])
    expect(trimmer.compactTo(20)).toBe(20)
    expect(trimmer.compactTo(20)).toBeUndefined()
  })

  it('keeps what is needed beyond both limits, up to sixteen times the bytes', () => {
    const trimmer = new LogTrimmer({ trailingEntries: 8, trailingBytes: 1_000 })
    let kept = 0
    let first = 1
    for (let index = 1; index <= 400; index++) {
      trimmer.grown([entry(index, 100)])
      first = trimmer.compactTo(index, 50) ?? first
      kept = Math.max(kept, index - first + 1)
      if (index <= 200) expect(first).toBeLessThanOrEqual(50)
      if (index > 60) expect(first).toBeGreaterThanOrEqual(49)
    }
    expect(kept).toBeGreaterThanOrEqual(160)
    expect(kept).toBeLessThan(175)
    expect(first).toBeGreaterThan(400 - 175)
    expect(trimmer.compactTo(400)).toBe(392)
  })

  it('begins anew after a snapshot was installed', () => {
    const trimmer = new LogTrimmer({ trailingEntries: 8, trailingBytes: 1 << 20 })
    for (let index = 1; index <= 50; index++) trimmer.grown([entry(index, 90)])
    trimmer.reset(1_000)
    expect(trimmer.compactTo(1_005)).toBeUndefined()
    expect(trimmer.compactTo(1_020)).toBe(1_012)
  })
})

const sum = (sizes: readonly number[]): number => sizes.reduce((total, size) => total + size, 0)
