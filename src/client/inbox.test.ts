import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { breakMessage, eraMessages } from '../protocol/eras.ts'
import type { Message, Page } from '../protocol/kinds.ts'
import { type Deliver, Inbox } from './inbox.ts'

const message = (msgid: number): Message => ({
  msgid,
  from: 'a',
  deviceId: 'd',
  clientMsgId: msgid,
  type: 0,
  atMs: 0,
  body: Buffer.alloc(0)
})

/** Messages `from` … `to` of a session whose timeline is kept from `first` on. */
const page = (session: string, from: number, to: number, first = 1): Page => ({
  session,
  first,
  latest: to,
  messages: Array.from({ length: Math.max(to - from + 1, 0) }, (_, i) => message(from + i))
})

class Listener {
  readonly got = new Map<string, number[]>()
  outcome: () => ReturnType<Deliver> = () => 'done'

  readonly deliver: Deliver = (session, { msgid }) => {
    const outcome = this.outcome()
    if (outcome === 'failed') return outcome
    const got = this.got.get(session) ?? []
    got.push(msgid)
    this.got.set(session, got)
    return outcome
  }

  of(session: string): number[] {
    return this.got.get(session) ?? []
  }
}

const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1)

describe('an inbox', () => {
  it('delivers in order whatever the order of arrival, and reports the gap meanwhile', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver)
    inbox.accept(page('s', 3, 4))
    expect(listener.of('s')).toEqual([])
    expect(inbox.gapCursors(10)).toEqual([{ session: 's', msgid: 0 }])
    inbox.accept(page('s', 1, 3))
    expect(listener.of('s')).toEqual([1, 2, 3, 4])
    expect(inbox.hasGaps).toBe(false)
  })

  it('tells whether anything was new, and kept', () => {
    const listener = new Listener()
    listener.outcome = () => 'pending'
    const inbox = new Inbox(listener.deliver, [], { aheadPerSession: 3, ahead: 3 })
    expect(inbox.accept(page('s', 1, 2))).toBe(true)
    expect(inbox.accept(page('s', 1, 2))).toBe(false)
    expect(inbox.accept(page('s', 1, 3))).toBe(true)
    expect(inbox.accept(page('s', 1, 9))).toBe(false)
    inbox.settled('s', true)
    expect(inbox.accept(page('s', 1, 1))).toBe(false)
    expect(inbox.accept(page('t', 1, 0, 7))).toBe(true)
  })

  it('counts how often it ran dry of a session that has more', () => {
    const listener = new Listener()
    listener.outcome = () => 'pending'
    const inbox = new Inbox(listener.deliver)
    inbox.accept({ ...page('s', 1, 2), latest: 3 })
    inbox.settled('s', true)
    expect(inbox.ranDry).toBe(0)
    inbox.settled('s', true)
    expect(inbox.ranDry).toBe(1)
    inbox.accept(page('s', 3, 3))
    inbox.settled('s', true)
    expect(inbox.ranDry).toBe(1)
  })

  it('goes on from its cursors', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: 5 }])
    inbox.accept(page('s', 4, 7))
    expect(listener.of('s')).toEqual([6, 7])
    expect(inbox.takeChanged()).toEqual([{ session: 's', msgid: 7 }])
    expect(inbox.takeChanged()).toEqual([])
  })

  it('does not wait for what is kept nowhere any more', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: 2 }])
    inbox.accept(page('s', 12, 12, 10))
    expect(inbox.hasGaps).toBe(true)
    inbox.accept(page('s', 10, 12, 10))
    expect(listener.of('s')).toEqual([10, 11, 12])
    inbox.accept(page('s', 30, 29, 30))
    expect(inbox.cursor('s')).toBe(29)
  })

  it('moves a cursor only when the listener is done', () => {
    const listener = new Listener()
    listener.outcome = () => 'pending'
    const inbox = new Inbox(listener.deliver)
    inbox.accept(page('s', 1, 2))
    inbox.accept(page('s', 1, 2))
    expect(listener.of('s')).toEqual([1])
    expect(inbox.takeChanged()).toEqual([])
    inbox.settled('s', true)
    expect(inbox.cursor('s')).toBe(1)
    expect(listener.of('s')).toEqual([1, 2])
    inbox.settled('s', true)
    inbox.settled('s', true)
    expect(inbox.cursor('s')).toBe(2)
  })

  it('offers again what the listener has failed on, and holds only that session', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver)
    listener.outcome = () => 'failed'
    inbox.accept(page('s', 1, 3))
    listener.outcome = () => 'done'
    inbox.accept(page('s', 1, 4))
    inbox.accept(page('other', 1, 1))
    expect(listener.of('s')).toEqual([])
    expect(listener.of('other')).toEqual([1])
    expect(inbox.hasFailed).toBe(true)
    inbox.retry()
    expect(listener.of('s')).toEqual([1, 2, 3, 4])
    expect(inbox.hasFailed).toBe(false)
  })

  it('acknowledges what moved, and again what came again', () => {
    const inbox = new Inbox(new Listener().deliver)
    inbox.accept(page('s', 1, 2))
    expect(inbox.takeAcks(10)).toEqual([{ session: 's', msgid: 2 }])
    expect(inbox.takeAcks(10)).toEqual([])
    inbox.accept(page('s', 1, 2))
    expect(inbox.takeAcks(10)).toEqual([{ session: 's', msgid: 2 }])
  })

  it('spends no room on what it had before', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [], { aheadPerSession: 3, ahead: 3 })
    inbox.accept(page('s', 1, 1))
    for (let i = 0; i < 10; i++) inbox.accept(page('s', 1, 1))
    inbox.accept(page('s', 3, 5))
    inbox.accept(page('s', 2, 2))
    expect(listener.of('s')).toEqual(upTo(5))
  })

  it('keeps a bounded number of early messages and fetches the rest again', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [], { aheadPerSession: 5, ahead: 7 })
    inbox.accept(page('s', 2, 100))
    inbox.accept(page('t', 2, 100))
    inbox.accept(page('s', 1, 1))
    expect(listener.of('s')).toEqual(upTo(6))
    expect(inbox.gapCursors(10)).toEqual([
      { session: 's', msgid: 6 },
      { session: 't', msgid: 0 }
    ])
    inbox.accept(page('s', 7, 100))
    inbox.accept(page('t', 1, 100))
    expect(listener.of('s')).toEqual(upTo(100))
    expect(listener.of('t')).toEqual(upTo(100))
  })
})

