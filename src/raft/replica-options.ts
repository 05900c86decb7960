import type { Clock, Log, Metrics, Random } from '../base/ports.ts'
import type { RaftConfig } from './raft-api.ts'
import type { StateMachine } from './state-machine.ts'
import type { GroupStore } from './store.ts'
import type { TrimLimits } from './trim.ts'
import type { Membership, RaftMessage } from './types.ts'

export interface ReplicaOptions {
  readonly config: RaftConfig
  readonly tickMs: number
  readonly store: GroupStore
  readonly machine: StateMachine
  /** Members of a group that has never run here. */
  readonly bootstrap: Membership
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly metrics: Metrics
  readonly trim: TrimLimits
  /** About the size of a snapshot's chunks; 128 KiB unless given. */
  readonly snapshotChunkBytes?: number
  /** Whether this replica would rather not lead at present; asked in every tick. */
  reluctant?(): boolean
  send(message: RaftMessage): void
  /** Something became ready outside a call of the role (a disk write finished): flush soon. */
  wake(): void
  /** Began or ceased to lead and be able to serve (see `leading`). */
  onLeadership?(leading: boolean): void
}
