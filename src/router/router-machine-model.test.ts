import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import {
  append,
  type CommandWriter,
  channelAcked,
  entryOf,
  expire,
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
import { oneSetTable } from '../../test/support/router-table.ts'
import type { DeviceClass } from '../protocol/kinds.ts'
import { p2pSession } from '../protocol/session.ts'
import { dedupWindow } from './dedup.ts'
import { type CacheSizes, RouterMachine } from './router-machine.ts'
import { decodeMessage, getMessage } from './timelines.ts'

const table = oneSetTable()
const tiny: CacheSizes = { sessions: 1, dedup: 1, presence: 1, users: 1 }
const machineOf = (sizes?: CacheSizes): RouterMachine =>
  new RouterMachine({ appended() {}, queued() {}, replaced() {} }, sizes)

interface Send {
  readonly from: string
  readonly to: string
  readonly device: string
  readonly id: number
  readonly body: string
}

const users = ['ann', 'bob', 'cid']
const send: fc.Arbitrary<Send> = fc
  .record({
    pair: fc.constantFrom<[string, string]>(['ann', 'bob'], ['bob', 'ann'], ['ann', 'cid']),
    device: fc.constantFrom('phone', 'web'),
    id: fc.integer({ min: 0, max: 160 }),
    body: fc.constantFrom('x', 'y')
  })
  .map(({ pair: [from, to], device, id, body }) => ({ from, to, device, id, body }))

/** What the appends must answer, written as plainly as possible. */
class NaiveRouter {
  readonly timelines = new Map<string, Send[]>()
  readonly accepted = new Map<string, { id: number; msgid: number }[]>()

  answer(one: Send): unknown {
    const session = p2pSession(one.from, one.to)
    const timeline = this.timelines.get(session) ?? []
    const key = `${session} ${one.from} ${one.device}`
    const window = (this.accepted.get(key) ?? []).sort((a, b) => b.id - a.id).slice(0, dedupWindow)
    const before = window.find(({ id }) => id === one.id)
    if (before !== undefined) {
      if (timeline[before.msgid - 1]!.body !== one.body) return { error: 'MESSAGE_ID_REUSED' }
      return { msgid: before.msgid, duplicate: true }
    }
    if (window.length === dedupWindow && one.id < window.at(-1)!.id) {
      return { error: 'DUPLICATE_EXPIRED' }
    }
    this.timelines.set(session, [...timeline, one])
    const msgid = timeline.length + 1
    this.accepted.set(key, [...window, { id: one.id, msgid }])
    return { msgid, duplicate: false }
  }
}

const anyCommand: fc.Arbitrary<CommandWriter> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(send, fc.subarray(['s2', 's3'])).map(([one, targetSets]) =>
      append(table, {
        from: one.from,
        to: one.to,
        deviceId: one.device,
        clientMsgId: one.id,
        body: one.body,
        targetSets
      })
    )
  },
  {
    weight: 3,
    arbitrary: fc
      .record({
        uid: fc.constantFrom(...users),
        deviceId: fc.constantFrom('d1', 'd2', 'd3'),
        class: fc.constantFrom<DeviceClass>('mobile', 'desktop', 'web'),
        transferBootId: fc.integer({ min: 1, max: 3 }),
        connId: fc.integer({ min: 1, max: 3 }),
        connSeq: fc.integer({ min: 1, max: 3 }),
        leave: fc.boolean()
      })
      .map(({ uid, leave, ...fields }) =>
        (leave ? unregister : register)(table, uid, route(fields))
      )
  },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 3 }).map(bootId => expire('t1', bootId)) },
  {
    weight: 3,
    arbitrary: fc
      .record({
        source: fc.constantFrom('s2', 's3'),
        first: fc.integer({ min: 1, max: 8 }),
        msgids: fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 })
      })
      .map(({ source, first, msgids }) =>
        importItems(
          table,
          source,
          first,
          msgids.map(msgid => ({ a: 'yan', b: 'zoe', msgid }))
        )
      )
  },
  { weight: 1, arbitrary: fc.constant(fill(table, 'yan', 'zoe', [1, 2, 3])) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom('s2', 's3'), fc.integer({ min: 1, max: 30 }))
      .map(([set, position]) => channelAcked(set, position))
  },
  { weight: 1, arbitrary: fc.constant(raiseSequence(table, 'ids', 7)) }
)

const log = fc.array(fc.array(anyCommand, { minLength: 1, maxLength: 12 }), { maxLength: 25 })

