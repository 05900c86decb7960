import { assert } from '../base/errors.ts'
import type { Rows } from '../raft/state-machine.ts'
import type { ReplicaEntry, RouterEntry, RoutingTable, SetEntry } from '../table/table.ts'
import { processCount, tableFault, tableLimits, validReplica } from '../table/table-rules.ts'
import type { SetChange } from './arbiter-commands.ts'

/** Why the sets cannot be so. */
export type SetRefusal =
  | 'malformed'
  | 'full'
  | 'unknownSet'
  | 'unknownReplica'
  | 'usedSet'
  | 'lostSet'
  | 'lastSet'
  | 'pinnedSet'
  | 'setNotEmpty'

/**
 * What the arbiters remember of a set beside the table; nothing of one that is simply there. `leaving` since the table of an epoch;
 * `clean` once its routers have said so; `gone` for ever: what other sets remember of their channels to and from it, and replicas on
 * old disks, go by its name.
 */
type SetNote =
  | { readonly state: 'leaving'; readonly epoch: number; readonly clean: boolean }
  | { readonly state: 'gone' }

/** What a change of the sets would do: the very same table when there is nothing to change, unless `note` is another. */
export interface JudgedSet {
  readonly table: RoutingTable
  /** Undefined keeps it, null deletes it. */
  readonly note: SetNote | null | undefined
}

type GetRow = (key: string) => Buffer | undefined

const noteRow = (setId: string): string => `sets/${setId}`

/** @param epoch of the table that the change makes. */
export function judgeSet(
  table: RoutingTable,
  change: SetChange,
  epoch: number,
  getRow: GetRow
): JudgedSet | SetRefusal {
  const { setId, step } = change
  const set = table.sets.find(({ id }) => id === setId)
  const note = readNote(getRow(noteRow(setId)))
  if (step === 'add') return added(table, change, epoch, note)
  if (set === undefined) {
    return step === 'remove' && note?.state === 'gone' ? unchanged(table) : 'unknownSet'
  }
  if (step === 'drain') return draining(table, set, epoch)
  if (step === 'lose') return lost(table, set, change)
  const clean = note?.state === 'leaving' && note.clean
  if (step === 'remove') return removed(table, set, clean)
  // What was found out by a table from before the set began to leave says nothing.
  if (note?.state !== 'leaving' || change.epoch < note.epoch || clean || inUse(table, setId)) {
    return unchanged(table)
  }
  return { table, note: { ...note, clean: true } }
}

/** Applies what `judgeSet` finds. */
export function applySet(
  table: RoutingTable,
  change: SetChange,
  epoch: number,
  rows: Rows
): RoutingTable | SetRefusal {
  const judged = judgeSet(table, change, epoch, key => rows.get(key))
  if (typeof judged === 'string') return judged
  if (judged.note === null) rows.delete(noteRow(change.setId))
  else if (judged.note !== undefined) rows.put(noteRow(change.setId), writeNote(judged.note))
  return judged.table
}

function unchanged(table: RoutingTable): JudgedSet {
  return { table, note: undefined }
}

/** A set without any slot. One that is there with the same routers is left as it is, or comes back when it was leaving. */
function added(
  table: RoutingTable,
  { setId, zone, weight, routers }: SetChange,
  epoch: number,
  note: SetNote | undefined
): JudgedSet | SetRefusal {
  if (note?.state === 'gone') return 'usedSet'
  const known = table.sets.find(({ id }) => id === setId)
  if (known !== undefined) {
    if (known.state === 'lost') return 'usedSet'
    if (!sameReplicas(known.routers, routers)) return 'usedSet'
    if (known.state === 'active') return unchanged(table)
    return { table: withState(table, known, 'active'), note: null }
  }
  const newcomers = routers
    .map(({ replicaId, nodeId, address }): RouterEntry => {
      return { replicaId, nodeId, address, role: 'voter', bootId: 0, state: 'down' }
    })
    .sort((a, b) => a.replicaId - b.replicaId)
  const placed = newcomers.every(entry => {
    return validReplica(entry) && entry.nodeId !== '' && entry.address !== ''
  })
  if (routers.length === 0 || !placed) return 'malformed'
  const entry: SetEntry = {
    id: setId,
    zone,
    state: 'active',
    weight: weight / 100,
    transfers: [],
    logics: [],
    routers: newcomers
  }
  if (table.sets.length >= tableLimits.sets) return 'full'
  if (processCount(table.sets) + newcomers.length > tableLimits.processes) return 'full'
  const sets = [...table.sets, entry].sort((a, b) => (a.id < b.id ? -1 : 1))
  if (tableFault({ ...table, epoch, moves: [], sets }) !== undefined) return 'malformed'
  return { table: { ...table, sets }, note: undefined }
}

