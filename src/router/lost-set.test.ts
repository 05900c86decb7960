import { describe, expect, it } from 'vitest'
import { routerTable, uidsOf } from '../../test/support/router-table.ts'
import { RouterWorld } from '../../test/support/router-world.ts'
import { breakType, eraMessages } from '../protocol/eras.ts'
import type { Message } from '../protocol/kinds.ts'
import { p2pSession, parseSession, routingKey } from '../protocol/session.ts'
import { compileTable } from '../table/compile-table.ts'
import { assignRuns, ownersOf } from '../table/runs.ts'
import type { RoutingTable } from '../table/table.ts'

const runs = [
  { first: 0, count: 20, setId: 's1', slotEpoch: 1 },
  { first: 20, count: 20, setId: 's2', slotEpoch: 1 },
  { first: 40, count: 24, setId: 's3', slotEpoch: 1 }
]
const before = routerTable(1, runs, ['s1', 's2', 's3'])
const [ann, bob] = uidsOf(before, 's1', 2) as [string, string]
const [cleo] = uidsOf(before, 's2', 1) as [string]
const [dora, emil] = uidsOf(before, 's3', 2) as [string, string]

/** Two of whom the home of the session is in `setId`. */
function homeIn(setId: string, one: string, others: readonly string[]): [string, string] {
  const other = others.find(uid => {
    const session = p2pSession(one, uid)
    return before.owner(before.slotOf(routingKey(session, parseSession(session))))!.setId === setId
  })
  if (other === undefined) throw new Error(`nobody has a session with ${one} in ${setId}`)
  return [one, other]
}

class Recovery {
  readonly world = new RouterWorld(before, ['s1', 's2', 's3'])
  #ids = 0

  send(from: string, to: string, text = 'hi'): number {
    const session = p2pSession(from, to)
    const slot = this.world.view.slotOf(routingKey(session, parseSession(session)))
    const leader = this.world.leader(this.world.view.owner(slot)!.setId)
    const answer = this.world.append(leader.endpoint, from, to, ++this.#ids, text)
    if (answer.kind !== 'APPEND_OK') throw new Error(`refused: ${JSON.stringify(answer.payload)}`)
    return answer.payload.msgid
  }

  number(name: string, count = 1): number {
    const leader = this.world.leader(this.world.view.owner(this.world.view.slotOf(name))!.setId)
    const header = this.world.routedBy(name)
    const answer = this.world.ask(leader.endpoint, 'SEQUENCE', { name, count }, header)
    if (answer.kind !== 'SEQUENCE_OK') throw new Error(`refused: ${JSON.stringify(answer.payload)}`)
    return answer.payload.first
  }

  /** What the set of `reader` has of its session with `other`. */
  read(reader: string, other: string): Message[] {
    const leader = this.world.leader(this.world.view.owner(this.world.view.slotOf(reader))!.setId)
    const range = { uid: reader, session: p2pSession(reader, other), from: 1, limit: 100 }
    const answer = this.world.ask(
      leader.endpoint,
      'HISTORY_READ',
      range,
      this.world.routedBy(reader)
    )
    if (answer.kind !== 'HISTORY_READ_OK') throw new Error(JSON.stringify(answer.payload))
    return answer.payload.messages
  }

  texts(reader: string, other: string): string[] {
    return this.read(reader, other).map(
      ({ type, body }) => `${type === breakType ? 'break after ' : ''}${body}`
    )
  }

  /** The third replica of s1 hears nothing of what comes. */
  goDeaf(): void {
    this.world.pass(1_000)
    this.world.node('s1', 3).replica.deaf = true
  }

  /** Only the third replica is left; its set is lost, and its slots go to the others. */
  lose(lost = 's1', to = (slot: number) => (slot % 2 === 0 ? 's2' : 's3')): void {
    const { world } = this
    world.pass(2_000)
    for (const replicaId of [1, 2]) world.cut.add(`router/${lost}/${replicaId}`)
    world.groups.get(lost)!.lead(0)
    const table = world.view.table!
    const epoch = table.epoch + 1
    const mine = ownersOf(table.runs).flatMap((owner, slot) => (owner === lost ? [slot] : []))
    const moves = mine.map(slot => ({ slot, to: to(slot), epoch }))
    const sets = table.sets.map(set =>
      set.id === lost
        ? { ...set, state: 'lost' as const, routers: set.routers.filter(it => it.replicaId === 3) }
        : set
    )
    world.adopt(compileTable({ ...table, epoch, moves, sets }))
    for (let i = 0; world.view.table!.moves.length > 0; i++) {
      if (i === 200) throw new Error('slots do not come')
      world.pass(100)
      this.#arbiter()
    }
    world.pass(3_000)
  }

  /** Ends the moves of which routers have said that everything is there. */
  #arbiter(): void {
    const { world } = this
    const imported = world
      .take('MOVE_REPORT')
      .filter(({ payload }) => payload.outcome === 'imported')
    let table: RoutingTable = world.view.table!
    const epoch = table.epoch + 1
    for (const { payload } of imported) {
      const move = table.moves.find(({ slot, epoch }) => {
        return slot === payload.slot && epoch === payload.epoch
      })
      if (move === undefined) continue
      table = {
        ...table,
        epoch,
        moves: table.moves.filter(other => other !== move),
        runs: assignRuns(table.runs, new Map([[move.slot, move.to]]), epoch)
      }
    }
    if (table !== world.view.table) world.adopt(compileTable(table))
  }
}

