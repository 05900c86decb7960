import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import type { ClusterConfigInput } from '../config/schema.ts'
import { readSecrets } from '../config/secrets.ts'
import { freePorts } from '../launch/free-ports.ts'
import { startCluster } from '../launch/launch.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { wholeClusterConfig } from '../launch/whole-cluster.ts'

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

const interrupted = new AbortController()
const started: Promise<BenchCluster>[] = []

/** For whoever is interrupted: stops what runs and what starts. */
export async function closeBenchClusters(): Promise<void> {
  interrupted.abort()
  await Promise.all(started.map(one => one.then(({ close }) => close()).catch(() => {})))
}

function startBenchCluster(config: ClusterConfigInput): Promise<BenchCluster> {
  const starting = start(config)
  started.push(starting)
  return starting
}

async function start(config: ClusterConfigInput): Promise<BenchCluster> {
  const { signal } = interrupted
  const directory = await mkdtemp(join(tmpdir(), 'ringset-bench-'))
  try {
    if (signal.aborted) throw new RingsetError('CANCELLED', 'stopped')
    const cluster = await startCluster({ config, dataDirectory: directory, signal })
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
