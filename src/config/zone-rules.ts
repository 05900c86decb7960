import { decisiveZone } from '../table/zones.ts'
import type { Violation } from './rules.ts'
import type { ClusterConfig } from './schema.ts'

/** The zones in which the cluster has nodes. */
export function zonesIn({ nodes }: ClusterConfig): string[] {
  return [...new Set(nodes.map(({ zone }) => zone))]
}

/** Groups that lose their majority with one zone, where zones enough to avoid that have nodes. A cluster may run so. */
export function zoneWarnings(config: ClusterConfig): Violation[] {
  const zones = zonesIn(config)
  const groups = new Map<string, { readonly zone: string; readonly node: number }[]>()
  for (const [node, { zone, roles }] of config.nodes.entries()) {
    for (const role of roles) {
      if (role.role !== 'router' && role.role !== 'arbiter') continue
      const name = role.role === 'router' ? `the routers of set ${role.set}` : 'the arbiters'
      groups.set(name, [...(groups.get(name) ?? []), { zone, node }])
    }
  }
  return [...groups].flatMap(([name, replicas]) => {
    const decisive = decisiveZone(
      replicas.map(({ zone }) => zone),
      zones.length
    )
    if (decisive === undefined) return []
    const there = replicas.filter(({ zone }) => zone === decisive)
    const text = `is ${decisive} for ${there.length} of ${name}, ${replicas.length} in all: without that zone they have no majority; spread them over ${zones.join(', ')}`
    return [{ path: ['nodes', there.at(-1)!.node, 'zone'], rule: 'replicas-over-zones', text }]
  })
}
