import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import {
  append,
  type CommandWriter,
  channelAcked,
  entryOf,
  entryTelling,
  entryWallMs,
  fill,
  homeSlot,
  importItems,
  ownAll,
  ownRange,
  raiseSequence,
  register,
  route,
  unregister
} from '../../test/support/router-entries.ts'
import { oneSetTable, twoSetTable, uidsOf } from '../../test/support/router-table.ts'
import { p2pSession } from '../protocol/session.ts'
import { slotOfKey } from '../table/slot-of.ts'
import type { SlotRange } from '../table/table.ts'
import { dedupWindow } from './dedup.ts'
import { RouterMachine } from './router-machine.ts'
import { decodeMessage, getMessage } from './timelines.ts'

class Bench {
  readonly rows = new MapRows()
  readonly seen: string[] = []
  readonly queued: string[] = []
  readonly machine = new RouterMachine({
    appended: (row, msgid) => this.seen.push(`${row.session} ${msgid}`),
    queued: (targetSet, position) => this.queued.push(`${targetSet} ${position}`),
    replaced() {}
  })
  #index = 0

  apply(...commands: CommandWriter[]): unknown[] {
    return this.machine.apply(++this.#index, entryOf(...commands), this.rows)
  }

  tell(tenants: readonly SlotRange[], ...commands: CommandWriter[]): void {
    this.machine.apply(++this.#index, entryTelling(tenants, ...commands), this.rows)
  }

  body(slot: number, session: string, msgid: number): string | undefined {
    const row = getMessage(this.rows, slot, session, msgid)
    return row && decodeMessage(row).body.toString()
  }
}

const table = oneSetTable()
const session = p2pSession('ann', 'bob')
const slot = homeSlot(table, 'ann', 'bob')

function home(): Bench {
  const bench = new Bench()
  bench.apply(ownAll)
  return bench
}

describe('append', () => {
  it('assigns 1, 2, 3 … within and across entries and keeps the messages', () => {
    const bench = home()
    const results = bench.apply(
      append(table, { from: 'ann', to: 'bob', clientMsgId: 1 }),
      append(table, { from: 'bob', to: 'ann', clientMsgId: 1 })
    )
    expect(results).toEqual([
      { msgid: 1, duplicate: false, atMs: entryWallMs },
      { msgid: 2, duplicate: false, atMs: entryWallMs }
    ])
    expect(bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 2 }))).toEqual([
      { msgid: 3, duplicate: false, atMs: entryWallMs }
    ])
    expect([1, 2, 3].map(msgid => bench.body(slot, session, msgid))).toEqual([
      'ann 1',
      'bob 1',
      'ann 2'
    ])
    expect(bench.seen).toEqual([`${session} 1`, `${session} 2`, `${session} 3`])
    expect(decodeMessage(getMessage(bench.rows, slot, session, 3)!)).toMatchObject({
      msgid: 3,
      from: 'ann',
      deviceId: 'phone',
      clientMsgId: 2,
      type: 0,
      atMs: entryWallMs
    })
  })

  it('answers a repeated id with the first msgid, also after the caches are lost', () => {
    const bench = home()
    const one = append(table, { from: 'ann', to: 'bob', clientMsgId: 7 })
    bench.apply(one)
    bench.machine.reset()
    expect(bench.apply(one, one)).toEqual([
      { msgid: 1, duplicate: true, atMs: entryWallMs },
      { msgid: 1, duplicate: true, atMs: entryWallMs }
    ])
    expect(bench.seen).toHaveLength(1)
  })

  it('tells devices, users and sessions apart', () => {
    const bench = home()
    const results = bench.apply(
      append(table, { from: 'ann', to: 'bob', clientMsgId: 7 }),
      append(table, { from: 'ann', to: 'bob', clientMsgId: 7, deviceId: 'laptop' }),
      append(table, { from: 'bob', to: 'ann', clientMsgId: 7 }),
      append(table, { from: 'ann', to: 'cid', clientMsgId: 7 })
    )
    expect(results.map(result => (result as { msgid: number }).msgid)).toEqual([1, 2, 3, 1])
  })

