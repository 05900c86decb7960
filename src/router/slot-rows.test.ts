import { describe, expect, it } from 'vitest'
import { MapRows } from '../../test/support/map-rows.ts'
import {
  type CommandWriter,
  entryOf,
  homeSlot,
  importItems
} from '../../test/support/router-entries.ts'
import { oneSetTable } from '../../test/support/router-table.ts'
import type { Message } from '../protocol/kinds.ts'
import { p2pSession } from '../protocol/session.ts'
import { writeImportMessages, writeImportSessions, writeSlotStep } from './move-commands.ts'
import { RouterMachine } from './router-machine.ts'
import { timelineKey } from './timelines.ts'

/** Rows that note which of them are looked at. */
class NotedRows extends MapRows {
  readonly looked: string[] = []

  override get(key: string): Buffer | undefined {
    this.looked.push(key)
    return super.get(key)
  }
}

const session = p2pSession('ann', 'bob')
const slot = homeSlot(oneSetTable(), 'ann', 'bob')
const head = { slot, move: 5 }

const message = (msgid: number): Message => ({
  msgid,
  from: 'ann',
  deviceId: 'd1',
  clientMsgId: msgid,
  type: 0,
  atMs: 1,
  body: Buffer.from('hello')
})

const messages =
  (first: number, count: number): CommandWriter =>
  writer => {
    const all = Array.from({ length: count }, (_, i) => {
      return { slot, session, message: message(first + i) }
    })
    writeImportMessages(writer, head, all)
  }

const sessions =
  (latest: number): CommandWriter =>
  writer =>
    writeImportSessions(writer, head, [{ slot, session, latest }])

/** A group into which the slot of ann and bob is on its way. */
function arriving() {
  const rows = new NotedRows()
  const appended: number[] = []
  const machine = new RouterMachine({
    appended: (_, msgid) => appended.push(msgid),
    queued() {},
    replaced() {}
  })
  let index = 0
  const apply = (...commands: CommandWriter[]): unknown[] => {
    return machine.apply(++index, entryOf(...commands), rows)
  }
  apply(writer => writeSlotStep(writer, { step: 'import', slot, move: 5, epoch: 0 }))
  const lookedFor = (): number => {
    const begin = timelineKey(slot, session, 0).slice(0, -4)
    return rows.looked.filter(key => key.startsWith(begin)).length
  }
  const latest = (): number => machine.sessions.get(rows, slot, session).latest
  const holes = (): string[] => [...machine.holes.all(rows).keys()]
  return { rows, appended, apply, lookedFor, latest, holes }
}

describe('a session that comes with its slot', () => {
  it('is there at once, however many messages it has', () => {
    const { rows, appended, apply, lookedFor, latest } = arriving()
    apply(messages(1, 1_000))
    rows.looked.length = 0
    expect(apply(sessions(1_000))).toEqual([{ done: true }])
    expect(latest()).toBe(1_000)
    expect(lookedFor()).toBe(1)
    expect(appended).toEqual([])
  })

  it('shows users who had a part of it here the rest, in order', () => {
    const { appended, apply, latest } = arriving()
    apply(messages(1, 3), sessions(3))
    apply(messages(4, 5), sessions(8))
    expect(latest()).toBe(8)
    expect(appended).toEqual([4, 5, 6, 7, 8])
  })

  it('is never there without its newest message', () => {
    const { apply } = arriving()
    expect(() => apply(messages(1, 3), sessions(4))).toThrow('messages come before their session')
  })

  it('leaves no hole behind that only the lost set could have filled', () => {
    const { apply, holes } = arriving()
    const step = (step: 'imported' | 'take', epoch: number): CommandWriter => {
      return writer => writeSlotStep(writer, { step, slot, move: 5, epoch })
    }
    apply(importItems(oneSetTable(), 's9', 1, [{ a: 'ann', b: 'bob', msgid: 4 }]))
    apply(messages(1, 2), sessions(2), step('imported', 0))
    expect(holes()).toEqual([session])
    expect(apply(step('take', 6))).toEqual([{ done: true }])
    expect(holes()).toEqual([])
  })
})
