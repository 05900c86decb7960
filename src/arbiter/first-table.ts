import { RingsetError } from '../base/errors.ts'
import { targetOwners } from '../table/ring.ts'
import { runsOf } from '../table/runs.ts'
import { reserveSlots } from '../table/slot-of.ts'
import type { ReplicaEntry, RoutingTable } from '../table/table.ts'
import { tableFault } from '../table/table-rules.ts'

/**
 * A set of a new cluster. Its transfers and logics enter the table when they announce themselves.
 */
export interface SetPlan {
  readonly id: string
  readonly zone: string
  readonly weight: number
  /** Voters of the set's router group. */
  readonly routers: readonly ReplicaEntry[]
}

/** Keys that get slots of their own. */
export interface TenantPlan {
  readonly id: string
  readonly prefix: string
  readonly slots: number
}

/** What a cluster that has never run starts with. */
export interface BootstrapPlan {
  /**
   * 12 lowercase hex digits; each arbiter proposes a random one when not given, and the first to be
   * logged counts.
   */
  readonly clusterId?: string
  readonly slotCount: number
  readonly sets: readonly SetPlan[]
  readonly tenants?: readonly TenantPlan[]
}

/**
 * The table of epoch 1: slots as the ring has them, routers known but not yet heard of. Throws
 * CONFIG_INVALID when the plan makes no sound table.
 */
export function firstTable(
  plan: BootstrapPlan & { readonly clusterId: string },
  arbiters: readonly ReplicaEntry[]
): RoutingTable {
  const { clusterId, slotCount, tenants = [] } = plan
  const sets = [...plan.sets]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, zone, weight, routers }) => ({
      id,
      zone,
      weight: Math.round(weight * 100) / 100,
      state: 'active' as const,
      transfers: [],
      logics: [],
      routers: byReplica(routers).map(router => ({
        ...router,
        role: 'voter' as const,
        bootId: 0,
        state: 'down' as const
      }))
    }))
  const owners = targetOwners(slotCount, sets)
  const runs = runsOf(owners, new Array<number>(slotCount).fill(1))
  const table: RoutingTable = {
    clusterId,
    epoch: 1,
    slotCount,
    runs,
    pins: [],
    moves: [],
    grey: [],
    tenants: reserveSlots(slotCount, tenants).map(({ id, prefix, first, count }) => {
      return { id, prefix, first, count }
    }),
    sets,
    arbiters: byReplica(arbiters)
  }
  const fault = tableFault(table)
  if (fault !== undefined) throw new RingsetError('CONFIG_INVALID', `no routing table: ${fault}`)
  return table
}

function byReplica(entries: readonly ReplicaEntry[]): ReplicaEntry[] {
  return entries
    .map(({ replicaId, nodeId, address }) => ({ replicaId, nodeId, address }))
    .sort((a, b) => a.replicaId - b.replicaId)
}