  it('refuses another content under a used id', () => {
    const bench = home()
    bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 1, body: 'x' }))
    const results = bench.apply(
      append(table, { from: 'ann', to: 'bob', clientMsgId: 1, body: 'y' }),
      append(table, { from: 'ann', to: 'bob', clientMsgId: 1, body: 'x', type: 1 })
    )
    expect(results).toEqual([{ error: 'MESSAGE_ID_REUSED' }, { error: 'MESSAGE_ID_REUSED' }])
  })

  it('takes late ids inside the window and refuses those below a full one', () => {
    const bench = home()
    for (let id = 1; id <= dedupWindow; id++) {
      bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: id * 10 }))
    }
    expect(bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 5 }))).toEqual([
      { error: 'DUPLICATE_EXPIRED' }
    ])
    expect(bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 15 }))).toEqual([
      { msgid: dedupWindow + 1, duplicate: false, atMs: entryWallMs }
    ])
    expect(bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 10 }))).toEqual([
      { error: 'DUPLICATE_EXPIRED' }
    ])
    bench.machine.reset()
    expect(bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 15 }))).toMatchObject([
      { msgid: dedupWindow + 1, duplicate: true }
    ])
  })

  it('puts a row that several commands of an entry changed only once', () => {
    const bench = home()
    const many = Array.from({ length: 20 }, (_, i) =>
      append(table, { from: 'ann', to: 'bob', clientMsgId: i + 1 })
    )
    bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 100 }))
    bench.rows.puts = 0
    bench.apply(...many)
    expect(bench.rows.puts).toBe(20 + 2)
  })

  it('indexes a session once for each member of this set', () => {
    const bench = home()
    bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 1, localMembers: 1 }))
    bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 2, localMembers: 3 }))
    bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 3, localMembers: 3 }))
    const sessionsOf = (uid: string): string[] => {
      const found: string[] = []
      bench.machine.users.every(bench.rows, table.slotOf(uid), uid, one => {
        found.push(one)
        return true
      })
      return found
    }
    expect(sessionsOf('ann')).toEqual([session])
    expect(sessionsOf('bob')).toEqual([session])
    expect(bench.machine.counters.get(bench.rows)).toMatchObject({ users: 2, sessions: 1 })
  })

  it('indexes a conversation with oneself once, and more sessions than fit one page', () => {
    const bench = home()
    bench.apply(append(table, { from: 'ann', to: 'ann', clientMsgId: 1 }))
    for (let i = 0; i < 100; i++) {
      bench.apply(append(table, { from: 'ann', to: `peer${i}`, clientMsgId: 1 }))
    }
    bench.machine.reset()
    const found: string[] = []
    bench.machine.users.every(bench.rows, table.slotOf('ann'), 'ann', one => {
      found.push(one)
      return true
    })
    expect(found).toHaveLength(101)
    expect(new Set(found).size).toBe(101)
    expect(bench.machine.counters.get(bench.rows)).toMatchObject({ users: 101, sessions: 101 })
  })
})

describe('tenants', () => {
  const tenants = [{ prefix: 'acme-', first: 60, count: 4 }]
  const space = { slotCount: 64, tenants }
  const sessionsAt = (bench: Bench, at: number, uid: string): string[] => {
    const found: string[] = []
    bench.machine.users.every(bench.rows, at, uid, one => {
      found.push(one)
      return true
    })
    return found
  }

  it('have their users in their own slots, from the first entry that names them', () => {
    const bench = new Bench()
    bench.tell(tenants, ownAll)
    bench.apply(append(table, { from: 'acme-ann', to: 'bob', clientMsgId: 1, localMembers: 3 }))
    const own = slotOfKey('acme-ann', space)
    expect(own).toBeGreaterThanOrEqual(60)
    const talk = [p2pSession('acme-ann', 'bob')]
    bench.machine.reset()
    for (const uid of ['acme-ann', 'bob']) {
      expect(sessionsAt(bench, slotOfKey(uid, space), uid)).toEqual(talk)
    }
    bench.machine.reset()
    bench.apply(append(table, { from: 'acme-ann', to: 'zoe', clientMsgId: 1, localMembers: 1 }))
    bench.machine.reset()
    expect(sessionsAt(bench, own, 'acme-ann')).toHaveLength(2)
  })
})