function draining(table: RoutingTable, set: SetEntry, epoch: number): JudgedSet | SetRefusal {
  if (set.state !== 'active') return unchanged(table)
  const refusal = heldBack(table, set)
  if (refusal !== undefined) return refusal
  return {
    table: withState(table, set, 'draining'),
    note: { state: 'leaving', epoch, clean: false }
  }
}

/** A set whose majority is lost for good is given up: one of its replicas is read from here on, and whatever was to come in stays where it is. */
function lost(table: RoutingTable, set: SetEntry, { routers }: SetChange): JudgedSet | SetRefusal {
  const [asked] = routers
  if (asked === undefined || routers.length > 1) return 'malformed'
  const survivor = set.routers.find(({ replicaId }) => replicaId === asked.replicaId)
  if (set.state === 'lost') return survivor === undefined ? 'lostSet' : unchanged(table)
  if (survivor === undefined) return 'unknownReplica'
  const refusal = heldBack(table, set)
  if (refusal !== undefined) return refusal
  const entry: SetEntry = { ...set, state: 'lost', routers: [survivor] }
  const sets = table.sets.map(other => (other === set ? entry : other))
  const moves = table.moves.filter(({ to }) => to !== set.id)
  // Nothing that its routers ever said of it counts any more.
  return { table: { ...table, sets, moves }, note: null }
}

/** Why a set may not go. */
function heldBack({ sets, pins }: RoutingTable, set: SetEntry): SetRefusal | undefined {
  if (sets.every(({ id, state }) => id === set.id || state !== 'active')) return 'lastSet'
  return pins.some(({ setId }) => setId === set.id) ? 'pinnedSet' : undefined
}

function removed(table: RoutingTable, set: SetEntry, clean: boolean): JudgedSet | SetRefusal {
  if (table.pins.some(({ setId }) => setId === set.id)) return 'pinnedSet'
  // Of a lost set nobody is left to say that it is clean.
  const left = set.state === 'lost' || (set.state === 'draining' && clean)
  if (!left || inUse(table, set.id)) return 'setNotEmpty'
  assert(table.sets.length > 1, 'a set that goes is not the last')
  return {
    table: { ...table, sets: table.sets.filter(other => other !== set) },
    note: { state: 'gone' }
  }
}

function inUse({ runs, moves }: RoutingTable, setId: string): boolean {
  return runs.some(run => run.setId === setId) || moves.some(({ to }) => to === setId)
}

function withState(table: RoutingTable, set: SetEntry, state: SetEntry['state']): RoutingTable {
  return { ...table, sets: table.sets.map(other => (other === set ? { ...set, state } : other)) }
}

function sameReplicas(known: readonly RouterEntry[], asked: readonly ReplicaEntry[]): boolean {
  return asked.every(({ replicaId, nodeId }) =>
    known.some(entry => entry.replicaId === replicaId && entry.nodeId === nodeId)
  )
}

const noteStates = { leaving: 1, clean: 2, gone: 3 } as const

function writeNote(note: SetNote): Buffer {
  const row = Buffer.alloc(7)
  if (note.state === 'gone') row.writeUInt8(noteStates.gone)
  else {
    row.writeUInt8(note.clean ? noteStates.clean : noteStates.leaving)
    row.writeUIntBE(note.epoch, 1, 6)
  }
  return row
}

function readNote(row: Buffer | undefined): SetNote | undefined {
  if (row === undefined) return undefined
  const state = row.readUInt8()
  if (state === noteStates.gone) return { state: 'gone' }
  const clean = state === noteStates.clean
  assert(clean || state === noteStates.leaving, 'a note about a set is known', { state })
  return { state: 'leaving', epoch: row.readUIntBE(1, 6), clean }
}
