import type { Log } from '../base/ports.ts'
import type { ClusterConfig } from '../config/schema.ts'
import { reserveSlots } from '../table/slot-of.ts'
import type { RoutingTable } from '../table/table.ts'
import type { TableKeeper } from '../table/table-keeper.ts'

/** Says once in the log what of a configuration is not in force, because the cluster was founded with something else. */
export function watchConfig(
  cluster: ClusterConfig['cluster'],
  keeper: TableKeeper,
  log: Log
): void {
  let told = false
  const look = ({ table }: { readonly table: RoutingTable | undefined }): void => {
    if (told || table === undefined) return
    told = true
    for (const difference of differencesOf(cluster, table)) {
      log.error('config_not_in_force', difference)
    }
  }
  look(keeper.view())
  keeper.onAdopted(look)
}

interface Difference extends Record<string, unknown> {
  readonly field: string
  readonly configured: string
  readonly inForce: string
}

/** What the first start has fixed and this configuration has otherwise. */
export function differencesOf(
  { slotCount, tenants }: Pick<ClusterConfig['cluster'], 'slotCount' | 'tenants'>,
  table: Pick<RoutingTable, 'slotCount' | 'tenants'>
): Difference[] {
  const differences: Difference[] = []
  const compare = (field: string, configured: string, inForce: string): void => {
    if (configured !== inForce) differences.push({ field, configured, inForce })
  }
  compare('cluster.slotCount', String(slotCount), String(table.slotCount))
  compare(
    'cluster.tenants',
    tenantsText(reserveSlots(slotCount, tenants)),
    tenantsText(table.tenants)
  )
  return differences
}

function tenantsText(tenants: RoutingTable['tenants']): string {
  const each = tenants.map(({ id, prefix, count }) => `${id} "${prefix}" ${count}`)
  return each.join(', ') || 'none'
}
