import HashRing from 'hashring'
import { RingsetError } from '../base/errors.ts'
import type { SetEntry } from './table.ts'

/** A set as the ring sees it; see `SetEntry`. */
export type RingSet = Pick<SetEntry, 'id' | 'weight'>

/**
 * Of weight 1; hashring places four points for each. 400 points keep the shares of the ring itself
 * within some 10 % of the ideal.
 */
const virtualNodes = 100

/**
 * The set each slot should belong to, by a weighted consistent-hash ring (ketama points): index =
 * slot. A set's points depend on its own id and weight alone, so adding a set moves about its share
 * of the slots, all of them to it, and nothing else. The order of `sets` does not matter. Only for
 * planning: everybody routes by the table. Throws CONFIG_INVALID without sets.
 */
export function targetOwners(slotCount: number, sets: readonly RingSet[]): string[] {
  if (sets.length === 0) throw new RingsetError('CONFIG_INVALID', 'a ring needs at least one set')
  const sorted = [...sets].sort((a, b) => (a.id < b.id ? -1 : 1))
  const servers: Record<string, { vnodes: number }> = {}
  for (const set of sorted) {
    // The prefix keeps ids such as "7" from being reordered as array indexes; a colon would be
    // taken for a port.
    servers[`set/${set.id}`] = { vnodes: Math.max(1, Math.round(set.weight * virtualNodes)) }
  }
  // With no default count, hashring takes each server's own count as it is; its own weights would
  // shift every server's points.
  const ring = new HashRing(servers, 'md5', { 'vnode count': 0, 'max cache size': 1 })
  const owners: string[] = []
  for (let slot = 0; slot < slotCount; slot++) {
    owners.push(ring.get(`slot/${slot}`)!.slice('set/'.length))
  }
  return owners
}
