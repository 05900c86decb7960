import type { ClusterConfigInput } from '../config/schema.ts'
import { freePorts } from './free-ports.ts'

type NodeInput = ClusterConfigInput['nodes'][number]
type RoleInput = NodeInput['roles'][number]

/** The shape of cluster-configs/local.yaml on free ports: per set three routers, two transfers, two logics; three arbiters. */
export async function wholeClusterConfig(setIds: readonly string[]): Promise<ClusterConfigInput> {
  const ports = await freePorts(setIds.length * 8 + 6)
  const next = (): number => ports.pop()!
  const node = (id: string, roles: RoleInput[]): NodeInput => {
    return { id, peerPort: next(), controlPort: next(), roles }
  }
  const nodes: NodeInput[] = []
  for (const set of setIds) {
    for (const replica of [1, 2, 3]) {
      const roles: RoleInput[] = [{ role: 'router', set, replica }]
      if (replica < 3) {
        roles.push({ role: 'transfer', id: `${set}-t${replica}`, set, tcpPort: next() })
        roles.push({ role: 'logic', id: `${set}-l${replica}`, set })
      }
      nodes.push(node(`${set}-${'abc'[replica - 1]}`, roles))
    }
  }
  for (const replica of [1, 2, 3]) nodes.push(node(`a${replica}`, [{ role: 'arbiter', replica }]))
  return { cluster: { name: 'bench' }, sets: setIds.map(id => ({ id })), nodes }
}
