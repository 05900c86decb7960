import type { TableView } from '../table/table-view.ts'

/** Whether the routing table has a replica of a set; true while no table is known. */
export function isListed(view: TableView, setId: string, replicaId: number): boolean {
  if (view.table === undefined) return true
  return view.set(setId)?.routers.some(router => router.replicaId === replicaId) ?? false
}

/** The set has lost its majority for good, and the table names this replica as the one to read what is left from. */
export function isSurvivor(view: TableView, setId: string, replicaId: number): boolean {
  return view.set(setId)?.state === 'lost' && isListed(view, setId, replicaId)
}
