import { RingsetError } from '../base/errors.ts'
import type { RoutingTable, Tenant } from './table.ts'

type Tenants = Pick<RoutingTable, 'tenants'>

/** Throws TENANT_UNKNOWN. */
export function tenantNamed(table: Tenants, id: string): Tenant {
  const tenant = table.tenants.find(one => one.id === id)
  if (tenant === undefined) throw tenantUnknown(table, id)
  return tenant
}

/** The tenant that has exactly this prefix. Throws TENANT_UNKNOWN. */
export function tenantOfPrefix(table: Tenants, prefix: string): Tenant {
  const tenant = table.tenants.find(one => one.prefix === prefix)
  if (tenant !== undefined) return tenant
  const text = `no tenant has the prefix "${prefix}", and users without a tenant share their slots with all others`
  throw new RingsetError('TENANT_UNKNOWN', `${text}; ${knownText(table)}`, { prefix })
}

export function tenantUnknown(table: Tenants, id: string): RingsetError {
  const text = `no tenant is called ${id}; ${knownText(table)}`
  return new RingsetError('TENANT_UNKNOWN', text, { tenant: id })
}

function knownText({ tenants }: Tenants): string {
  const known = tenants.map(({ id, prefix }) => `${id} ("${prefix}")`).join(', ')
  return known === '' ? 'the cluster has none' : `there are ${known}`
}
