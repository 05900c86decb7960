import { describe, expect, it } from 'vitest'
import { oneSetTable } from '../../../test/support/router-table.ts'
import { ByteWriter } from '../../base/bytes.ts'
import type { PayloadOf } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { QuietWork } from './quiet-work.ts'
import { type ArrivalPorts, SlotArrival } from './slot-arrival.ts'
import { SlotCleaner } from './slot-cleaner.ts'
import { SlotMover } from './slot-mover.ts'

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
  readonly outboxes: OutboxWatch
  /** Slots of which something waits in an outbox. */
  waiting = new Set<number>()
  looks = 0
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
          channels: {
            waitingSlots: () => {
              this.looks++
              return this.waiting
            }
          }
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
    this.outboxes = new OutboxWatch(this.ports.parts)
  }

  cleaner(of: number): SlotCleaner {
    return new SlotCleaner(of, 4, this.ports, this.outboxes)
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
    stage.answer(arrival, { sealed: lost })
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
      stage.answer(arrival, { sealed: true, ...pageOf(msgid) })
    }
  })

  it('believes nobody behind the seal who does not know of it', () => {
    const stage = new Stage()
    const arrival = new SlotArrival({ slot, move: 3 }, { setId: 's1', lost: false }, stage.ports)
    arrival.tick()
    stage.answer(arrival, {})
    stage.answer(arrival, { sealed: true })
    // Asked for beside the sessions, and of no interest here.
    expect(stage.asked.pop()!.payload.part).toBe('rows')
    // Somebody who led the old set before, and lacks what it took since.
    stage.answer(arrival, { sealed: false, sessions: [{ session, msgid: latest - 5 }] })
    expect(stage.parts.at(-1)).toBe('sessions')
    expect(stage.logged).toHaveLength(0)
    stage.nowMs += 30
    arrival.tick()
    expect(stage.parts.slice(-2)).toEqual(['sessions', 'sessions'])
    stage.answer(arrival, { sealed: true, sessions: [{ session, msgid: latest }] })
    expect(stage.asked.at(-1)!.payload.ranges[0]).toMatchObject({ to: latest })
  })
})

describe('deleting what a slot left behind', () => {
  it('rests between entries', () => {
    const stage = new Stage()
    const cleaner = stage.cleaner(slot)
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

  it('looks through the outboxes once for all slots that went, and not again too soon', () => {
    const stage = new Stage()
    stage.waiting = new Set([7, 8, 9])
    const cleaners = [7, 8, 9].map(of => stage.cleaner(of))
    const tickAll = (): void => {
      for (const cleaner of cleaners) cleaner.tick()
      stage.nowMs += 20
    }
    for (let ticks = 0; ticks < 5; ticks++) tickAll()
    expect(stage.looks).toBe(1)
    stage.waiting = new Set([8, 9])
    for (let ticks = 0; ticks < 5; ticks++) tickAll()
    expect(stage.looks).toBe(2)
    expect(stage.logged, 'what waits for nothing is deleted while others wait').toHaveLength(1)
  })

  it('looks anew once another slot went, of which something may have come in since', () => {
    const stage = new Stage()
    expect(stage.outboxes.drained([7])).toBe(true)
    stage.waiting = new Set([8])
    expect(stage.outboxes.drained([8]), 'what was seen holds for slots that were gone then').toBe(
      true
    )
    stage.outboxes.slotWent()
    expect(stage.outboxes.drained([8])).toBe(false)
  })

  it('looks anew with every slot that the log says has gone', () => {
    const stage = new Stage()
    const gone = [7]
    const ownership = {
      ...{ routeEpoch: () => 0, unsettled: () => gone, state: () => 'gone' },
      ...{ move: () => 0, slotEpoch: () => 4, count: () => gone.length }
    }
    Object.assign(stage.ports.parts.machine, { ownership })
    Object.assign(stage.ports.parts.env, { table: () => oneSetTable() })
    const mover = new SlotMover(stage.ports as never, {} as never, () => [])
    mover.tick()
    mover.tick()
    expect(stage.looks).toBe(1)
    gone.push(8)
    stage.log()
    mover.tick()
    expect(stage.looks).toBe(2)
  })

  it('does not look while it is the turn of other quiet work', () => {
    const stage = new Stage()
    const cleaner = stage.cleaner(7)
    cleaner.tick()
    const other = {}
    stage.ports.quiet.begin(other, stage.nowMs)
    stage.nowMs += 200
    cleaner.tick()
    expect(stage.looks).toBe(1)
    stage.ports.quiet.end(other, stage.nowMs - 200)
    cleaner.tick()
    expect(stage.looks).toBe(2)
  })

  it('leaves its turn to others while something waits', () => {
    const stage = new Stage()
    const cleaner = stage.cleaner(7)
    cleaner.tick()
    stage.waiting = new Set([7])
    stage.nowMs += 200
    cleaner.tick()
    expect(stage.logged).toEqual([])
    expect(stage.ports.quiet.begin({}, stage.nowMs)).toBe(true)
  })
})
