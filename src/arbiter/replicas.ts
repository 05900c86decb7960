import type { RouterEntry, RoutingTable, SetEntry } from '../table/table.ts'
import { processCount, tableLimits, validReplica } from '../table/table-rules.ts'
import type { PlacedRouter } from './arbiter-commands.ts'

/** Why the table cannot have a replica so. */
export type PlaceRefusal =
  | 'malformed'
  | 'unknownSet'
  | 'unknownReplica'
  | 'full'
  | 'usedReplica'
  | 'lastReplica'
  | 'lostSet'

/** The highest replica number in the set's part of the table; 0 without any. */
export function highestReplica(table: RoutingTable, setId: string): number {
  const set = table.sets.find(({ id }) => id === setId)
  return Math.max(0, ...(set?.routers ?? []).map(({ replicaId }) => replicaId))
}

/**
 * The table with a router replica placed as asked for: the very same object when it stands so
 * already. A new one enters as a learner, under a number above all before.
 *
 * @param highestEver the highest number that has ever left the table, 0 if unknown.
 */
export function withPlaced(
  table: RoutingTable,
  router: PlacedRouter,
  highestEver: number
): RoutingTable | PlaceRefusal {
  const set = table.sets.find(({ id }) => id === router.setId)
  if (set === undefined) return 'unknownSet'
  const before = set.routers.find(({ replicaId }) => replicaId === router.replicaId)
  const { role } = router
  if (before === undefined) {
    if (role === 'none') return table
    if (set.state === 'lost') return 'lostSet'
    if (router.replicaId <= Math.max(highestEver, highestReplica(table, set.id))) {
      return 'usedReplica'
    }
    return role === 'voter' ? 'unknownReplica' : withNew(table, set, router)
  }
  if (set.state === 'lost') return 'lostSet'
  if (role === 'none') {
    if (set.routers.length === 1) return 'lastReplica'
    return withRouters(
      table,
      set,
      set.routers.filter(entry => entry !== before)
    )
  }
  // The same number on another node would be another replica.
  const newcomer = router.nodeId !== '' && router.nodeId !== before.nodeId
  if (newcomer) return 'usedReplica'
  if (before.role === role) return table
  return withRouters(
    table,
    set,
    set.routers.map(entry => (entry === before ? { ...before, role } : entry))
  )
}

function withNew(
  table: RoutingTable,
  set: SetEntry,
  { replicaId, nodeId, address }: PlacedRouter
): RoutingTable | PlaceRefusal {
  const entry: RouterEntry = {
    replicaId,
    nodeId,
    address,
    role: 'learner',
    bootId: 0,
    state: 'down'
  }
  if (nodeId === '' || address === '' || !validReplica(entry)) return 'malformed'
  if (processCount(table.sets) >= tableLimits.processes) return 'full'
  return withRouters(table, set, [...set.routers, entry])
}

function withRouters(
  table: RoutingTable,
  set: SetEntry,
  routers: readonly RouterEntry[]
): RoutingTable {
  return { ...table, sets: table.sets.map(other => (other === set ? { ...set, routers } : other)) }
}
