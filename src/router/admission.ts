import type { ErrorCode } from '../base/error-codes.ts'
import type { LeaderHint } from '../protocol/kinds.ts'
import type { PacketHeader } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { LeaderHints } from './leader-hints.ts'
import type { RouterMachine } from './router-machine.ts'
import type { RowReader } from './row-table.ts'

/** What every part of a router role works with. */
export interface RouterParts {
  readonly env: RoleEnv
  readonly setId: string
  readonly replicaId: number
  readonly replica: ReplicaApi
  readonly machine: RouterMachine
  readonly rows: RowReader
  readonly hints: LeaderHints
  diskLow(): boolean
}

/** A later table than this process's has been acted upon here: by its own it would route to where somebody lived once. */
export function isBehind({ env, machine, rows }: RouterParts): boolean {
  return env.table().epoch < machine.ownership.routeEpoch(rows)
}

/** Decides what a request for a slot gets before it is proposed: the status matrix of docs/routing-table.md. Executed commands are checked again at apply. */
export class Admission {
  readonly #parts: RouterParts

  constructor(parts: RouterParts) {
    this.#parts = parts
  }

  /** Undefined: execute. @param slot as computed here from the request's own key. */
  refusal(request: PacketHeader, slot: number): ErrorCode | undefined {
    const { replica, machine, rows } = this.#parts
    if (request.slot !== slot) return 'BAD_PACKET'
    const asked = request.slotEpoch
    if (!replica.leading()) {
      return asked > this.#knownEpoch(slot) ? 'ROUTER_BEHIND' : this.leadership()
    }
    const { ownership } = machine
    const own = ownership.slotEpoch(rows, slot)
    switch (ownership.state(rows, slot)) {
      case 'owned':
        if (asked === own) return isBehind(this.#parts) ? 'ROUTER_BEHIND' : undefined
        return asked < own ? 'STALE_SLOT' : 'ROUTER_BEHIND'
      case 'sealed':
        return 'SLOT_SEALED'
      case 'importing':
        return asked > own ? 'ROUTER_BEHIND' : 'MOVED'
      default:
        return this.#notOurs(asked, slot)
    }
  }

  /** Why nothing that takes much room may be written now. */
  room(): ErrorCode | undefined {
    return this.#parts.diskLow() ? 'DISK_NEARLY_FULL' : undefined
  }

  /** Why this replica serves nobody: it follows, or nobody leads (yet). Undefined: it leads. */
  leadership(): ErrorCode | undefined {
    const { replica, replicaId } = this.#parts
    if (replica.leading()) return undefined
    const leader = replica.leader()
    return leader === 0 || leader === replicaId ? 'NO_LEADER' : 'NOT_LEADER'
  }

  /** The leader hint that goes with a refusal. */
  hint(code: ErrorCode, slot: number): LeaderHint | undefined {
    const { env, setId, replica, hints } = this.#parts
    if (code === 'NOT_LEADER') {
      return { setId, replicaId: replica.leader(), term: replica.term() }
    }
    if (code !== 'MOVED' && code !== 'STALE_SLOT') return undefined
    const owner = env.table().owner(slot)
    return owner === undefined ? undefined : hints.get(owner.setId)
  }

  #notOurs(asked: number, slot: number): ErrorCode {
    const { env, setId } = this.#parts
    const known = this.#knownEpoch(slot)
    if (asked > known) return 'ROUTER_BEHIND'
    if (asked < known) return 'MOVED'
    // The table gives us the slot, our log does not yet.
    if (env.table().owner(slot)?.setId === setId) return 'ROUTER_BEHIND'
    env.log.error('slot_routed_to_wrong_set', { slot, slotEpoch: asked, setId })
    env.metrics.count('router_misrouted_total')
    return 'MOVED'
  }

  #knownEpoch(slot: number): number {
    const { env, machine, rows } = this.#parts
    const own = machine.ownership.slotEpoch(rows, slot)
    return Math.max(own, env.table().owner(slot)?.slotEpoch ?? 0)
  }
}
