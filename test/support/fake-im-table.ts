import { compileTable } from '../../src/table/compile-table.ts'
import type { ProcessEntry, SetEntry } from '../../src/table/table.ts'
import type { TableView } from '../../src/table/table-view.ts'

const slotCount = 64

/**
 * Two sets of one transfer, two logics (`l1` on node `n1`, `l2` on `n2`, …) and three routers; all
 * up.
 */
export function imTable(epoch: number, firstSetSlots = slotCount / 2): TableView {
  const runs = [
    { first: 0, count: firstSetSlots, setId: 's1', slotEpoch: 1 },
    { first: firstSetSlots, count: slotCount - firstSetSlots, setId: 's2', slotEpoch: 1 }
  ].filter(({ count }) => count > 0)
  return compileTable({
    clusterId: '0123456789ab',
    epoch,
    slotCount,
    runs,
    moves: [],
    grey: [],
    tenants: [],
    pins: [],
    sets: [setEntry('s1', ['1', '2'], 7000), setEntry('s2', ['3', '4'], 7100)],
    arbiters: [{ replicaId: 1, nodeId: 'a1', address: '127.0.0.1:7900' }]
  })
}

function setEntry(id: string, numbers: readonly string[], port: number): SetEntry {
  const entry = (name: string, number: string): ProcessEntry => ({
    id: `${name}${number}`,
    nodeId: `n${number}`,
    bootId: 1,
    address: `127.0.0.1:${port + Number(number)}`,
    state: 'up',
    version: '1',
    weight: 1
  })
  return {
    id,
    zone: 'z',
    state: 'active',
    weight: 1,
    transfers: [
      {
        ...entry('t', numbers[0]!),
        clientAddresses: [`tcp://127.0.0.1:${port + 50}`]
      }
    ],
    logics: numbers.map(number => entry('l', number)),
    routers: [1, 2, 3].map(replicaId => ({
      replicaId,
      nodeId: `r${id}${replicaId}`,
      address: `127.0.0.1:${port + 10 + replicaId}`,
      role: 'voter' as const,
      bootId: 1,
      state: 'up' as const
    }))
  }
}

/** The first uid `<prefix>0`, `<prefix>1`, … whose slot belongs to the set. */
export function uidIn(view: TableView, setId: string, prefix = 'u'): string {
  for (let i = 0; ; i++) {
    const uid = `${prefix}${i}`
    if (view.owner(view.slotOf(uid))?.setId === setId) return uid
  }
}
