import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { KindName, LeaderHint, PayloadOf } from '../protocol/kinds.ts'
import type { Packet, PacketHeader } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'

/** When the sender may try again, in ms; errors that are not listed state none. */
const retryAfterMs: Partial<Record<ErrorCode, number>> = {
  OVERLOADED: 50,
  DISK_NEARLY_FULL: 200,
  NO_LEADER: 30,
  NO_TABLE: 100,
  SLOT_SEALED: 50,
  ROUTER_BEHIND: 20,
  PROPOSAL_DROPPED: 10
}

/** Answers requests. A request without an id wants no answer and gets none. */
export class Replies {
  readonly #env: RoleEnv
  readonly #term: () => number

  constructor(env: RoleEnv, term: () => number) {
    this.#env = env
    this.#term = term
  }

  ok<K extends KindName>(
    to: EndpointId,
    request: PacketHeader,
    kind: K,
    payload: PayloadOf<K>
  ): void {
    if (request.sequence === 0) return
    // One literal: this runs once per message.
    const reply = {
      hop: 0,
      priority: request.priority,
      bootId: request.bootId,
      sequence: request.sequence,
      deadlineMs: 0,
      clusterTag: 0,
      epoch: 0,
      slot: request.slot,
      slotEpoch: request.slotEpoch,
      term: this.#term(),
      kind,
      payload
    }
    this.#env.send(to, reply as unknown as Packet)
  }

  error(
    to: EndpointId,
    request: PacketHeader,
    code: ErrorCode,
    hint?: LeaderHint,
    text = ''
  ): void {
    this.#env.metrics.count(`router_refused_${code.toLowerCase()}_total`)
    this.ok(to, request, 'ERROR', {
      code: errorCodes[code].number,
      text,
      retryAfterMs: retryAfterMs[code] ?? 0,
      hint
    })
  }
}

/** The header alone, for an answer that comes later: it does not keep the request's payload in memory. */
export function headerOf(request: PacketHeader): PacketHeader {
  const { hop, priority, bootId, sequence, deadlineMs, clusterTag } = request
  const { epoch, slot, slotEpoch, term } = request
  return { hop, priority, bootId, sequence, deadlineMs, clusterTag, epoch, slot, slotEpoch, term }
}

/** Answers are never answered, lest two processes talk for ever. */
export function isAnswer({ kind }: Packet): boolean {
  return kind === 'ERROR' || kind === 'TABLE' || kind === 'RAFT' || kind.endsWith('_OK')
}