describe('a set that has lost its majority', () => {
  it('goes on elsewhere with what its last replica has, and a break behind that', () => {
    const recovery = new Recovery()
    for (const text of ['one', 'two', 'three']) recovery.send(ann, bob, text)
    recovery.goDeaf()
    for (const text of ['four', 'five']) recovery.send(bob, ann, text)
    recovery.lose()
    expect(recovery.texts(ann, bob)).toEqual(['one', 'two', 'three', 'break after 3'])
    expect(recovery.texts(bob, ann)).toEqual(recovery.texts(ann, bob))
    expect(recovery.send(ann, bob, 'six')).toBe(eraMessages + 1)
    recovery.world.pass(1_000)
    expect(recovery.texts(bob, ann).at(-1)).toBe('six')
    expect(recovery.world.node('s1', 3).replica.abandoned).toBe(true)
  })

  it('leaves nobody of another set behind, whatever that set has and the last replica lacks', () => {
    const recovery = new Recovery()
    const [one, other] = homeIn('s1', ann, [cleo, dora, emil])
    for (const text of ['one', 'two']) recovery.send(one, other, text)
    recovery.goDeaf()
    for (const text of ['three', 'four']) recovery.send(other, one, text)
    recovery.lose()
    const texts = recovery.texts(other, one)
    expect(texts.slice(0, 4)).toEqual(['one', 'two', 'three', 'four'])
    expect(texts.slice(4)).toEqual([expect.stringContaining('break after')])
    const msgid = recovery.send(one, other, 'five')
    expect(msgid).toBe(eraMessages + 1)
    recovery.world.pass(1_000)
    expect(recovery.read(other, one).at(-1)).toMatchObject({ msgid, body: Buffer.from('five') })
    expect(recovery.read(one, other).at(-1)).toMatchObject({ msgid, body: Buffer.from('five') })
  })

  it('has its users level with sessions that live elsewhere', () => {
    const recovery = new Recovery()
    const [one, other] = homeIn('s2', cleo, uidsOf(before, 's1', 12))
    recovery.send(one, other, 'one')
    recovery.goDeaf()
    recovery.send(one, other, 'two')
    recovery.lose()
    expect(recovery.texts(other, one)).toEqual(['one', 'two'])
    expect(recovery.send(one, other, 'three')).toBe(3)
    recovery.world.pass(1_000)
    expect(recovery.texts(other, one)).toEqual(['one', 'two', 'three'])
  })

  it('finds a session of which only the lost replicas knew in the copy of another set', () => {
    const recovery = new Recovery()
    const [one, other] = homeIn('s1', ann, [cleo, dora, emil])
    recovery.goDeaf()
    recovery.send(one, other, 'lost')
    recovery.lose()
    expect(recovery.send(one, other, 'found')).toBe(eraMessages + 1)
    recovery.world.pass(1_000)
    for (const [reader, peer] of [
      [one, other],
      [other, one]
    ] as const) {
      expect(recovery.texts(reader, peer)).toEqual(['lost', 'break after 1', 'found'])
    }
  })

  it('does not begin a session anew that nobody has heard of any more', () => {
    const recovery = new Recovery()
    recovery.goDeaf()
    recovery.send(ann, bob, 'lost')
    recovery.lose()
    expect(recovery.send(ann, bob, 'anew')).toBe(eraMessages + 1)
    recovery.world.pass(1_000)
    expect(recovery.texts(bob, ann)).toEqual(['break after 0', 'anew'])
  })

  it('gives out no number of a sequence twice', () => {
    const recovery = new Recovery()
    const names = Array.from({ length: 50 }, (_, i) => `orders-${i}`)
    const inSet = names.filter(name => before.owner(before.slotOf(name))!.setId === 's1')
    const [known, unknown] = inSet as [string, string]
    recovery.number(known)
    recovery.goDeaf()
    const last = [known, unknown].map(name => recovery.number(name, 50_000) + 50_000)
    recovery.lose()
    for (const [i, name] of [known, unknown].entries()) {
      expect(recovery.number(name)).toBeGreaterThan(last[i]!)
    }
  })

  it('can lose the set that took its slots, too', () => {
    const recovery = new Recovery()
    recovery.send(ann, bob, 'one')
    recovery.goDeaf()
    recovery.lose('s1', () => 's2')
    expect(recovery.send(ann, bob, 'two')).toBe(eraMessages + 1)
    recovery.lose('s2', () => 's3')
    expect(recovery.send(bob, ann, 'three')).toBe(2 * eraMessages + 1)
    expect(recovery.texts(ann, bob)).toEqual([
      'one',
      'break after 1',
      'two',
      `break after ${eraMessages + 1}`,
      'three'
    ])
  })
})
