import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Connection } from './connection.ts'
import { Drain, usualDrainMs } from './drain.ts'

function openConnections(count: number): Connection[] {
  return Array.from({ length: count }, (_, i) => {
    const connection = new Connection(i + 1, 0, 60_000, 1)
    connection.phase = 'open'
    return connection
  })
}

describe('the schedule of a drain', () => {
  it('asks everybody once, at no moment ahead of an even pace or more than one behind it', () => {
    const steps = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 60 })
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 300 }), steps, (count, waits) => {
        const windowMs = 5_000
        const drain = new Drain(0, windowMs, false, openConnections(count))
        const asked: number[] = []
        let now = 0
        for (const wait of [...waits, windowMs]) {
          now += wait
          asked.push(...drain.due(now, false).map(({ connId }) => connId))
          const even = (count * Math.min(now, windowMs)) / windowMs
          expect(Math.abs(asked.length - even)).toBeLessThan(1)
        }
        expect(asked).toEqual(openConnections(count).map(({ connId }) => connId))
      })
    )
  })

  it('passes over who has left by himself, and keeps the pace', () => {
    const connections = openConnections(100)
    const drain = new Drain(0, 1_000, false, connections)
    expect(drain.due(500, false)).toHaveLength(50)
    for (const connection of connections.slice(50, 90)) connection.phase = 'closed'
    expect(drain.due(900, false)).toEqual([])
    expect(drain.due(1_000, false)).toEqual(connections.slice(90))
  })

  it('stands still while nobody may go, and makes no rush of it afterwards', () => {
    const drain = new Drain(0, 1_000, false, openConnections(10))
    expect(drain.due(200, false)).toHaveLength(2)
    expect(drain.due(60_000, true)).toEqual([])
    expect(drain.due(60_100, false)).toHaveLength(1)
    expect(drain.due(60_800, false)).toHaveLength(7)
  })

  it('has a turn for who came after its window', () => {
    const drain = new Drain(0, 1_000, false, openConnections(1))
    expect(drain.due(2_000, false)).toHaveLength(1)
    const [late] = openConnections(1)
    drain.add(late!)
    expect(drain.due(2_001, false)).toEqual([late])
  })

  it('takes longer for more connections unless told otherwise', () => {
    expect([0, 1_000, 50_000].map(usualDrainMs)).toEqual([2_000, 2_000, 100_000])
  })
})
