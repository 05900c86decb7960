import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { PendingTable } from './pending-table.ts'

interface Entry {
  wakeAtMs: number
  wakeTick: number
  readonly sequence: number
}

const entry = (sequence: number): Entry => ({ sequence, wakeAtMs: 0, wakeTick: -1 })

describe('PendingTable', () => {
  it('wakes at the common timeout, and again when asked to', () => {
    const table = new PendingTable<Entry>(0, 100)
    const woken: [number, number][] = []
    const one = entry(1)
    table.add(one)
    table.wakeFirst(one, 0)
    for (let now = 10; now <= 500; now += 10) {
      table.advance(now, due => {
        woken.push([due.sequence, now])
        if (woken.length === 1) table.wake(due, now + 50)
        if (woken.length === 2) table.wakeFirst(due, now)
      })
    }
    expect(woken).toEqual([
      [1, 100],
      [1, 150],
      [1, 250]
    ])
    expect(table.get(1)).toBe(one)
    expect(table.delete(one)).toBe(true)
    expect(table.delete(one)).toBe(false)
  })

  it('does not let a renewed timeout hold up those behind it', () => {
    const table = new PendingTable<Entry>(0, 100)
    const woken: [number, number][] = []
    const [one, two] = [entry(1), entry(2)]
    table.add(one)
    table.wakeFirst(one, 0)
    table.add(two)
    table.wakeFirst(two, 10)
    table.wakeFirst(one, 50)
    for (let now = 60; now <= 200; now += 10) {
      table.advance(now, due => {
        woken.push([due.sequence, now])
        table.delete(due)
      })
    }
    expect(woken).toEqual([
      [2, 110],
      [1, 150]
    ])
  })

  it('agrees with a naive one under any history', () => {
    const step = fc.record({
      op: fc.constantFrom('add' as const, 'wake' as const, 'delete' as const, 'pass' as const),
      at: fc.nat(20),
      ms: fc.nat(300)
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), steps => {
        const table = new PendingTable<Entry>(0, 100)
        const naive = new Map<number, number>()
        const entries: Entry[] = []
        let now = 0
        for (const { op, at, ms } of steps) {
          const picked = entries[at % Math.max(entries.length, 1)]
          if (op === 'add') {
            const added = entry(entries.length + 1)
            entries.push(added)
            table.add(added)
            if (ms % 2 === 0) table.wakeFirst(added, now)
            else table.wake(added, now + ms)
            naive.set(added.sequence, now + (ms % 2 === 0 ? 100 : ms))
          } else if (op === 'wake' && picked && naive.has(picked.sequence)) {
            if (ms % 2 === 0) table.wakeFirst(picked, now)
            else table.wake(picked, now + ms)
            naive.set(picked.sequence, now + (ms % 2 === 0 ? 100 : ms))
          } else if (op === 'delete' && picked) {
            expect(table.delete(picked)).toBe(naive.delete(picked.sequence))
          } else if (op === 'pass') {
            now += 10 + Math.floor(ms / 50) * 10
            const woken: number[] = []
            table.advance(now, ({ sequence }) => woken.push(sequence))
            const due = [...naive].filter(([, atMs]) => atMs <= now).map(([sequence]) => sequence)
            expect(woken.sort()).toEqual(due.sort())
            for (const sequence of due) naive.set(sequence, Number.POSITIVE_INFINITY)
          }
          expect(table.size).toBe(naive.size)
          for (const { sequence } of entries) {
            expect(table.get(sequence) !== undefined).toBe(naive.has(sequence))
          }
        }
      }),
      { numRuns: 300 }
    )
  })
})
