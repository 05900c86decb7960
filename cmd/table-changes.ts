import { isDeepStrictEqual } from 'node:util'
import type { RoutingTable } from '../src/table/table.ts'

/** What differs between two tables of a cluster, one sentence each. */
export function tableChanges(former: RoutingTable, latter: RoutingTable): string[] {
  const changes: string[] = []
  if (former.clusterId !== latter.clusterId) {
    changes.push(`cluster id ${former.clusterId} → ${latter.clusterId}`)
  }
  changes.push(...slotChanges(former, latter))
  const before = parts(former)
  const after = parts(latter)
  for (const [name, entry] of before) {
    const now = after.get(name)
    if (now === undefined) changes.push(`${name} is gone`)
    else changes.push(...fieldChanges(name, entry, now))
  }
  for (const name of after.keys()) if (!before.has(name)) changes.push(`${name} is new`)
  return changes
}

type Fields = Readonly<Record<string, unknown>>

/** Everything of a table but the slots, by a name that stays. */
function parts(table: RoutingTable): Map<string, Fields> {
  const found = new Map<string, Fields>()
  for (const { id, zone, state, weight, transfers, logics, routers } of table.sets) {
    found.set(`set ${id}`, { zone, state, weight })
    for (const entry of transfers) found.set(`transfer ${entry.id}`, { ...entry })
    for (const entry of logics) found.set(`logic ${entry.id}`, { ...entry })
    for (const entry of routers) found.set(`router ${id}/${entry.replicaId}`, { ...entry })
  }
  for (const entry of table.arbiters) found.set(`arbiter ${entry.replicaId}`, { ...entry })
  for (const { slot, to, epoch } of table.moves) found.set(`move of slot ${slot}`, { to, epoch })
  for (const { version, ...rule } of table.grey) found.set(`rule for ${version}`, rule)
  for (const { match, value, setId } of table.pins) found.set(`pin ${match} ${value}`, { setId })
  return found
}

function fieldChanges(name: string, before: Fields, after: Fields): string[] {
  return Object.keys(after)
    .filter(field => !isDeepStrictEqual(before[field], after[field]))
    .map(field => `${name}: ${field} ${text(before[field])} → ${text(after[field])}`)
}

function text(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value : JSON.stringify(value)
}

/** Slots that changed owner, as runs. */
function slotChanges(former: RoutingTable, latter: RoutingTable): string[] {
  const before = owners(former)
  const after = owners(latter)
  const changes: string[] = []
  let start = 0
  for (let slot = 1; slot <= after.length; slot++) {
    const same = before[slot] === before[start] && after[slot] === after[start]
    if (slot < after.length && same) continue
    if (before[start] !== after[start]) {
      const which = slot - start === 1 ? `slot ${start}` : `slots ${start}–${slot - 1}`
      changes.push(`${which}: set ${before[start]} → ${after[start]}`)
    }
    start = slot
  }
  return changes
}

function owners({ runs }: RoutingTable): string[] {
  return runs.flatMap(({ count, setId }) => Array<string>(count).fill(setId))
}
