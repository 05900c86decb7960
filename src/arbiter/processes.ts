import type { EndpointId } from '../protocol/endpoint.ts'
import type {
  ProcessEntry,
  RouterEntry,
  RoutingTable,
  SetEntry,
  TransferEntry
} from '../table/table.ts'
import {
  processCount,
  tableLimits,
  validProcess,
  validReplica,
  validTransfer
} from '../table/table-rules.ts'
import type { AnnouncedProcess } from './arbiter-commands.ts'

/** Why an announced process cannot be in the table. */
export type AnnounceRefusal = 'malformed' | 'unknownSet' | 'unknownReplica' | 'full'

const weightOfProcess = 1

/** The endpoint a process of the table answers at. */
export function endpointOf(process: Pick<AnnouncedProcess, 'role' | 'id'>): EndpointId {
  return `${process.role}/${process.id}`
}

/** A process of the table, whatever its role. */
export interface KnownProcess {
  readonly endpoint: EndpointId
  readonly setId: string
  readonly nodeId: string
  readonly bootId: number
  readonly state: 'up' | 'down' | 'draining'
}

/** Every process of the table, in the table's order. */
export function knownProcesses(table: RoutingTable): KnownProcess[] {
  return table.sets.flatMap(set => [
    ...set.transfers.map(entry => known(set, 'transfer', entry.id, entry)),
    ...set.logics.map(entry => known(set, 'logic', entry.id, entry)),
    ...set.routers.map(entry => known(set, 'router', routerId(set, entry), entry))
  ])
}

function known(
  set: SetEntry,
  role: AnnouncedProcess['role'],
  id: string,
  { nodeId, bootId, state }: Pick<KnownProcess, 'nodeId' | 'bootId' | 'state'>
): KnownProcess {
  return { endpoint: endpointOf({ role, id }), setId: set.id, nodeId, bootId, state }
}

/**
 * Boot id under which the table knows an announced process; 0 when it has never announced itself.
 */
export function bootIdOf(table: RoutingTable, process: AnnouncedProcess): number {
  for (const set of table.sets) {
    const { role, id } = process
    if (role === 'router') {
      const router = set.id === process.setId && set.routers.find(e => routerId(set, e) === id)
      if (router) return router.bootId
      continue
    }
    const entry = (role === 'transfer' ? set.transfers : set.logics).find(e => e.id === id)
    if (entry !== undefined) return entry.bootId
  }
  return 0
}

/**
 * The table with `process` in it as announced: the very same object when that changes nothing. The
 * epoch is left as it is.
 */
export function withAnnounced(
  table: RoutingTable,
  process: AnnouncedProcess
): RoutingTable | AnnounceRefusal {
  const set = table.sets.find(candidate => candidate.id === process.setId)
  if (set === undefined) return 'unknownSet'
  if (process.bootId === 0) return 'malformed'
  switch (process.role) {
    case 'router':
      return withRouter(table, set, process)
    case 'transfer': {
      const { clientAddresses } = process
      const entry: TransferEntry = { ...plainEntry(process), clientAddresses }
      if (!validTransfer(entry)) return 'malformed'
      return withEntry(table, set, 'transfers', entry)
    }
    case 'logic': {
      const entry = plainEntry(process)
      if (!validProcess(entry)) return 'malformed'
      return withEntry(table, set, 'logics', entry)
    }
  }
}

/**
 * The table with the process marked down: the very same object unless it is there, under that boot
 * id, and not down yet.
 */
export function withDown(table: RoutingTable, endpoint: EndpointId, bootId: number): RoutingTable {
  for (const set of table.sets) {
    const transfers = markDown(set.transfers, e => endpointOf({ role: 'transfer', id: e.id }))
    const logics = markDown(set.logics, e => endpointOf({ role: 'logic', id: e.id }))
    const routers = markDown(set.routers, e => endpointOf({ role: 'router', id: routerId(set, e) }))
    if (transfers !== set.transfers || logics !== set.logics || routers !== set.routers) {
      return replaceSet(table, { ...set, transfers, logics, routers })
    }
  }
  return table

  function markDown<T extends { bootId: number; state: string }>(
    entries: readonly T[],
    endpointOfEntry: (entry: T) => EndpointId
  ): readonly T[] {
    const at = entries.findIndex(entry => endpointOfEntry(entry) === endpoint)
    const entry = entries[at]
    if (entry === undefined || entry.bootId !== bootId || entry.state === 'down') return entries
    return entries.with(at, { ...entry, state: 'down' })
  }
}

function withRouter(
  table: RoutingTable,
  set: SetEntry,
  process: AnnouncedProcess
): RoutingTable | AnnounceRefusal {
  const at = set.routers.findIndex(entry => routerId(set, entry) === process.id)
  const before = set.routers[at]
  if (before === undefined) return 'unknownReplica'
  const { nodeId, address, bootId } = process
  const after: RouterEntry = {
    ...before,
    nodeId,
    address,
    bootId,
    state: process.stopping ? 'down' : 'up'
  }
  if (!validReplica(after)) return 'malformed'
  if (sameFields(before, after)) return table
  return replaceSet(table, { ...set, routers: set.routers.with(at, after) })
}

function withEntry<K extends 'transfers' | 'logics'>(
  table: RoutingTable,
  set: SetEntry,
  listName: K,
  announced: SetEntry[K][number]
): RoutingTable | AnnounceRefusal {
  const list: readonly ProcessEntry[] = set[listName]
  const before = list.find(entry => entry.id === announced.id)
  if (before !== undefined) {
    const after = { ...announced, weight: before.weight }
    if (sameFields(before, after)) return table
    const entries = list.map(entry => (entry === before ? after : entry))
    return replaceSet(table, { ...set, [listName]: entries })
  }
  const entries = [...list, announced].sort((a, b) => (a.id < b.id ? -1 : 1))
  const sets = table.sets.map(other => {
    if (other === set) return { ...set, [listName]: entries }
    // An id is unique in the cluster: a process that comes back for another set leaves its old one.
    const others: readonly ProcessEntry[] = other[listName]
    if (others.every(entry => entry.id !== announced.id)) return other
    return { ...other, [listName]: others.filter(entry => entry.id !== announced.id) }
  })
  return processCount(sets) > tableLimits.processes ? 'full' : { ...table, sets }
}

function plainEntry(process: AnnouncedProcess): ProcessEntry {
  const { id, nodeId, bootId, address, version, stopping } = process
  const state = stopping ? 'draining' : 'up'
  return { id, nodeId, bootId, address, state, version, weight: weightOfProcess }
}

function routerId(set: SetEntry, router: RouterEntry): string {
  return `${set.id}/${router.replicaId}`
}

function replaceSet(table: RoutingTable, set: SetEntry): RoutingTable {
  return { ...table, sets: table.sets.map(other => (other.id === set.id ? set : other)) }
}

/** For entries, whose fields are words, numbers and lists of words. */
function sameFields<T extends object>(a: T, b: T): boolean {
  return (Object.keys(b) as (keyof T)[]).every(key => String(a[key]) === String(b[key]))
}
