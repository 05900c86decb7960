import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ArbiterLog } from '../../test/support/arbiter-log.ts'
import { MapRows } from '../../test/support/map-rows.ts'
import { slotOfKey } from '../table/slot-of.ts'
import type { RoutingTable } from '../table/table.ts'
import { decodeTable, encodeTable } from '../table/table-codec.ts'
import { tableFault } from '../table/table-rules.ts'
import type { SetChange } from './arbiter-commands.ts'
import type { ArbiterResult } from './arbiter-machine.ts'
import { firstTable } from './first-table.ts'
import { applySet } from './sets.ts'

const routersOf = (setId: string) =>
  [1, 2, 3].map(replicaId => {
    return { replicaId, nodeId: `${setId}-${replicaId}`, address: `127.0.0.1:7${replicaId}00` }
  })

/** A user of each slot. */
const uidsIn = (table: RoutingTable): string[] =>
  Array.from({ length: 64 }, (_, i) => `u${i}`).filter((uid, i, all) => {
    return all.findIndex(other => slotOfKey(other, table) === slotOfKey(uid, table)) === i
  })

/** A cluster of two sets and eight slots. */
class Scene extends ArbiterLog {
  constructor() {
    const sets = ['s1', 's2'].map(id => ({ id, zone: 'z', weight: 1, routers: routersOf(id) }))
    super(firstTable({ clusterId: '0a0000000001', slotCount: 8, sets }, []))
  }

  change(step: SetChange['step'], setId: string, with_: Partial<SetChange> = {}): ArbiterResult {
    const routers = step === 'add' ? routersOf(setId) : []
    const change = { step, setId, epoch: 0, zone: 'z', weight: 100, routers, ...with_ }
    return this.apply({ type: 'set', change })[0]!
  }

  /** Moves slots there at once. */
  move(slots: readonly number[], to: string): void {
    for (const slot of slots) this.apply({ type: 'move', slot, to })
    for (const { slot, epoch } of this.table.moves) {
      this.apply({ type: 'endMove', slot, epoch, done: true })
    }
  }

  slotsOf(setId: string): number[] {
    return this.table.runs.flatMap(({ first, count, setId: owner }) =>
      owner === setId ? Array.from({ length: count }, (_, i) => first + i) : []
    )
  }

  /** A set that has drained, and whose routers have said so. */
  emptied(setId: string): void {
    expect(this.change('drain', setId)).toBe('done')
    this.move(this.slotsOf(setId), 's1')
    expect(this.change('clean', setId, { epoch: this.table.epoch })).toBe('done')
  }
}

describe('a set that is added', () => {
  it('has its voters, and no slot', () => {
    const scene = new Scene()
    const { epoch, runs } = scene.table
    expect(scene.change('add', 's3', { weight: 250 })).toBe('done')
    expect(scene.table).toMatchObject({ epoch: epoch + 1, runs })
    expect(scene.table.sets[2]).toMatchObject({
      id: 's3',
      zone: 'z',
      weight: 2.5,
      state: 'active',
      routers: routersOf('s3').map(router => ({ ...router, role: 'voter', state: 'down' }))
    })
    expect(scene.change('add', 's3')).toBe('done')
    expect(scene.table.epoch).toBe(epoch + 1)
  })

  it('stands in its place in the order, also in the entry that gives a slot away', () => {
    const scene = new Scene()
    scene.apply({ type: 'move', slot: scene.slotsOf('s1')[0]!, to: 's2' })
    const [move] = scene.table.moves
    const change = {
      ...{ step: 'add' as const, setId: 's10', epoch: 0, zone: '', weight: 100 },
      routers: routersOf('s10')
    }
    const results = scene.apply(
      { type: 'endMove', ...move!, done: true },
      { type: 'move', slot: scene.slotsOf('s1')[1]!, to: 's2' },
      { type: 'set', change }
    )
    expect(results).toEqual(['done', 'done', 'done'])
    expect(scene.table.sets.map(({ id }) => id)).toEqual(['s1', 's10', 's2'])
  })

  it.each<[ArbiterResult, Partial<SetChange>]>([
    ['malformed', { setId: 'a b' }],
    ['malformed', { setId: '' }],
    ['malformed', { weight: 0 }],
    ['malformed', { weight: 10_001 }],
    ['malformed', { routers: [] }],
    ['malformed', { routers: [{ replicaId: 0, nodeId: 'n', address: 'a:1' }] }],
    ['malformed', { routers: [{ replicaId: 1, nodeId: '', address: 'a:1' }] }],
    ['malformed', { routers: [{ replicaId: 1, nodeId: 'n', address: '' }] }],
    ['malformed', { routers: [...routersOf('s3'), ...routersOf('s3')] }],
    ['usedSet', { setId: 's1' }]
  ])('is refused as %s: %j', (refusal, with_) => {
    const scene = new Scene()
    const { epoch } = scene.table
    expect(
      scene.change(
        'add',
        's3',
        with_.setId === 's1' ? { ...with_, routers: routersOf('s9') } : with_
      )
    ).toBe(refusal)
    expect(scene.table.epoch).toBe(epoch)
  })
})

