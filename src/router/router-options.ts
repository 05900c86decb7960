import type { EndpointId } from '../protocol/endpoint.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import type { RaftMessage } from '../raft/types.ts'
import type { RouterLimits } from './limits.ts'
import type { CacheSizes } from './router-machine.ts'

/** What the process tells the arbiters about this router. */
export interface RouterIdentity {
  readonly nodeId: string
  /** `host:port` of the node's peer listener. */
  readonly address: string
  readonly version: string
}

export interface RouterOptions {
  readonly setId: string
  readonly replicaId: number
  readonly identity: RouterIdentity
  /** Arbiters to announce to while no table is known. */
  readonly arbiters: readonly EndpointId[]
  readonly announceMs: number
  /** A transfer that has not renewed its lease for so long is dead. */
  readonly transferLeaseMs: number
  readonly limits?: Partial<RouterLimits>
  readonly cacheSizes?: CacheSizes
  /** The disk is nearly full: messages are refused with DISK_NEARLY_FULL. */
  diskLow?(): boolean
  /** Makes the replica that runs `machine`. `send` goes to its peers; `onLeadership` may be called at any time. */
  replica(
    machine: StateMachine,
    send: (message: RaftMessage) => void,
    onLeadership: (leading: boolean) => void
  ): ReplicaApi
}

/** For the control API. */
export interface RouterStatus {
  readonly setId: string
  readonly replicaId: number
  readonly leading: boolean
  readonly leader: number
  readonly term: number
  readonly commit: number
  readonly applied: number
  readonly quarantined: boolean
  readonly slots: number
  /** Slots that have left, and what they left behind is not deleted yet. */
  readonly leaving: number
  readonly users: number
  readonly sessions: number
  /** Messages this process has seen enter timelines since it started. */
  readonly messages: number
  readonly connections: number
  readonly pendingCommands: number
  readonly lastEntryCommands: number
  readonly outboxes: readonly { readonly targetSet: string; readonly items: number }[]
}