describe('any interleaving of lost, doubled and reordered pushes with catch-up pages', () => {
  const sessions = ['s', 't', 'u']
  const step = fc.record({
    session: fc.constantFrom(...sessions),
    from: fc.integer({ min: 1, max: 40 }),
    length: fc.integer({ min: 1, max: 12 }),
    /** What the listener does with each message. */
    outcome: fc.constantFrom('done' as const, 'pending' as const, 'failed' as const),
    settle: fc.constantFrom(undefined, ...sessions),
    settledWell: fc.boolean(),
    retry: fc.boolean()
  })

  it('is delivered exactly once, in order, without a gap', () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 80 }),
        fc.record({ aheadPerSession: fc.integer({ min: 1, max: 20 }), ahead: fc.nat(40) }),
        (steps, bounds) => {
          const dealtWith = new Map<string, number[]>(sessions.map(one => [one, []]))
          const current = new Map<string, number>()
          let outcome: 'done' | 'pending' | 'failed' = 'done'
          const inbox = new Inbox(
            (session, { msgid }) => {
              expect(current.has(session)).toBe(false)
              if (outcome === 'done') dealtWith.get(session)!.push(msgid)
              if (outcome === 'pending') current.set(session, msgid)
              return outcome
            },
            [],
            bounds
          )
          const settle = (session: string, well: boolean): void => {
            const msgid = current.get(session)
            if (msgid === undefined) return
            current.delete(session)
            if (well) dealtWith.get(session)!.push(msgid)
            inbox.settled(session, well)
          }
          for (const { session, from, length, ...rest } of steps) {
            outcome = rest.outcome
            inbox.accept(page(session, from, from + length - 1))
            if (rest.settle) settle(rest.settle, rest.settledWell)
            if (rest.retry) inbox.retry()
            for (const one of sessions) {
              const got = dealtWith.get(one)!
              expect(got).toEqual(upTo(got.length))
              expect(inbox.cursor(one)).toBe(got.length)
            }
          }
          outcome = 'done'
          for (const one of sessions) settle(one, true)
          inbox.retry()
          // The heartbeat asks by cursor for what is missing, until nothing is.
          for (const one of sessions) inbox.accept(page(one, inbox.cursor(one) + 1, 60))
          for (const one of sessions) expect(dealtWith.get(one)).toEqual(upTo(60))
          expect(inbox.hasGaps).toBe(false)
        }
      )
    )
  })
})

describe('an inbox, where the set of a session was lost', () => {
  const broken = (after: number, ...next: number[]): Page => ({
    session: 's',
    first: 1,
    latest: eraMessages + 3,
    messages: [breakMessage(1, after, 0), ...next.map(n => message(eraMessages + n))]
  })

  it('goes on behind the break, also from messages that nobody else has any more', () => {
    for (const cursor of [4, 5, 9]) {
      const listener = new Listener()
      const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: cursor }])
      inbox.accept(broken(4, 1, 2))
      expect(listener.of('s')).toEqual([0, 1, 2].map(n => eraMessages + n))
      expect(inbox.hasGaps).toBe(false)
    }
  })

  it('asks first for what it lacks before the break', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: 2 }])
    inbox.accept(broken(4, 1))
    expect(listener.of('s')).toEqual([])
    expect(inbox.gapCursors(10)).toEqual([{ session: 's', msgid: 2 }])
    inbox.accept(page('s', 3, 4))
    expect(listener.of('s')).toEqual([3, 4, eraMessages, eraMessages + 1])
  })

  it('waits for the break when later messages come first, and while the listener has it', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: 4 }])
    inbox.accept({ ...broken(4), messages: [message(eraMessages + 1)] })
    expect(inbox.hasGaps).toBe(true)
    listener.outcome = () => 'pending'
    inbox.accept(broken(4))
    expect(inbox.cursor('s')).toBe(4)
    listener.outcome = () => 'done'
    inbox.settled('s', true)
    expect(inbox.cursor('s')).toBe(eraMessages + 1)
  })

  it('takes no message of a person for a break', () => {
    const listener = new Listener()
    const inbox = new Inbox(listener.deliver, [{ session: 's', msgid: 4 }])
    const forged = { ...breakMessage(1, 4, 0), from: 'mallory' }
    inbox.accept({ ...broken(4), messages: [forged] })
    expect(listener.of('s')).toEqual([])
  })
})
