import type { Packet } from '../../protocol/packet.ts'
import type { ReplicaApi } from '../../raft/replica-api.ts'
import type { RaftState } from '../../raft/state.ts'
import type { StateMachine } from '../../raft/state-machine.ts'
import type { GroupStore } from '../../raft/store.ts'
import type { TableKeeper } from '../../table/table-keeper.ts'
import type { Transfer } from '../../transfer/transfer.ts'
import type { SimProcess } from '../sim-process.ts'
import type { Swarm } from '../swarm.ts'
import type { World } from '../world.ts'

/** One rule broken on purpose, to see that the checks notice. */
export interface Mutant {
  readonly name: string
  /** What is broken, in one sentence. */
  readonly breaks: string
  /** The checks that are expected to notice it. */
  readonly noticedBy: readonly string[]
  /** What makes it likely that it hurts; the rest of the world is drawn as ever. */
  readonly world: Partial<Swarm>
  /** Called once a run. */
  tamper(world: World): Tampering
}

/** Where a replica lives. */
export interface Site {
  readonly process: SimProcess
  readonly group: string
  readonly replicaId: number
}

/**
 * What a mutant puts around, or changes in, the parts of a process as they are made. The code of the roles knows nothing of it, so
 * that a real node has no way to run a mutant.
 */
export interface Tampering {
  store?(store: GroupStore, site: Site): GroupStore
  /** The Raft core's memory, right after it was made. */
  core?(state: RaftState, site: Site): void
  replica?(replica: ReplicaApi, site: Site): ReplicaApi
  machine?(machine: StateMachine, site: Site): StateMachine
  keeper?(keeper: TableKeeper, process: SimProcess): TableKeeper
  /** What a role sends to another; undefined: nothing. */
  packet?(sent: Packet, route: PacketRoute): Packet | undefined
  transfer?(role: Transfer, process: SimProcess, toClient: ToClient): void
}

export interface PacketRoute {
  readonly process: SimProcess
  readonly from: string
  readonly to: string
}

export type ToClient = (connId: number, sent: Packet) => void

/** `api` with some of its methods replaced. */
export function withMethods<T extends object>(api: T, methods: Partial<T>): T {
  return new Proxy(api, {
    get: (target, name) => {
      const own = Reflect.get(methods, name) as unknown
      if (own !== undefined) return own
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}