/** All slots, or all but the home slot of `yan` and `zoe`, so that imports have a copy to extend. */
function ownership(all: boolean): Buffer {
  const copy = homeSlot(table, 'yan', 'zoe')
  return entryOf(all ? ownAll : ownRange(0, copy), ownRange(copy + 1, 63 - copy))
}

function runAll(machine: RouterMachine, rows: MapRows, entries: readonly Buffer[]): unknown[][] {
  return entries.map((data, i) => machine.apply(i + 1, data, rows))
}

describe('router machine against a model', () => {
  it('answers appends as the model does, and its timelines are contiguous', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(send, { minLength: 1, maxLength: 40 }), { maxLength: 12 }),
        batches => {
          const machine = machineOf(tiny)
          const rows = new MapRows()
          const naive = new NaiveRouter()
          machine.apply(1, entryOf(ownAll), rows)
          for (const batch of batches) {
            const commands = batch.map(one =>
              append(table, {
                from: one.from,
                to: one.to,
                deviceId: one.device,
                clientMsgId: one.id,
                body: one.body
              })
            )
            const results = machine.apply(2, entryOf(...commands), rows)
            const expected = batch.map(one => naive.answer(one))
            expect(results).toMatchObject(expected as object[])
          }
          for (const [session, sends] of naive.timelines) {
            const slot = homeSlot(table, sends[0]!.from, sends[0]!.to)
            expect(machine.sessions.get(rows, slot, session).latest).toBe(sends.length)
            for (const [i, one] of sends.entries()) {
              const kept = decodeMessage(getMessage(rows, slot, session, i + 1)!)
              expect({ from: kept.from, id: kept.clientMsgId, body: `${kept.body}` }).toEqual({
                from: one.from,
                id: one.id,
                body: one.body
              })
            }
          }
        }
      ),
      { numRuns: 60 }
    )
  })

  it('same entries, same rows and results: whatever the caches hold, wherever it restarts', () => {
    fc.assert(
      fc.property(log, fc.nat(), fc.boolean(), (batches, cut, home) => {
        const entries = [ownership(home), ...batches.map(batch => entryOf(...batch))]
        const wide = new MapRows()
        const results = runAll(machineOf(), wide, entries)
        const narrow = new MapRows()
        expect(runAll(machineOf(tiny), narrow, entries)).toEqual(results)
        expect(narrow.dump()).toEqual(wide.dump())

        const at = cut % (entries.length + 1)
        const restored = new MapRows()
        runAll(machineOf(), restored, entries.slice(0, at))
        const copy = restored.copy()
        const machine = machineOf()
        const rest = entries.slice(at).map((data, i) => machine.apply(at + i + 1, data, copy))
        expect(rest).toEqual(results.slice(at))
        expect(copy.dump()).toEqual(wide.dump())
      }),
      { numRuns: 60 }
    )
  })

  it('imports keep a copy contiguous and its position monotonic', () => {
    const imports = fc.array(
      fc.record({
        first: fc.integer({ min: 1, max: 12 }),
        msgids: fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 5 })
      }),
      { maxLength: 30 }
    )
    fc.assert(
      fc.property(imports, batches => {
        const machine = machineOf(tiny)
        const rows = new MapRows()
        const slot = homeSlot(table, 'yan', 'zoe')
        const session = p2pSession('yan', 'zoe')
        let applied = 0
        let latest = 0
        let wanted = 0
        for (const { first, msgids } of batches) {
          const items = msgids.map(msgid => ({ a: 'yan', b: 'zoe', msgid }))
          for (const [i, msgid] of msgids.entries()) {
            if (first + i !== applied + 1) continue
            applied++
            if (msgid === latest + 1) latest++
            else if (msgid > latest) wanted = Math.max(wanted, msgid)
          }
          if (latest >= wanted) wanted = 0
          const [result] = machine.apply(1, entryOf(importItems(table, 's2', first, items)), rows)
          expect(result).toEqual({ applied })
          expect(machine.sessions.get(rows, slot, session).latest).toBe(latest)
          expect(machine.holes.all(rows).get(session)?.wanted ?? 0).toBe(wanted)
        }
        for (let msgid = 1; msgid <= latest; msgid++) {
          expect(getMessage(rows, slot, session, msgid)).toBeDefined()
        }
        expect(getMessage(rows, slot, session, latest + 1)).toBeUndefined()
      }),
      { numRuns: 100 }
    )
  })
})
