import type { ClusterConfigInput } from '../config/schema.ts'
import { freePorts, wholeClusterConfig } from '../launch/whole-cluster.ts'
import type { Scenario } from './scenario.ts'

/** The cluster of a drill, on free ports. Every set and the arbiters are spread over the zones a, b and c. */
export async function clusterPlan({ sets, layout }: Scenario): Promise<ClusterConfigInput> {
  const setIds = Array.from({ length: sets }, (_, i) => `s${i + 1}`)
  const config = await wholeClusterConfig(setIds)
  const zones = ['a', 'b', 'c']
  const nodes = config.nodes.map((node, i) => ({ ...node, zone: zones[i % 3]! }))
  const cluster = { name: 'chaos', faultControl: true }
  if (layout === 'together') return { ...config, cluster, nodes }
  const ports = await freePorts(nodes.length * 2)
  const apart = nodes.flatMap(node => {
    const logics = node.roles.filter(({ role }) => role === 'logic')
    const rest = node.roles.filter(({ role }) => role !== 'logic')
    const own = logics.map(logic => ({
      id: 'id' in logic ? logic.id : node.id,
      zone: node.zone,
      peerPort: ports.pop()!,
      controlPort: ports.pop()!,
      roles: [logic]
    }))
    return [{ ...node, roles: rest }, ...own]
  })
  return { ...config, cluster, nodes: apart }
}
