import type { Scenario } from './scenario.ts'

type Plan = Pick<Scenario['workload'], 'users' | 'tenants'>

/** How the names of a tenant's users begin. @param number from 1. @param prefix of all names. */
export function tenantPrefix(number: number, prefix = ''): string {
  return `${prefix}t${number}-`
}

/** The users of a drill, unless it is told others: those that write to each other side by side. @param prefix of all their names. */
export function userGroups({ users, tenants }: Plan, prefix = ''): string[][] {
  const names = Array.from({ length: users }, (_, i) => `user-${i + 1}`)
  if (tenants === 0) return [names.map(name => prefix + name)]
  return Array.from({ length: tenants }, (_, tenant) =>
    names
      .filter((_name, i) => i % tenants === tenant)
      .map(name => tenantPrefix(tenant + 1, prefix) + name)
  )
}
