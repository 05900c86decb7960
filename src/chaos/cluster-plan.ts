import type { ClusterConfigInput } from '../config/schema.ts'
import { freePorts } from '../launch/free-ports.ts'
import { wholeClusterConfig } from '../launch/whole-cluster.ts'
import type { Scenario } from './scenario.ts'
import { tenantPrefix } from './user-names.ts'

type NodeInput = ClusterConfigInput['nodes'][number]
type RoleInput = NodeInput['roles'][number]

/** Roles that stand in processes of their own. */
const standAlone: Readonly<Record<Scenario['layout'], readonly RoleInput['role'][]>> = {
  together: [],
  apart: ['logic'],
  split: ['logic', 'transfer']
}

/** The cluster of a drill, on free ports. Every set and the arbiters are spread over the zones a, b and c. @param tenantCount tenants with a slot each. */
export async function clusterPlan(
  { sets, layout }: Pick<Scenario, 'sets' | 'layout'>,
  tenantCount = 0
): Promise<ClusterConfigInput> {
  const setIds = Array.from({ length: sets }, (_, i) => `s${i + 1}`)
  const config = await wholeClusterConfig(setIds)
  const zones = ['a', 'b', 'c']
  const alone = ({ role }: RoleInput): boolean => standAlone[layout].includes(role)
  const together = config.nodes.map((node, i) => ({ ...node, zone: zones[i % 3]! }))
  const ports = await portsBeside(together)
  const nodes = together.flatMap((node): NodeInput[] => {
    const rest = node.roles.filter(role => !alone(role))
    const own = node.roles.filter(alone).map(role => ({
      id: 'id' in role ? role.id : node.id,
      zone: node.zone,
      peerPort: ports.pop()!,
      controlPort: ports.pop()!,
      roles: [role]
    }))
    return [{ ...node, roles: rest }, ...own]
  })
  const tenants = Array.from({ length: tenantCount }, (_, i) => {
    return { id: `t${i + 1}`, prefix: tenantPrefix(i + 1), slots: 1 }
  })
  return { ...config, cluster: { name: 'chaos', faultControl: true, tenants }, nodes }
}

/** Two for each role, none of them in use. */
async function portsBeside(nodes: readonly NodeInput[]): Promise<number[]> {
  const roles = nodes.flatMap(node => node.roles)
  const used = [
    ...nodes.flatMap(({ peerPort, controlPort }) => [peerPort, controlPort]),
    ...roles.flatMap(role => (role.role === 'transfer' ? [role.tcpPort] : []))
  ]
  const free = await freePorts(used.length + roles.length * 2)
  return free.filter(port => !used.includes(port))
}