describe('ownership at apply (E-5)', () => {
  it('executes only at the logged slot epoch and leaves no trace otherwise', () => {
    const bench = new Bench()
    bench.apply(ownRange(0, 64, 5))
    const before = bench.rows.dump()
    const at = (slotEpoch: number) =>
      bench.apply(append(table, { from: 'ann', to: 'bob', clientMsgId: 1, slotEpoch }))
    expect(at(4)).toEqual([{ error: 'STALE_SLOT' }])
    expect(at(6)).toEqual([{ error: 'ROUTER_BEHIND' }])
    expect(bench.rows.dump()).toEqual(before)
    expect(at(5)).toMatchObject([{ msgid: 1 }])
  })

  it('refuses every command of a slot that was never taken', () => {
    const bench = new Bench()
    const one = route()
    const results = bench.apply(
      append(table, { from: 'ann', to: 'bob', clientMsgId: 1 }),
      register(table, 'ann', one),
      unregister(table, 'ann', one),
      raiseSequence(table, 'ids', 10)
    )
    expect(results).toEqual(Array(4).fill({ error: 'MOVED' }))
    expect(bench.rows.dump()).toEqual([])
  })

  it('takes only slots without a row', () => {
    const bench = new Bench()
    expect(bench.apply(ownRange(0, 10, 1), ownRange(5, 10, 9))).toEqual([
      { taken: 10 },
      { taken: 5 }
    ])
    bench.machine.reset()
    const { ownership } = bench.machine
    expect(ownership.slotEpoch(bench.rows, 7)).toBe(1)
    expect(ownership.slotEpoch(bench.rows, 12)).toBe(9)
    expect(ownership.count(bench.rows, 'owned')).toBe(15)
    expect(ownership.state(bench.rows, 15)).toBe('none')
  })
})

