import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ClusterConfigInput } from '../config/schema.ts'
import { readSecrets } from '../config/secrets.ts'
import { startCluster } from '../launch/launch.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'

type NodeInput = ClusterConfigInput['nodes'][number]
type RoleInput = NodeInput['roles'][number]

/** A cluster of one's own in a temporary folder, on free ports of loopback; `close` leaves nothing behind. */
export interface BenchCluster {
  readonly cluster: RunningCluster
  readonly secret: Buffer
  readonly config: ClusterConfigInput
  close(): Promise<void>
}

/** One set: three router replicas, each beside an arbiter replica. What `bench router` measures, and nothing else. */
export async function routersOnly(): Promise<BenchCluster> {
  const ports = await freePorts(7)
  const nodes = [1, 2, 3].map(replica => ({
    id: `r${replica}`,
    peerPort: ports[replica * 2 - 2]!,
    controlPort: ports[replica * 2 - 1]!,
    roles: [
      { role: 'router' as const, set: 's1', replica },
      { role: 'arbiter' as const, replica }
    ] as RoleInput[]
  }))
  // A set is not complete without a gateway and a logic; here they idle.
  nodes[2]!.roles.push({ role: 'transfer', id: 't1', set: 's1', tcpPort: ports[6]! })
  nodes[2]!.roles.push({ role: 'logic', id: 'l1', set: 's1' })
  return startBenchCluster({ cluster: { name: 'bench' }, sets: [{ id: 's1' }], nodes })
}

/** The shape of cluster-configs/local.yaml: per set three routers, two transfers, two logics; three arbiters. */
export async function wholeCluster(setIds: readonly string[]): Promise<BenchCluster> {
  return startBenchCluster(await wholeClusterConfig(setIds))
}

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

async function startBenchCluster(config: ClusterConfigInput): Promise<BenchCluster> {
  const directory = await mkdtemp(join(tmpdir(), 'ringset-bench-'))
  try {
    const cluster = await startCluster({ config, dataDirectory: directory })
    const close = async (): Promise<void> => {
      await cluster.stopAll({ timeoutMs: 5_000 })
      cluster.close()
      await rm(directory, { recursive: true, force: true })
    }
    return { cluster, config, secret: readSecrets(directory).secret, close }
  } catch (error) {
    await rm(directory, { recursive: true, force: true })
    throw error
  }
}

/** Ports that nobody listens on now. All are held until the last is found, so that none comes twice. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer()
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(0, '127.0.0.1', resolve)
      })
      return server
    })
  )
  const ports = servers.map(server => (server.address() as { port: number }).port)
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}
