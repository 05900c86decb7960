import { describe, expect, it } from 'vitest'
import { FakeRoleEnv } from '../../test/support/fake-role-env.ts'
import { message } from '../../test/support/router-entries.ts'
import { routerTable } from '../../test/support/router-table.ts'
import { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'
import type { RouterParts } from './admission.ts'
import { commandKinds } from './commands.ts'
import { HolePuller } from './hole-puller.ts'
import type { Hole } from './holes.ts'
import { LeaderHints } from './leader-hints.ts'
import type { ArrivalPorts } from './moves/slot-arrival.ts'
import { SlotMover } from './moves/slot-mover.ts'
import type { SlotState } from './ownership.ts'
import type { Proposals } from './proposals.ts'
import type { SessionRoutes } from './session-routes.ts'

/** Slot 1 is at home in `s1`, which pulls; slot n in set `sn`. */
const homes = [1, 2, 3, 4]
const table = routerTable(
  1,
  [
    { first: 0, count: 2, setId: 's1', slotEpoch: 1 },
    ...[2, 3].map(slot => ({ first: slot, count: 1, setId: `s${slot}`, slotEpoch: 1 })),
    { first: 4, count: 60, setId: 's4', slotEpoch: 1 }
  ],
  homes.map(home => `s${home}`)
)
const answerMs = 1_000
const restMs = 200

/** A leader that pulls; what it writes is logged, but never applied, unless the test says so. */
class Stage {
  readonly env = new FakeRoleEnv('router/s1/1')
  readonly holes = new Map<string, Hole>()
  readonly slots = new Map<string, number>()
  /** Members of every session that live here. */
  localMembers = 1
  readonly filled: { localMembers: number; messages: number }[] = []
  readonly parts: RouterParts
  readonly routes: SessionRoutes
  readonly proposals: Proposals
  readonly puller: HolePuller
  #sequence = 0

  constructor() {
    this.env.view = () => table
    const writer = new ByteWriter()
    this.proposals = {
      open: () => {
        writer.reset()
        return writer
      },
      own: (done: () => void) => {
        this.filled.push(fillIn(writer))
        done()
      }
    } as unknown as Proposals
    this.routes = {
      route: (session: string) => ({
        slot: this.slots.get(session),
        members: ['a', 'b'],
        localMembers: this.localMembers
      })
    } as unknown as SessionRoutes
    this.parts = {
      env: this.env,
      setId: 's1',
      rows: {},
      hints: new LeaderHints(),
      replica: { leading: () => true },
      machine: {
        holes: { all: () => this.holes },
        sessions: { get: () => ({ latest: 1 }) }
      }
    } as unknown as RouterParts
    this.puller = new HolePuller(this.parts, this.routes, this.proposals, () => ++this.#sequence)
  }

  hole(slot: number, name: string): string {
    const session = this.session(slot, name)
    this.holes.set(session, { slot, session, wanted: 9, localMembers: 1 })
    return session
  }

  session(slot: number, name: string): string {
    const session = p2pSession(name, `of-${slot}`)
    this.slots.set(session, slot)
    return session
  }

  /** What is asked for in the next tick. */
  tick(passMs = 20): { to: EndpointId; packet: Packet<'HISTORY_READ'> }[] {
    this.env.now += passMs
    this.puller.tick()
    return this.env.take() as { to: EndpointId; packet: Packet<'HISTORY_READ'> }[]
  }

  answer(asked: { to: EndpointId; packet: Packet<'HISTORY_READ'> }, msgids: number[]): void {
    const { session } = asked.packet.payload
    const messages = msgids.map(msgid => message(msgid, 'a'))
    const page = { session, first: 1, latest: 9, messages }
    const { sequence } = asked.packet
    this.puller.onAnswer(asked.to, packet('HISTORY_READ_OK', page, { sequence }))
  }
}

/** Reads a fill of up to 127 messages. */
function fillIn(writer: ByteWriter): { localMembers: number; messages: number } {
  const reader = new ByteReader(writer.copy())
  expect(reader.u8()).toBe(commandKinds.fill)
  reader.u16()
  const localMembers = reader.varint()
  reader.string(999)
  return { localMembers, messages: reader.varint() }
}

const setsOf = (asked: readonly { to: EndpointId }[]): string[] =>
  asked.map(({ to }) => to.split('/')[1]!)
const count = (all: readonly string[], one: string): number => all.filter(it => it === one).length

describe('copies that are to be made level with home', () => {
  const asker = () => {
    const told = { level: 0, renewed: () => told.level++ }
    return told
  }

  it('are let go once nobody lives here any more who wants them', () => {
    const stage = new Stage()
    const told = asker()
    stage.puller.renew(2, stage.session(2, 'x'), told)
    stage.localMembers = 0
    expect(stage.tick()).toEqual([])
    expect(told.level).toBe(1)
    expect(stage.tick(restMs)).toEqual([])
  })

  it('are let go also when an answer comes after that, and nothing of it is logged', () => {
    const stage = new Stage()
    const told = asker()
    stage.puller.renew(2, stage.session(2, 'x'), told)
    const [asked] = stage.tick()
    stage.localMembers = 0
    stage.answer(asked!, [2, 3])
    expect(stage.filled).toEqual([])
    expect(told.level).toBe(1)
    expect(stage.tick(restMs)).toEqual([])
  })

  it('are pulled until home has nothing more', () => {
    const stage = new Stage()
    const told = asker()
    stage.puller.renew(2, stage.session(2, 'x'), told)
    stage.answer(stage.tick()[0]!, [2, 3])
    expect(stage.filled).toEqual([{ localMembers: 1, messages: 2 }])
    expect(told.level).toBe(0)
    stage.answer(stage.tick()[0]!, [])
    expect(told.level).toBe(1)
    expect(stage.tick(restMs)).toEqual([])
  })

  it('are not level by an answer to what was asked before', () => {
    const stage = new Stage()
    const told = asker()
    const session = stage.hole(2, 'x')
    const [before] = stage.tick()
    stage.puller.renew(2, session, told)
    stage.answer(before!, [])
    expect(told.level).toBe(0)
    stage.answer(stage.tick()[0]!, [])
    expect(told.level).toBe(1)
  })

  it('are let go when whoever asked does not want them any more, unless another does', () => {
    const stage = new Stage()
    const [one, other] = [asker(), asker()]
    for (const name of ['x', 'y']) stage.puller.renew(2, stage.session(2, name), one)
    stage.puller.renew(2, stage.session(2, 'y'), other)
    stage.puller.withdraw(one)
    const asked = stage.tick()
    expect(asked.map(({ packet }) => packet.payload.session)).toEqual([stage.session(2, 'y')])
    stage.answer(asked[0]!, [])
    expect([one.level, other.level]).toEqual([0, 1])
  })

  it('are not asked for any more when the slot whose users have them goes on before it is settled', () => {
    const stage = new Stage()
    const session = stage.session(2, 'x')
    const page = new ByteWriter()
    page.u8(1)
    page.string(session)
    let state: SlotState = 'owned'
    const ownership = {
      ...{ routeEpoch: () => 0, unsettled: () => [1], state: () => state },
      ...{ move: () => 1, slotEpoch: () => 1, count: () => 0 }
    }
    Object.assign(stage.parts.machine, { ownership })
    Object.assign(stage.parts.replica, {
      readRows: (_: unknown, found: (read: unknown) => void) =>
        found({ rows: [['0001/user-page/0/a', page.copy()]], more: false })
    })
    const { parts, routes, proposals } = stage
    const ports = { parts, routes, proposals, nextSequence: () => 1 }
    const mover = new SlotMover(ports as unknown as ArrivalPorts & never, stage.puller, () => [])
    mover.tick()
    state = 'imported'
    mover.tick()
    expect(stage.tick()).toEqual([])
  })
})

describe('holes', () => {
  it('that nobody minds any more are closed by a single message', () => {
    const stage = new Stage()
    stage.hole(2, 'x')
    const [asked] = stage.tick()
    stage.localMembers = 0
    stage.answer(asked!, [2, 3, 4])
    expect(stage.filled).toEqual([{ localMembers: 0, messages: 1 }])
  })

  it('of a home that does not answer leave room for those of others, and for renewals', () => {
    const stage = new Stage()
    for (let i = 0; i < 100; i++) stage.hole(2, `dead-${i}`)
    const mine = stage.hole(3, 'mine')
    stage.puller.renew(4, stage.session(4, 'z'), { renewed: () => {} })
    const asked = stage.tick()
    const sets = setsOf(asked)
    expect(['s2', 's3', 's4'].map(set => count(sets, set))).toEqual([16, 1, 1])
    // What is filled in part has its next turn while the dead home is still waited for.
    stage.answer(asked.find(({ packet }) => packet.payload.session === mine)!, [2])
    expect(setsOf(stage.tick())).toEqual(['s3'])
  })

  it('take turns, also when all places are taken by homes that do not answer', () => {
    const stage = new Stage()
    for (const slot of [2, 3, 4]) for (let i = 0; i < 12; i++) stage.hole(slot, `dead-${i}`)
    const seen = new Set<string>()
    for (let round = 0; round < 2; round++) {
      for (const { packet } of stage.tick(answerMs)) seen.add(packet.payload.session)
      stage.tick(restMs)
    }
    expect(seen.size).toBe(36)
  })

  it('take no place while they rest', () => {
    const stage = new Stage()
    for (let i = 0; i < 40; i++) stage.hole(2, `dead-${i}`)
    stage.env.unreachable.add('router/s2/1').add('router/s2/2').add('router/s2/3')
    for (let ticks = 0; ticks < 5; ticks++) expect(stage.tick()).toEqual([])
    stage.env.unreachable.clear()
    stage.hole(2, 'new')
    stage.hole(3, 'new')
    expect(setsOf(stage.tick())).toEqual(['s2', 's3'])
  })
})
