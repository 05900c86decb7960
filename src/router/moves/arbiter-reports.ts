import { errorCodeOf } from '../../base/error-codes.ts'
import { arbiterEndpoint, type EndpointId } from '../../protocol/endpoint.ts'
import type { PayloadOf } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import type { RoleEnv } from '../../protocol/role.ts'

/** How often the same is said again, until the table shows that it was heard. */
const reportMs = 200
/** An arbiter that says nothing for so long is given up for the next: a packet to one that hangs is taken, and waits. Users of sealed slots wait, too. */
const silenceMs = 400
const tablePullMs = 100
/** Reports that are waited for; beyond it all are forgotten, and repeated. */
const openMost = 1_024

/**
 * What a router tells the arbiters of the slots on their way, and the table that it asks them for. Reports go where NOT_LEADER points,
 * else from one arbiter to the next.
 */
export class ArbiterReports {
  readonly #env: RoleEnv
  readonly #arbiters: () => readonly EndpointId[]
  readonly #nextSequence: () => number
  readonly #reportedMs = new Map<number, number>()
  /** Sequences of those that were not answered, with their slots. */
  readonly #open = new Map<number, number>()
  /** Which of the arbiters is next. */
  #next = 0
  /** It has answered nothing since then. */
  #silentSinceMs = Number.POSITIVE_INFINITY
  #pulledMs = Number.NEGATIVE_INFINITY

  constructor(env: RoleEnv, arbiters: () => readonly EndpointId[], nextSequence: () => number) {
    this.#env = env
    this.#arbiters = arbiters
    this.#nextSequence = nextSequence
  }

  clear(): void {
    this.#reportedMs.clear()
    this.#open.clear()
    this.#silentSinceMs = Number.POSITIVE_INFINITY
  }

  /** @param slots what is on its way; of others it may be told at once. */
  keep(slots: ReadonlySet<number>): void {
    for (const slot of this.#reportedMs.keys()) if (!slots.has(slot)) this.#reportedMs.delete(slot)
  }

  /** Does nothing when it was said a moment ago. */
  report(slot: number, epoch: number, outcome: PayloadOf<'MOVE_REPORT'>['outcome']): void {
    const nowMs = this.#env.nowMs()
    if (nowMs - (this.#reportedMs.get(slot) ?? Number.NEGATIVE_INFINITY) < reportMs) return
    if (nowMs - this.#silentSinceMs >= silenceMs) this.#turn(this.#next + 1)
    const to = this.#current()
    if (to === undefined) return
    this.#reportedMs.set(slot, nowMs)
    const sequence = this.#nextSequence()
    const header = { bootId: this.#env.bootId, sequence, deadlineMs: reportMs }
    const sent = this.#env.send(to, packet('MOVE_REPORT', { slot, epoch, outcome }, header))
    if (!sent) {
      this.#turn(this.#next + 1)
      return
    }
    if (this.#open.size >= openMost) this.#open.clear()
    this.#open.set(sequence, slot)
    this.#silentSinceMs = Math.min(this.#silentSinceMs, nowMs)
  }

  /**
   * The answer to a report, or none of this router's: `undefined`. True when the report may go elsewhere at once.
   */
  onAnswer(answer: Packet<'MOVE_REPORT_OK'> | Packet<'ERROR'>): boolean | undefined {
    const slot = this.#open.get(answer.sequence)
    if (slot === undefined) return undefined
    this.#open.delete(answer.sequence)
    this.#silentSinceMs = Number.POSITIVE_INFINITY
    if (answer.kind !== 'ERROR') return false
    const code = errorCodeOf(answer.payload.code)
    if (code !== 'NOT_LEADER' && code !== 'NO_LEADER') return false
    const leader = arbiterEndpoint(answer.payload.hint?.replicaId ?? 0)
    const at = this.#arbiters().indexOf(leader)
    this.#turn(at < 0 ? this.#next + 1 : at)
    if (at >= 0) this.#reportedMs.delete(slot)
    return at >= 0
  }

  /** Asks one arbiter after the other. */
  pullTable(): void {
    const nowMs = this.#env.nowMs()
    if (nowMs - this.#pulledMs < tablePullMs) return
    this.#pulledMs = nowMs
    const to = this.#current()
    this.#turn(this.#next + 1)
    if (to !== undefined) this.#env.send(to, packet('TABLE_PULL', {}))
  }

  #current(): EndpointId | undefined {
    const arbiters = this.#arbiters()
    return arbiters[this.#next % Math.max(1, arbiters.length)]
  }

  #turn(next: number): void {
    this.#next = next
    this.#silentSinceMs = Number.POSITIVE_INFINITY
  }
}
