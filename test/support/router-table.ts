import { compileTable } from '../../src/table/compile-table.ts'
import type { RoutingTable, SlotRun } from '../../src/table/table.ts'
import type { TableView } from '../../src/table/table-view.ts'

const slotCount = 64

/** A table of 64 slots; every set has the routers 1, 2, 3. */
export function routerTable(
  epoch: number,
  runs: readonly SlotRun[],
  setIds: readonly string[]
): TableView {
  const table: RoutingTable = {
    clusterId: '0123456789ab',
    epoch,
    slotCount,
    runs,
    moves: [],
    grey: [],
    tenants: [],
    pins: [],
    sets: setIds.map(id => ({
      id,
      zone: 'z',
      state: 'active',
      weight: 1,
      transfers: [],
      logics: [],
      routers: [1, 2, 3].map(replicaId => ({
        replicaId,
        nodeId: `n-${id}-${replicaId}`,
        address: `127.0.0.1:${7000 + replicaId}`,
        role: 'voter',
        bootId: 0,
        state: 'up'
      }))
    })),
    arbiters: [{ replicaId: 1, nodeId: 'a1', address: '127.0.0.1:7900' }]
  }
  return compileTable(table)
}

/** All slots belong to `s1`. */
export const oneSetTable = (epoch = 1): TableView =>
  routerTable(epoch, [{ first: 0, count: slotCount, setId: 's1', slotEpoch: 1 }], ['s1'])

/** Slots 0–31 belong to `s1`, 32–63 to `s2`. */
export const twoSetTable = (epoch = 1): TableView =>
  routerTable(
    epoch,
    [
      { first: 0, count: slotCount / 2, setId: 's1', slotEpoch: 1 },
      { first: slotCount / 2, count: slotCount / 2, setId: 's2', slotEpoch: 1 }
    ],
    ['s1', 's2']
  )

/** The first `count` uids `u0`, `u1`, … that live in `setId`. */
export function uidsOf(table: TableView, setId: string, count: number): string[] {
  const uids: string[] = []
  for (let i = 0; uids.length < count; i++) {
    const uid = `u${i}`
    if (table.owner(table.slotOf(uid))?.setId === setId) uids.push(uid)
  }
  return uids
}