describe('a set that drains', () => {
  it('takes no slot in, and stays after all when it is added again', () => {
    const scene = new Scene()
    expect(scene.change('drain', 's2')).toBe('done')
    expect(scene.apply({ type: 'move', slot: scene.slotsOf('s1')[0]!, to: 's2' })).toEqual([
      'drainingSet'
    ])
    expect(scene.table.sets[1]!.state).toBe('draining')
    expect(scene.change('add', 's2')).toBe('done')
    expect(scene.table.sets[1]!.state).toBe('active')
    expect(scene.apply({ type: 'move', slot: scene.slotsOf('s1')[0]!, to: 's2' })).toEqual(['done'])
  })

  it('is never the last that takes slots, and none that users are pinned to', () => {
    const scene = new Scene()
    scene.apply({ type: 'order', order: { type: 'pin', uid: 'ann', setId: 's1' } })
    expect(scene.change('drain', 's1')).toBe('pinnedSet')
    expect(scene.change('drain', 's9')).toBe('unknownSet')
    expect(scene.change('drain', 's2')).toBe('done')
    scene.apply({ type: 'order', order: { type: 'unpin', uid: 'ann' } })
    expect(scene.change('drain', 's1')).toBe('lastSet')
  })
})

describe('a set that is removed', () => {
  it('leaves the table once it is empty and its routers have said so', () => {
    const scene = new Scene()
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    scene.change('drain', 's2')
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    expect(scene.change('clean', 's2', { epoch: scene.table.epoch })).toBe('done')
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    scene.move(scene.slotsOf('s2'), 's1')
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    scene.change('clean', 's2', { epoch: scene.table.epoch })
    expect(scene.change('remove', 's2')).toBe('done')
    expect(scene.table.sets.map(({ id }) => id)).toEqual(['s1'])
    const { epoch } = scene.table
    expect(scene.change('remove', 's2')).toBe('done')
    expect(scene.table.epoch).toBe(epoch)
  })

  it('is not taken for clean by what was found before it was there for good', () => {
    const scene = new Scene()
    scene.change('add', 's3')
    scene.change('drain', 's3')
    const { epoch: before } = scene.table
    scene.change('add', 's3')
    scene.move([0, 1], 's3')
    scene.change('drain', 's3')
    scene.move([0, 1], 's1')
    // A report that was on its way all the while, by a table from before the slots came.
    scene.change('clean', 's3', { epoch: before })
    expect(scene.change('remove', 's3')).toBe('setNotEmpty')
    scene.change('clean', 's3', { epoch: scene.table.epoch })
    expect(scene.change('remove', 's3')).toBe('done')
  })

  it('never gives its name to another, whatever the routers', () => {
    const scene = new Scene()
    scene.emptied('s2')
    scene.change('remove', 's2')
    expect(scene.change('add', 's2')).toBe('usedSet')
    const others = [{ replicaId: 9, nodeId: 'n9', address: 'h:1' }]
    expect(scene.change('add', 's2', { routers: others })).toBe('usedSet')
    expect(scene.change('add', 's2', { routers: [] })).toBe('usedSet')
    const router = { setId: 's2', replicaId: 1, nodeId: 's2-1', address: 'h:1' }
    expect(scene.apply({ type: 'place', router: { ...router, role: 'learner' } })).toEqual([
      'unknownSet'
    ])
    const process = { ...({ role: 'router', id: 's2/1', setId: 's2', nodeId: 's2-1' } as const) }
    const announced = { ...process, bootId: 7, address: 'h:1', clientAddresses: [], version: '' }
    expect(scene.apply({ type: 'announce', process: { ...announced, stopping: false } })).toEqual([
      'unknownSet'
    ])
  })
})

