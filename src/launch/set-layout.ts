import { existsSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import type { DataFolder } from '../config/data-folder.ts'
import type { ClusterConfig, ClusterConfigInput } from '../config/schema.ts'
import { zonesIn } from '../config/zone-rules.ts'
import { dynamicPortsFrom, freePorts, isFree } from './free-ports.ts'

type NodeInput = ClusterConfigInput['nodes'][number]

/** Processes of a set, and what runs in each: the shape of cluster-configs/local.yaml. */
export interface SetLayout {
  readonly set: ClusterConfigInput['sets'][number]
  readonly nodes: readonly NodeInput[]
}

const firstPort = 7_101
const loopback = '127.0.0.1'

/** A name for a set more: `s` and the number after the highest, of all that the configuration, the table and old folders tell of. */
export function freeSetId(
  config: ClusterConfig,
  used: readonly string[],
  folder: DataFolder
): string {
  const known = new Set([...used, ...config.sets.map(({ id }) => id)])
  const numbers = [...known].map(id => Number(/^s(\d{1,9})$/.exec(id)?.[1] ?? 0))
  for (let number = Math.max(0, ...numbers) + 1; ; number++) {
    const id = `s${number}`
    if (!existsSync(folder.nodeFolder(`${id}-a`))) return id
  }
}

/**
 * Three routers, two gateways and two logics in three processes on this machine, on ports that nobody uses and under names that nobody
 * has had, one process after the other in the zones that the cluster has. Throws USAGE for a cluster that is not on this machine alone.
 */
export async function newSetLayout(
  id: string,
  weight: number,
  config: ClusterConfig,
  folder: DataFolder
): Promise<SetLayout> {
  const far = config.nodes.find(({ host }) => host !== loopback && host !== 'localhost')
  if (far !== undefined) {
    const text = `node ${far.id} is on ${far.host}: write the set into the configuration first, with its nodes`
    throw new RingsetError('USAGE', text)
  }
  const ports = await portsFor(config, 8)
  const nodeIds = config.nodes.map(node => node.id)
  const roleIds = config.nodes.flatMap(({ roles }) =>
    roles.flatMap(role => (role.role === 'transfer' || role.role === 'logic' ? [role.id] : []))
  )
  const zones = zonesByUse(config)
  const nodes = [1, 2, 3].map((replica): NodeInput => {
    const nodeId = freeName(`${id}-${'abc'[replica - 1]}`, name => {
      return nodeIds.includes(name) || existsSync(folder.nodeFolder(name))
    })
    const roles: NodeInput['roles'] = [{ role: 'router', set: id, replica }]
    const [peerPort, controlPort] = [ports.shift()!, ports.shift()!]
    if (replica < 3) {
      const transfer = freeName(`${id}-t${replica}`, name => roleIds.includes(name))
      const logic = freeName(`${id}-l${replica}`, name => roleIds.includes(name))
      roles.push({ role: 'transfer', id: transfer, set: id, tcpPort: ports.shift()! })
      roles.push({ role: 'logic', id: logic, set: id })
    }
    const zone = zones[(replica - 1) % zones.length]!
    return { id: nodeId, peerPort, controlPort, ...(zone !== 'default' && { zone }), roles }
  })
  return { set: weight === 1 ? { id } : { id, weight }, nodes }
}

/** The zones of the cluster, those with the fewest routers first: with three of them or more, none is decisive. */
function zonesByUse(config: ClusterConfig): string[] {
  const routersIn = (zone: string): number =>
    config.nodes.filter(
      node => node.zone === zone && node.roles.some(({ role }) => role === 'router')
    ).length
  return zonesIn(config).sort((a, b) => routersIn(a) - routersIn(b))
}

function freeName(name: string, taken: (name: string) => boolean): string {
  for (let number = 1; ; number++) {
    const candidate = number === 1 ? name : `${name}-${number}`
    if (!taken(candidate)) return candidate
  }
}

/** Behind those that the cluster has, so that they are seen to belong together; any, where it has only such as come and go. */
async function portsFor({ nodes }: ClusterConfig, count: number): Promise<number[]> {
  const used = nodes.flatMap(({ peerPort, controlPort, roles }) => [
    peerPort,
    controlPort,
    ...roles.flatMap(role => (role.role === 'transfer' ? [role.tcpPort] : []))
  ])
  const lasting = used.filter(port => port < dynamicPortsFrom)
  const found: number[] = []
  let port = lasting.length === 0 ? dynamicPortsFrom : Math.max(firstPort, ...lasting) + 1
  for (; found.length < count && port < dynamicPortsFrom; port++) {
    if (!used.includes(port) && (await isFree(port))) found.push(port)
  }
  while (found.length < count) {
    const more = await freePorts(count - found.length)
    found.push(...more.filter(one => !used.includes(one)))
  }
  return found
}
