import type { ClusterConfig } from '../config/schema.ts'
import type { ClusterControl } from '../control/cluster-control.ts'
import type { ControlClient } from '../control/control-client.ts'
import type { RunningCluster, WaitOptions } from '../launch/running-cluster.ts'
import type { DisturbingHand } from './leased-faults.ts'

/** What a drill needs of any cluster. */
export interface DrillCluster {
  readonly config: ClusterConfig
  readonly control: ClusterControl
  /** Throws NODE_UNKNOWN. */
  node(id: string): ControlClient
  /** Waits until every node runs, every group has a leader and every process is in the table. Throws TIMEOUT or NODE_FAILED. */
  waitReady(options?: WaitOptions): Promise<unknown>
}

/** Where a drill takes place: a cluster, and what may be done to it. */
export interface Arena {
  readonly cluster: DrillCluster
  /** Its processes; undefined when they are out of reach. */
  readonly processes: RunningCluster | undefined
  /** Undefined when it is not known: there are no backends then. */
  readonly secret: Buffer | undefined
  /** Disturbs links in place of the nodes themselves. */
  readonly network?: DisturbingHand | undefined
  /** The names of users, backends and sequences begin so. */
  readonly prefix: string
  /** Somebody else's, who goes on with it: whatever happens, all is mended in the end. */
  readonly lasting: boolean
  /** A connect token for a user. */
  token(uid: string): string | (() => Promise<string>)
  /** Nobody needs the cluster any more; returns when nothing that is under way can take long. */
  giveUp(): Promise<void>
}