describe('a set that is lost', () => {
  const survivor = (replicaId: number) => ({ routers: [{ replicaId, nodeId: '', address: '' }] })

  it('keeps its slots and one of its routers, and nothing goes there any more', () => {
    const scene = new Scene()
    const [away] = scene.slotsOf('s2')
    const [here, later] = scene.slotsOf('s1')
    scene.apply({ type: 'move', slot: away!, to: 's1' })
    scene.apply({ type: 'move', slot: here!, to: 's2' })
    const { epoch, runs, moves, sets } = scene.table
    expect(scene.change('lose', 's2', survivor(3))).toBe('done')
    expect(scene.table).toMatchObject({ epoch: epoch + 1, runs })
    expect(scene.table.moves).toEqual(moves.filter(({ slot }) => slot === away))
    expect(scene.table.sets[1]).toEqual({
      ...sets[1],
      state: 'lost',
      routers: sets[1]!.routers.slice(2)
    })
    expect(scene.apply({ type: 'move', slot: later!, to: 's2' })).toEqual(['lostSet'])
    // Whether they live there or elsewhere.
    for (const uid of uidsIn(scene.table)) {
      const pin = { type: 'pin' as const, uid, setId: 's2' }
      expect(scene.apply({ type: 'order', order: pin })).toEqual(['lostSet'])
    }
    expect(scene.change('add', 's2')).toBe('usedSet')
    expect(scene.change('add', 's2', { routers: routersOf('s2').slice(2) })).toBe('usedSet')
  })

  it('has one survivor and no other, however often it is asked', () => {
    const scene = new Scene()
    expect(scene.change('lose', 's2', survivor(2))).toBe('done')
    const { epoch, sets } = scene.table
    expect(scene.change('lose', 's2', survivor(2))).toBe('done')
    expect(scene.change('lose', 's2', survivor(1))).toBe('lostSet')
    expect(scene.change('drain', 's2')).toBe('done')
    for (const replicaId of [1, 2, 3, 4]) {
      const router = { setId: 's2', replicaId, nodeId: `s2-${replicaId}`, address: 'h:1' }
      const place = (role: 'learner' | 'voter' | 'none') =>
        scene.apply({ type: 'place', router: { ...router, role } })[0]
      expect(place('learner')).toBe('lostSet')
      expect(place('none')).toBe(replicaId === 2 ? 'lostSet' : 'done')
    }
    expect(scene.table).toMatchObject({ epoch, sets })
  })

  it('hears of its survivor, gateways and logics, and not of its other routers', () => {
    const scene = new Scene()
    scene.change('lose', 's2', survivor(2))
    const announce = (role: 'router' | 'transfer' | 'logic', id: string) => {
      const process = { role, id, setId: 's2', nodeId: 'n', bootId: 7, address: 'h:9' }
      const rest = { clientAddresses: [], version: '1', stopping: false }
      return scene.apply({ type: 'announce', process: { ...process, ...rest } })[0]
    }
    expect(announce('router', 's2/1')).toBe('unknownReplica')
    expect(announce('router', 's2/2')).toBe('done')
    expect(announce('transfer', 't1')).toBe('done')
    expect(announce('logic', 'l1')).toBe('done')
    const set = scene.table.sets[1]!
    expect(set.routers).toMatchObject([{ replicaId: 2, bootId: 7, address: 'h:9', state: 'up' }])
    expect([set.transfers.length, set.logics.length]).toEqual([1, 1])
  })

  it('leaves the table without anybody saying that it is clean, and its name with it', () => {
    const scene = new Scene()
    scene.change('lose', 's2', survivor(1))
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    scene.move(scene.slotsOf('s2'), 's1')
    expect(scene.change('remove', 's2')).toBe('done')
    expect(scene.table.sets.map(({ id }) => id)).toEqual(['s1'])
    expect(scene.change('add', 's2')).toBe('usedSet')
    expect(scene.change('lose', 's2', survivor(1))).toBe('unknownSet')
  })

  it('may have been draining, and what was reported then counts no more', () => {
    const scene = new Scene()
    scene.change('drain', 's2')
    expect(scene.change('lose', 's2', survivor(1))).toBe('done')
    expect(scene.change('clean', 's2', { epoch: scene.table.epoch })).toBe('done')
    expect(scene.change('remove', 's2')).toBe('setNotEmpty')
    const rows = new MapRows()
    const nothing = { setId: 's2', epoch: 0, zone: '', weight: 0, routers: [] }
    const { table } = new Scene()
    const draining = applySet(table, { ...nothing, step: 'drain' }, 2, rows)
    expect(rows.get('sets/s2')).toBeDefined()
    applySet(draining as RoutingTable, { ...nothing, step: 'lose', ...survivor(1) }, 3, rows)
    expect(rows.get('sets/s2')).toBeUndefined()
  })

  it.each<[ArbiterResult, string, Partial<SetChange>]>([
    ['unknownSet', 's9', survivor(1)],
    ['unknownReplica', 's2', survivor(4)],
    ['malformed', 's2', { routers: [] }],
    ['malformed', 's2', { routers: routersOf('s2') }],
    ['pinnedSet', 's1', survivor(1)]
  ])('is refused as %s: %s, %j', (refusal, setId, with_) => {
    const scene = new Scene()
    scene.apply({ type: 'order', order: { type: 'pin', uid: 'ann', setId: 's1' } })
    const { epoch } = scene.table
    expect(scene.change('lose', setId, with_)).toBe(refusal)
    expect(scene.table.epoch).toBe(epoch)
  })

  it('is never the last that takes slots', () => {
    const scene = new Scene()
    scene.change('drain', 's1')
    expect(scene.change('lose', 's2', survivor(1))).toBe('lastSet')
    expect(scene.change('lose', 's1', survivor(1))).toBe('done')
    expect(scene.change('drain', 's2')).toBe('lastSet')
  })
})

