import { targetOwners } from '../table/ring.ts'
import { runsOf } from '../table/runs.ts'
import type { RoutingTable, SetEntry } from '../table/table.ts'

const slotCount = 1_024

/** The table of a cluster of so many sets with three gateways, three logics and three routers each, its slots scattered by the ring. */
export function sampleTable(setCount: number): RoutingTable {
  const sets = Array.from({ length: setCount }, (_, i) => sampleSet(i))
  const owners = targetOwners(slotCount, sets)
  const runs = runsOf(owners, new Array<number>(slotCount).fill(1))
  const rest = { moves: [], grey: [], tenants: [], pins: [], arbiters: [] }
  return { clusterId: '0a0000000001', epoch: 1, slotCount, runs, sets, ...rest }
}

function sampleSet(number: number): SetEntry {
  const id = `s${String(number + 1).padStart(2, '0')}`
  const places = [1, 2, 3].map(n => ({
    n,
    nodeId: `${id}-n${n}`,
    bootId: 2 ** 47 + number * 7_919_333 + n,
    address: `10.0.${number}.${n}:7000`,
    state: 'up' as const
  }))
  const process = (role: string) =>
    places.map(({ n, ...place }) => ({
      ...place,
      id: `${id}-${role}${n}`,
      version: '0.1.0',
      weight: 1
    }))
  return {
    id,
    zone: 'default',
    state: 'active',
    weight: 1,
    transfers: process('t').map(entry => ({
      ...entry,
      clientAddresses: [`tcp://${entry.address}`]
    })),
    logics: process('l'),
    routers: places.map(({ n, ...place }) => ({ ...place, replicaId: n, role: 'voter' }))
  }
}
