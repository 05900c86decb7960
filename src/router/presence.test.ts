import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import {
  type CommandWriter,
  entryOf,
  expire,
  ownAll,
  register,
  route,
  unregister
} from '../../test/support/router-entries.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import { RouterMachine } from './router-machine.ts'

const table = oneSetTable()

class Bench {
  readonly rows = new MapRows()
  readonly machine = new RouterMachine({ appended() {}, queued() {}, replaced() {} })

  apply(...commands: CommandWriter[]): unknown[] {
    return this.machine.apply(1, entryOf(...commands), this.rows)
  }
}

function home(): Bench {
  const bench = new Bench()
  bench.apply(ownAll)
  return bench
}

describe('presence', () => {
  const routesOf = (bench: Bench, uid = 'ann'): unknown[] => [
    ...bench.machine.presence.routes(bench.rows, table.slotOf(uid), uid)
  ]

  it('keeps the newest connection of a device; a lower connSeq never overwrites', () => {
    const bench = home()
    const old = route({ connId: 1, connSeq: 1 })
    const fresh = route({ connId: 2, connSeq: 2 })
    expect(bench.apply(register(table, 'ann', fresh))).toEqual([{ replaced: [] }])
    expect(bench.apply(register(table, 'ann', old))).toEqual([{ error: 'KICKED' }])
    expect(routesOf(bench)).toEqual([fresh])
    expect(bench.apply(register(table, 'ann', fresh))).toEqual([{ replaced: [] }])
    const third = route({ connId: 3, connSeq: 3 })
    expect(bench.apply(register(table, 'ann', third))).toEqual([{ replaced: [fresh] }])
  })

  it('allows one mobile and one desktop, any web and bot', () => {
    const bench = home()
    const phone = route({ deviceId: 'phone', connId: 1 })
    const other = route({ deviceId: 'other', connId: 2 })
    const web1 = route({ deviceId: 'w1', class: 'web', connId: 3 })
    const web2 = route({ deviceId: 'w2', class: 'web', connId: 4 })
    const desk = route({ deviceId: 'd', class: 'desktop', connId: 5 })
    bench.apply(...[phone, web1, web2, desk].map(one => register(table, 'ann', one)))
    expect(bench.apply(register(table, 'ann', other))).toEqual([{ replaced: [phone] }])
    expect(routesOf(bench)).toEqual([web1, web2, desk, other])
  })

  it('bounds the devices of one user', () => {
    const bench = home()
    const results = Array.from({ length: 40 }, (_, i) =>
      bench.apply(register(table, 'ann', route({ deviceId: `w${i}`, class: 'web', connId: i })))
    )
    expect(results.at(-1)).toEqual([{ error: 'TOO_MANY_CONNECTIONS' }])
    expect(routesOf(bench)).toHaveLength(32)
  })

  it.each([
    ['connId', { connId: 9 }],
    ['connSeq', { connSeq: 9 }],
    ['transferId', { transferId: 't9' }],
    ['transferBootId', { transferBootId: 9 }],
    ['deviceId', { deviceId: 'laptop' }]
  ])('unregisters only the very connection: another %s changes nothing', (_name, other) => {
    const bench = home()
    bench.apply(register(table, 'ann', route()))
    expect(bench.apply(unregister(table, 'ann', route(other)))).toEqual([{ removed: false }])
    expect(routesOf(bench)).toHaveLength(1)
    expect(bench.apply(unregister(table, 'ann', route()))).toEqual([{ removed: true }])
    expect(routesOf(bench)).toEqual([])
    expect(
      bench.rows.map.has(`${table.slotOf('ann').toString(16).padStart(4, '0')}/presence/ann`)
    ).toBe(false)
  })

  it('drops all routes of a dead instance at once, and for ever', () => {
    const bench = home()
    const elsewhere = route({ deviceId: 'w', class: 'web', transferId: 't2', transferBootId: 22 })
    bench.apply(
      register(table, 'ann', route({ connSeq: 50 })),
      register(table, 'bob', route({ connId: 2 })),
      register(table, 'ann', elsewhere)
    )
    const puts = bench.rows.puts
    expect(bench.apply(expire('t1', 11), expire('t1', 11))).toEqual([
      { expired: true },
      { expired: false }
    ])
    expect(bench.rows.puts).toBe(puts + 1)
    expect(routesOf(bench)).toEqual([elsewhere])
    expect(routesOf(bench, 'bob')).toEqual([])
    bench.machine.reset()
    expect(bench.apply(register(table, 'cid', route()))).toEqual([{ error: 'TRANSFER_EXPIRED' }])
    // A new start of the same gateway is another instance, and the dead one's connSeq fences nothing.
    const restarted = route({ transferBootId: 12, connSeq: 3 })
    expect(bench.apply(register(table, 'ann', restarted))).toEqual([{ replaced: [] }])
    expect(routesOf(bench)).toEqual([elsewhere, restarted])
  })
})
