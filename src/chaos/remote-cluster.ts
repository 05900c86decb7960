import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { parseConfig } from '../config/config.ts'
import type { ClusterConfig, ClusterConfigInput } from '../config/schema.ts'
import type { ClusterControl, ClusterSample, NodeSample } from '../control/cluster-control.ts'
import type { ControlClient } from '../control/control-client.ts'
import { readiness } from '../launch/readiness.ts'
import type { WaitOptions } from '../launch/running-cluster.ts'
import type { DrillCluster } from './arena.ts'

type NodeInput = ClusterConfigInput['nodes'][number]
type RoleInput = NodeInput['roles'][number]

const readyTimeoutMs = 60_000
const pollMs = 200

/** A cluster of which only the control interface is known. */
export class RemoteCluster implements DrillCluster {
  readonly config: ClusterConfig
  readonly control: ClusterControl

  private constructor(control: ClusterControl, config: ClusterConfig) {
    this.control = control
    this.config = config
  }

  /** Asks every node what it is. Throws UNREACHABLE when one does not answer. */
  static async find(control: ClusterControl): Promise<RemoteCluster> {
    return new RemoteCluster(control, configOf(await control.sample()))
  }

  node(id: string): ControlClient {
    return this.control.node(id)
  }

  async waitReady({ timeoutMs = readyTimeoutMs, signal }: WaitOptions = {}): Promise<void> {
    const endMs = performance.now() + timeoutMs
    for (;;) {
      const { ready, waitingFor } = readiness(this.config, await this.control.sample())
      if (ready) return
      if (signal?.aborted) throw new RingsetError('CANCELLED', 'stopped while waiting')
      if (performance.now() > endMs) {
        const missing = waitingFor.slice(0, 3).join('; ')
        throw new RingsetError('TIMEOUT', `not ready after ${timeoutMs} ms, missing: ${missing}`)
      }
      await pause(pollMs)
    }
  }
}

/** As far as the nodes tell it: which roles they hold and where. Zones are not known. */
function configOf({ nodes, table }: ClusterSample): ClusterConfig {
  if (table === undefined) throw new RingsetError('NO_TABLE')
  return parseConfig({
    cluster: { name: nodes[0]?.status?.cluster ?? '', allowPlaintext: true },
    sets: table.sets.map(({ id }) => ({ id })),
    nodes: nodes.map(nodeOf)
  })
}

function nodeOf({ id, controlAddress, status }: NodeSample): NodeInput {
  if (status === undefined) {
    const text = `node ${id} does not answer at ${controlAddress}`
    throw new RingsetError('UNREACHABLE', text, { peer: controlAddress })
  }
  const { host, port } = parts(status.peerAddress)
  const roles: RoleInput[] = [
    ...status.routers.flatMap(({ set, raft }): RoleInput[] =>
      raft === undefined ? [] : [{ role: 'router', set, replica: raft.replica }]
    ),
    ...status.arbiters.flatMap(({ raft }): RoleInput[] =>
      raft === undefined ? [] : [{ role: 'arbiter', replica: raft.replica }]
    ),
    ...status.transfers.map(({ id: transfer, set, clientAddresses }): RoleInput => {
      const tcpPort = parts(clientAddresses[0] ?? '').port
      return { role: 'transfer', id: transfer, set, tcpPort }
    }),
    ...status.logics.map(({ id: logic, set }): RoleInput => ({ role: 'logic', id: logic, set }))
  ]
  return { id, host, peerPort: port, controlPort: parts(controlAddress).port, roles }
}

/** Of `[scheme://]host:port`. */
function parts(address: string): { host: string; port: number } {
  const [, host = '', port = ''] = /^(?:\w+:\/\/)?(.*):(\d+)$/.exec(address) ?? []
  return { host, port: Number(port) }
}
