import type { Clock, Log } from '../base/ports.ts'
import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import type { PeerNetwork } from '../net/peer-network.ts'
import type { MetricsRegistry } from '../observe/metrics.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { NodeFaults } from './node-faults.ts'
import type { RoleRunner } from './role-runner.ts'

/** What every part of a node is built from. */
export interface NodeParts {
  readonly config: ClusterConfig
  readonly node: NodeConfig
  /** Random per process start. */
  readonly bootId: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: MetricsRegistry
  readonly secret: Buffer
  readonly keeper: TableKeeper
  readonly network: PeerNetwork
  readonly runner: RoleRunner
  readonly disk: DiskGuard
  /** Only where the configuration lets the node be disturbed. */
  readonly faults: NodeFaults | undefined
}
