import { describe, expect, it } from 'vitest'
import { RowOverlay } from './row-overlay.ts'
import type { WriteBatch } from './write-batch.ts'

/** A batch whose every row takes `rowMs`. */
class SlowBatch {
  readonly rowMs: number
  readonly keys: string[] = []

  constructor(rowMs: number) {
    this.rowMs = rowMs
  }

  get ageMs(): number {
    return this.keys.length * this.rowMs
  }

  put(key: Buffer): void {
    this.keys.push(key.toString('utf8', 1))
  }

  delete(key: Buffer): void {
    this.put(key)
  }
}

function filled(rows: number): RowOverlay {
  const overlay = new RowOverlay(1, Buffer.from('p'))
  for (let i = 0; i < rows; i++) overlay.put(`${i}`, i % 10 === 9 ? undefined : Buffer.from('v'))
  return overlay
}

function stageSome(overlay: RowOverlay, rowMs: number): string[] {
  const batch = new SlowBatch(rowMs)
  overlay.stageSome(batch as unknown as WriteBatch, 2)
  return batch.keys
}

describe('rows that need not be written in one batch', () => {
  it('are taken until the batch is old enough, the oldest first', () => {
    const overlay = filled(1_000)
    const first = stageSome(overlay, 0.01)
    expect(first.length).toBeGreaterThanOrEqual(200)
    expect(first.length).toBeLessThan(300)
    expect(first).toEqual(Array.from(first, (_, i) => `${i}`))
    expect(overlay.waiting).toBe(1_000 - first.length)
    overlay.wrote()
    expect(stageSome(overlay, 0.01)[0]).toBe(`${first.length}`)
  })

  it('are taken a few at a time however slow it goes, and all in the end', () => {
    const overlay = filled(100)
    const counts: number[] = []
    while (overlay.waiting > 0) {
      counts.push(stageSome(overlay, 100).length)
      overlay.wrote()
    }
    expect(counts.length).toBeGreaterThan(2)
    expect(counts.reduce((sum, count) => sum + count)).toBe(100)
  })

  it('are read back until they are written, and newer ones longer', () => {
    const overlay = filled(10)
    expect(stageSome(overlay, 0)).toHaveLength(10)
    overlay.put('0', Buffer.from('newer'))
    expect(String(overlay.get('0'))).toBe('newer')
    expect(String(overlay.get('1'))).toBe('v')
    overlay.wrote()
    expect(overlay.get('1')).toBeUndefined()
    expect(String(overlay.get('0'))).toBe('newer')
    expect(stageSome(overlay, 0)).toEqual(['0'])
  })
})
