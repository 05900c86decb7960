import { describe, expect, it } from 'vitest'
import { routerTable, twoSetTable, uidsOf } from '../../test/support/router-table.ts'
import { ownershipRows, RouterWorld } from '../../test/support/router-world.ts'
import { compileTable } from '../table/compile-table.ts'
import type { SetEntry, SlotMove } from '../table/table.ts'
import type { TableView } from '../table/table-view.ts'
import type { RouterParts } from './admission.ts'
import { SetFarewell } from './moves/set-farewell.ts'
import type { SlotState } from './ownership.ts'

const allOf = (setId: string, slotEpoch: number) => [{ first: 0, count: 64, setId, slotEpoch }]

/** Everything lives in `s1`; `s2` has nothing and, unless told otherwise, drains. */
function emptyTable(state: SetEntry['state'] = 'draining', moves: SlotMove[] = []): TableView {
  const { table } = routerTable(9, allOf('s1', 8), ['s1', 's2'])
  const sets = table!.sets.map(set => (set.id === 's2' ? { ...set, state } : set))
  return compileTable({ ...table!, sets, moves })
}

function reports(world: RouterWorld) {
  world.take('MOVE_REPORT')
  world.pass(1_000)
  return world.take('MOVE_REPORT')
}

/** Messages that wait there, by target set. */
function outboxesOf(world: RouterWorld, setId: string): Record<string, number> {
  const { router, replica } = world.leader(setId)
  Object.assign(replica, { status: () => ({ commit: 0, applied: 0, quarantined: false }) })
  const { outboxes } = router.status()
  return Object.fromEntries(outboxes.map(({ targetSet, items }) => [targetSet, items]))
}

describe('a set that drains', () => {
  const worldOf = (view: TableView, state: SlotState = 'none') =>
    new RouterWorld(view, ['s2'], { rows: ownershipRows(state, 7) })

  it('tells the arbiters, again and again, that nothing is left in it', () => {
    const told = reports(worldOf(emptyTable()))
    expect(told.length).toBeGreaterThan(2)
    expect(new Set(told.map(({ to }) => to))).toEqual(new Set(['arbiter/1']))
    for (const { payload } of told) expect(payload).toEqual({ slot: 0, epoch: 9, outcome: 'clean' })
  })

  it.each<[string, TableView, SlotState]>([
    ['it takes slots', emptyTable('active'), 'none'],
    [
      'a slot is on its way to it',
      emptyTable('draining', [{ slot: 3, to: 's2', epoch: 9 }]),
      'none'
    ],
    ['its log says that it owns slots', emptyTable(), 'owned']
  ])('says nothing of the kind while %s', (_, view, state) => {
    const told = reports(worldOf(view, state))
    expect(told.filter(({ payload }) => payload.outcome === 'clean')).toEqual([])
  })

  it('says nothing of the kind while messages for another set wait, or it may have been deposed', () => {
    const outbox = { acked: 4, last: 5 }
    let nowMs = 0
    let confirmed = true
    const told: number[] = []
    const parts = {
      env: { nowMs: () => nowMs },
      replica: { read: (done: (confirmed: boolean) => void) => done(confirmed) },
      machine: {
        ownership: { count: () => 0, unsettled: () => [] },
        channels: { targetSets: () => ['s1'], outbox: () => outbox }
      },
      setId: 's2'
    }
    const farewell = new SetFarewell(parts as unknown as RouterParts, epoch => told.push(epoch))
    const look = (): number[] => {
      nowMs += 1_000
      farewell.tick(emptyTable())
      return told
    }
    expect(look()).toEqual([])
    outbox.acked = 5
    confirmed = false
    expect(look()).toEqual([])
    confirmed = true
    expect(look()).toEqual([9])
  })
})

describe('messages that wait for a set that the table has lost', () => {
  it('go to where their receivers live now, and hold up nothing', () => {
    const table = twoSetTable()
    const world = new RouterWorld(table, ['s1', 's2'])
    for (const { endpoint, setId } of world.nodes.values()) {
      if (setId === 's2') world.cut.add(endpoint)
    }
    const [ann] = uidsOf(table, 's1', 1)
    const bob = uidsOf(table, 's2', 40).find(uid => {
      return table.owner(world.sessionHeader(ann!, uid).slot!)?.setId === 's1'
    })!
    for (const id of [1, 2, 3]) world.append('router/s1/1', ann!, bob, id)
    expect(outboxesOf(world, 's1')).toEqual({ s2: 3 })
    const own = { first: 0, count: 32, setId: 's1', slotEpoch: 1 }
    const runs = [own, { first: 32, count: 32, setId: 's3', slotEpoch: 7 }]
    world.adopt(routerTable(9, runs, ['s1', 's3']))
    world.pass(5_000)
    expect(outboxesOf(world, 's1')).toEqual({ s2: 0, s3: 3 })
    const { disk } = world.leader('s1')
    const blocks = [...disk.rows.keys()].filter(key => key.includes('outbox-block/s2'))
    expect(blocks).toEqual([])
  })
})