describe('channels', () => {
  const two = twoSetTable()
  const [a1] = uidsOf(two, 's1', 1) as [string]
  const [b1, b2] = uidsOf(two, 's2', 2) as [string, string]

  it('gives each message one position per target set and trims what is acknowledged', () => {
    const bench = home()
    const to = (targetSets: string[], clientMsgId: number) =>
      append(table, { from: 'ann', to: 'bob', clientMsgId, targetSets, localMembers: 1 })
    bench.apply(to(['s2'], 1), to(['s2', 's3'], 2), to([], 3))
    bench.apply(to(['s2'], 4))
    expect(bench.queued).toEqual(['s2 1', 's2 2', 's3 1', 's2 3'])
    bench.machine.reset()
    const { channels } = bench.machine
    expect(channels.targetSets(bench.rows)).toEqual(['s2', 's3'])
    expect(channels.block(bench.rows, 's2', 1)).toEqual([
      { slot, session, msgid: 1 },
      { slot, session, msgid: 2 }
    ])
    expect(bench.apply(channelAcked('s2', 1))).toEqual([{ acked: 1 }])
    expect(channels.outbox(bench.rows, 's2')).toMatchObject({ last: 3, acked: 1, firstBlock: 1 })
    expect(bench.apply(channelAcked('s2', 2), channelAcked('s2', 1))).toEqual([
      { acked: 2 },
      { acked: 2 }
    ])
    expect(channels.outbox(bench.rows, 's2')).toMatchObject({ last: 3, acked: 2, firstBlock: 3 })
    expect(bench.apply(channelAcked('s2', 999))).toEqual([{ acked: 3 }])
    expect([...bench.rows.map.keys()].filter(key => key.includes('outbox-block/s2'))).toEqual([])
    bench.apply(to(['s2'], 5))
    expect(channels.block(bench.rows, 's2', 4)).toEqual([{ slot, session, msgid: 5 }])
  })

  it('imports each position exactly once and refuses a gap in positions', () => {
    const bench = new Bench()
    const items = [1, 2, 3].map(msgid => ({ a: a1, b: b1, msgid }))
    expect(bench.apply(importItems(two, 's1', 1, items))).toEqual([{ applied: 3 }])
    expect(bench.apply(importItems(two, 's1', 1, items))).toEqual([{ applied: 3 }])
    expect(bench.seen).toHaveLength(3)
    const next = { a: a1, b: b1, msgid: 5 }
    expect(bench.apply(importItems(two, 's1', 5, [next]))).toEqual([{ applied: 3 }])
    bench.machine.reset()
    const overlap = [3, 4].map(msgid => ({ a: a1, b: b1, msgid }))
    expect(bench.apply(importItems(two, 's1', 3, overlap))).toEqual([{ applied: 4 }])
    expect(
      bench.machine.sessions.get(bench.rows, homeSlot(two, a1, b1), p2pSession(a1, b1))
    ).toMatchObject({ latest: 4, first: 1 })
  })

  it('remembers a gap in msgids, lets the channel go on, and closes it by a fill', () => {
    const bench = new Bench()
    const other = { a: a1, b: b2, msgid: 1 }
    const pair = p2pSession(a1, b1)
    const copy = () => bench.machine.sessions.get(bench.rows, homeSlot(two, a1, b1), pair).latest
    expect(
      bench.apply(
        importItems(two, 's1', 1, [{ a: a1, b: b1, msgid: 1 }, { a: a1, b: b1, msgid: 4 }, other])
      )
    ).toEqual([{ applied: 3 }])
    expect(copy()).toBe(1)
    expect(bench.machine.holes.all(bench.rows).get(pair)).toMatchObject({ wanted: 4 })
    expect(bench.apply(fill(two, a1, b1, [2, 3]))).toEqual([{ latest: 3 }])
    expect(bench.machine.holes.all(bench.rows).has(pair)).toBe(true)
    bench.machine.reset()
    expect(bench.apply(fill(two, a1, b1, [3, 4, 5]))).toEqual([{ latest: 5 }])
    expect(bench.machine.holes.all(bench.rows).size).toBe(0)
    expect(bench.apply(importItems(two, 's1', 4, [{ a: a1, b: b1, msgid: 5 }]))).toEqual([
      { applied: 4 }
    ])
    expect(copy()).toBe(5)
  })

  it('never lets an import write to a timeline that is at home here', () => {
    const bench = home()
    bench.apply(append(two, { from: a1, to: b1, clientMsgId: 1 }))
    expect(bench.apply(importItems(two, 's9', 1, [{ a: a1, b: b1, msgid: 2 }]))).toEqual([
      { applied: 1 }
    ])
    expect(
      bench.machine.sessions.get(bench.rows, homeSlot(two, a1, b1), p2pSession(a1, b1)).latest
    ).toBe(1)
  })
})

describe('sequences', () => {
  it('gives every raise its own range', () => {
    const bench = home()
    const results = bench.apply(raiseSequence(table, 'x', 10), raiseSequence(table, 'x', 5))
    expect(results).toEqual([
      { first: 1, last: 10 },
      { first: 11, last: 15 }
    ])
    bench.machine.reset()
    expect(bench.apply(raiseSequence(table, 'x', 1), raiseSequence(table, 'y', 1))).toEqual([
      { first: 16, last: 16 },
      { first: 1, last: 1 }
    ])
  })
})

it('an entry of an unknown version or with an unknown command breaks an invariant', () => {
  const bench = home()
  const newer = entryOf(ownAll)
  newer[0] = 3
  expect(() => bench.machine.apply(9, newer, bench.rows)).toThrow('known version')
  const strange = entryOf(w => w.u8(200))
  expect(() => bench.machine.apply(9, strange, bench.rows)).toThrow('unknown command')
})