describe('sets, whatever is asked', () => {
  const ids = ['s1', 's2', 's3', 's4']
  const step = fc.constantFrom('add', 'drain', 'clean', 'lose', 'remove', 'move', 'end', 'abort')
  const action = fc.tuple(step, fc.constantFrom(...ids), fc.nat(7), fc.nat(6))

  it('make a sound table, in which nothing of a set that was removed comes back, and no owner is lost', () => {
    fc.assert(
      fc.property(fc.array(action, { maxLength: 40 }), actions => {
        const scene = new Scene()
        const gone = new Set<string>()
        for (const [what, setId, slot, ago] of actions) {
          const before = scene.table
          if (what === 'move') scene.apply({ type: 'move', slot, to: setId })
          else if (what === 'end' || what === 'abort') {
            const epoch = before.moves.find(move => move.slot === slot)?.epoch ?? 1
            scene.apply({ type: 'endMove', slot, epoch, done: what === 'end' })
          } else {
            scene.change(what as SetChange['step'], setId, {
              epoch: Math.max(1, before.epoch - ago),
              ...(what === 'lose' && { routers: routersOf(setId).slice(slot % 3, (slot % 3) + 1) })
            })
          }
          const { table } = scene
          expect(tableFault(table)).toBeUndefined()
          expect(decodeTable(encodeTable(table))).toEqual(table)
          expect(table.sets.some(({ state }) => state === 'active')).toBe(true)
          expect([0, 1]).toContain(table.epoch - before.epoch)
          for (const { id, state } of before.sets) {
            const now = table.sets.find(set => set.id === id)?.state
            if (state === 'lost') expect(['lost', undefined]).toContain(now)
            if (table.sets.some(set => set.id === id)) continue
            expect(before.runs.some(run => run.setId === id)).toBe(false)
            expect(before.moves.some(({ to }) => to === id)).toBe(false)
            gone.add(id)
          }
          for (const { id, state } of table.sets) {
            expect(gone.has(id)).toBe(false)
            if (state === 'lost') expect(table.moves.some(({ to }) => to === id)).toBe(false)
          }
        }
      }),
      { numRuns: 60 }
    )
  })
})
