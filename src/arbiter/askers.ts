import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { answer, type PacketHeader } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { ArbiterCommand } from './arbiter-commands.ts'
import type { ArbiterResult } from './arbiter-machine.ts'

/** Who waits for a change of the table: a process that announced itself, or somebody in this process. */
export type Asker =
  | {
      readonly from: EndpointId
      readonly request: PacketHeader
      readonly ok: 'ANNOUNCE_OK' | 'MOVE_REPORT_OK'
    }
  | ((refusal: ErrorCode | undefined) => void)

/** A change that waits for its entry, and who asked for it. */
export interface Change {
  /** What it is about: only the newest change of a thing counts. */
  readonly endpoint: string
  readonly command: ArbiterCommand
  readonly asker: Asker | undefined
}

export interface Refused {
  readonly code: ErrorCode
  readonly retryAfterMs: number
}

export const refused = (code: ErrorCode, retryAfterMs = 0): Refused => ({ code, retryAfterMs })

export const codeOfRefusal = {
  noTable: 'NO_TABLE',
  replaced: 'REPLACED',
  malformed: 'BAD_PACKET',
  unknownSet: 'SET_UNKNOWN',
  unknownReplica: 'REPLICA_UNKNOWN',
  usedReplica: 'REPLICA_USED',
  lastReplica: 'LAST_VOTER',
  full: 'OVERLOADED',
  unknownSlot: 'SLOT_UNKNOWN',
  moving: 'SLOT_MOVING',
  drainingSet: 'SET_DRAINING',
  lostSet: 'SET_LOST',
  usedSet: 'SET_USED',
  lastSet: 'LAST_SET',
  pinnedSet: 'SET_PINNED',
  setNotEmpty: 'SET_NOT_EMPTY',
  pinned: 'SLOT_PINNED',
  unknownTenant: 'TENANT_UNKNOWN'
} as const satisfies Record<Exclude<ArbiterResult, 'done'>, ErrorCode>

/** Tells askers what became of their change. */
export class Askers {
  readonly #env: RoleEnv
  readonly #replicaId: number
  readonly #replica: () => ReplicaApi

  constructor(env: RoleEnv, replicaId: number, replica: () => ReplicaApi) {
    this.#env = env
    this.#replicaId = replicaId
    this.#replica = replica
  }

  accept(asker: Asker | undefined): void {
    if (asker === undefined) return
    if (typeof asker === 'function') asker(undefined)
    else this.#env.send(asker.from, answer(asker.request, asker.ok, {}, this.#replica().term()))
  }

  refuse(asker: Asker | undefined, code: ErrorCode, retryAfterMs = 0): void {
    if (asker === undefined) return
    const replica = this.#replica()
    const term = replica.term()
    const leader = replica.leader()
    const known = leader !== 0 && leader !== this.#replicaId
    const told = code === 'NOT_LEADER' && !known ? 'NO_LEADER' : code
    if (typeof asker === 'function') {
      asker(told)
      return
    }
    const hint =
      code === 'NOT_LEADER' && known ? { setId: 'arbiter', replicaId: leader, term } : undefined
    const { number, summary } = errorCodes[told]
    const payload = { code: number, text: summary, retryAfterMs: Math.ceil(retryAfterMs), hint }
    this.#env.send(asker.from, answer(asker.request, 'ERROR', payload, term))
  }
}
