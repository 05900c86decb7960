import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../base/bytes.ts'
import type { PayloadOf } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import { QuietWork } from './quiet-work.ts'
import { type ArrivalPorts, SlotArrival } from './slot-arrival.ts'
import { SlotCleaner } from './slot-cleaner.ts'

const slot = 7
const session = 'p2p/a/b'
const latest = 12
const body = Buffer.from('text')

/** One router with a slot on its way in or out: nothing is logged, and nothing answered, before the test says so. */
class Stage {
  nowMs = 1_000
  readonly asked: Packet<'SLOT_READ'>[] = []
  readonly logged: ((result: unknown) => void)[] = []
  readonly ports: ArrivalPorts
  #sequence = 0

  constructor() {
    const env = {
      bootId: 1,
      nowMs: () => this.nowMs,
      table: () => undefined,
      send: (_: string, sent: Packet<'SLOT_READ'>) => this.asked.push(sent) > 0,
      log: { info: () => {} }
    }
    const keys = Array.from({ length: 1_200 }, (_, i) => `0007/dedup/${i}`)
    const ports = {
      parts: {
        env,
        hints: { endpoint: () => 'router/s1/1', failed: () => {} },
        rows: {},
        replica: {
          readRows: (_: unknown, found: (page: unknown) => void) =>
            found({ rows: keys.map(key => [key, Buffer.alloc(0)]), more: false })
        },
        machine: {
          sessions: { get: () => ({ latest: 0 }) },
          channels: { waitingSlots: () => new Set() }
        }
      },
      routes: { route: () => ({ slot, localMembers: 0, targetSets: [] }) },
      proposals: {
        open: () => new ByteWriter(64),
        own: (done: (result: unknown) => void) => this.logged.push(done)
      },
      quiet: new QuietWork(),
      nextSequence: () => ++this.#sequence,
      maySeal: () => true,
      turn: () => {}
    }
    this.ports = ports as unknown as ArrivalPorts
  }

  /** What was asked last is answered. */
  answer(arrival: SlotArrival, given: Partial<PayloadOf<'SLOT_READ_OK'>>): void {
    const { sequence } = this.asked.at(-1)!
    const none = { sealed: false, next: '', sessions: [], messages: [], rows: [] }
    arrival.onAnswer(
      'router/s1/1',
      packet('SLOT_READ_OK', { ...none, ...given }, { bootId: 1, sequence })
    )
  }

  /** All that was proposed is in the log. */
  log(): void {
    for (const done of this.logged.splice(0)) done({ done: true })
  }

  get parts(): string[] {
    return this.asked.map(({ payload }) => payload.part)
  }
}

const pageOf = (msgid: number) => ({
  messages: [
    {
      session,
      message: { msgid, from: 'a', deviceId: 'd', clientMsgId: 1, type: 1, atMs: 1, body }
    }
  ]
})

describe('copying a slot', () => {
  it('rests between pages as long as the slot is served elsewhere', () => {
    const stage = new Stage()
    const arrival = new SlotArrival({ slot, move: 3 }, { setId: 's1', lost: false }, stage.ports)
    arrival.tick()
    stage.answer(arrival, { sessions: [{ session, msgid: latest }] })
    expect(stage.parts).toEqual(['sessions', 'messages'])
    stage.nowMs += 20
    stage.answer(arrival, pageOf(1))
    arrival.tick()
    expect(stage.parts, 'nothing is asked for before the page is logged').toHaveLength(2)
    stage.log()
    stage.nowMs += 59
    arrival.tick()
    expect(stage.parts, 'nor before the rest is over').toHaveLength(2)
    stage.nowMs += 1
    arrival.tick()
    expect(stage.parts).toEqual(['sessions', 'messages', 'messages'])
  })

  it('shares its turns with the other slots that come in', () => {
    const stage = new Stage()
    const source = { setId: 's1', lost: false }
    const arrivals = [1, 2].map(move => new SlotArrival({ slot, move }, source, stage.ports))
    for (const arrival of arrivals) {
      arrival.tick()
      stage.answer(arrival, { sessions: [{ session, msgid: latest }] })
    }
    expect(stage.parts.filter(part => part === 'messages')).toHaveLength(1)
  })

  it.each([
    ['behind the seal', false],
    ['from a lost set', true]
  ])('does not rest %s', (_when, lost) => {
    const stage = new Stage()
    const arrival = new SlotArrival({ slot, move: 3 }, { setId: 's1', lost }, stage.ports)
    arrival.tick()
    stage.answer(arrival, {})
    if (!lost) {
      expect(stage.parts).toEqual(['sessions', 'seal'])
      stage.answer(arrival, { sealed: true })
      // Asked for beside the sessions, and of no interest here.
      expect(stage.asked.pop()!.payload.part).toBe('rows')
    } else stage.log()
    arrival.tick()
    stage.answer(arrival, { sealed: true, sessions: [{ session, msgid: latest }] })
    for (let msgid = 1; msgid <= 4; msgid++) {
      expect(stage.parts.at(-1)).toBe('messages')
      const { ranges } = stage.asked.at(-1)!.payload
      expect(ranges[0]!.from).toBe(msgid)
      stage.nowMs += 20
      stage.answer(arrival, pageOf(msgid))
    }
  })
})

describe('deleting what a slot left behind', () => {
  it('rests between entries', () => {
    const stage = new Stage()
    const cleaner = new SlotCleaner(slot, 4, stage.ports)
    cleaner.tick()
    cleaner.tick()
    expect(stage.logged).toHaveLength(1)
    stage.nowMs += 10
    stage.log()
    stage.nowMs += 29
    cleaner.tick()
    expect(stage.logged).toHaveLength(0)
    stage.nowMs += 1
    cleaner.tick()
    expect(stage.logged).toHaveLength(1)
  })
})
