import { errorCodes } from '../base/error-codes.ts'
import { arbiterEndpoint, type EndpointId } from './endpoint.ts'
import type { PayloadOf } from './kinds.ts'
import { type Packet, packet } from './packet.ts'
import type { RoleEnv } from './role.ts'

/** Far above what the roles of the process count from 1, whose sequences share its boot id. */
const firstSequence = 2 ** 47
const leastWaitMs = 50
/** Hints followed at once before it waits: two arbiters may each believe in the other. */
const hintsFollowed = 3

/**
 * Tells the arbiters, again and again, that a process is there: used by transfers, logics and
 * routers. Asks the arbiters in turn, goes where NOT_LEADER points, and stays with the one that
 * answered. At most one announcement is under way.
 */
export class Announcer {
  readonly #env: RoleEnv
  readonly #arbiters: () => readonly EndpointId[]
  readonly #makeAnnounce: () => PayloadOf<'ANNOUNCE'>
  readonly #announceMs: number
  #arbiter: EndpointId | undefined
  #sequence = firstSequence
  #awaiting = false
  #followed = 0
  #failures = 0
  #dueMs = Number.NEGATIVE_INFINITY

  /**
   * @param arbiters endpoints to try, as known now. @param makeAnnounce called for each
   * announcement.
   */
  constructor(
    env: RoleEnv,
    arbiters: () => readonly EndpointId[],
    makeAnnounce: () => PayloadOf<'ANNOUNCE'>,
    announceMs: number
  ) {
    this.#env = env
    this.#arbiters = arbiters
    this.#makeAnnounce = makeAnnounce
    this.#announceMs = announceMs
  }

  tick(): void {
    if (this.#env.nowMs() < this.#dueMs) return
    if (this.#awaiting) this.#turnToNext()
    this.announceNow()
  }

  /** Something about the process has changed: says so at once instead of at the next turn. */
  announceNow(): void {
    this.#followed = 0
    this.#announce()
  }

  /**
   * True when `packet` was the answer to the announcement under way, or to an earlier one; nobody
   * else needs to look at it then.
   */
  onPacket(packet: Packet): boolean {
    if (packet.kind !== 'ANNOUNCE_OK' && packet.kind !== 'ERROR') return false
    if (packet.bootId !== this.#env.bootId || packet.sequence <= firstSequence) return false
    if (packet.sequence !== this.#sequence || !this.#awaiting) return true
    this.#awaiting = false
    if (packet.kind === 'ERROR') {
      this.#onError(packet.payload)
      return true
    }
    this.#failures = 0
    this.#dueIn(this.#announceMs)
    return true
  }

  #onError({ code, retryAfterMs, hint }: PayloadOf<'ERROR'>): void {
    if (code === errorCodes.NOT_LEADER.number && hint?.setId === 'arbiter') {
      const leader = arbiterEndpoint(hint.replicaId)
      if (this.#followed < hintsFollowed && this.#arbiters().includes(leader)) {
        this.#followed++
        this.#arbiter = leader
        this.#announce()
        return
      }
    }
    const elsewhere = code === errorCodes.NOT_LEADER.number || code === errorCodes.NO_LEADER.number
    if (elsewhere) this.#turnToNext()
    else this.#env.log.warn('announcer.refused', { arbiter: this.#arbiter, code })
    // Doubling: while the arbiters have no majority, nobody is to be kept busy with asking.
    const waitMs = Math.max(leastWaitMs * 2 ** this.#failures++, retryAfterMs)
    this.#dueIn(Math.min(waitMs, this.#announceMs))
  }

  #announce(): void {
    this.#awaiting = false
    this.#sequence++
    const header = { bootId: this.#env.bootId, sequence: this.#sequence }
    const deadlineMs = Math.ceil(this.#announceMs / 2)
    const announcement = packet('ANNOUNCE', this.#makeAnnounce(), { ...header, deadlineMs })
    for (let tries = this.#arbiters().length; tries > 0 && !this.#awaiting; tries--) {
      const arbiter = this.#current()
      if (arbiter === undefined) break
      this.#awaiting = this.#env.send(arbiter, announcement)
      if (!this.#awaiting) this.#turnToNext()
    }
    this.#dueIn(deadlineMs)
  }

  #current(): EndpointId | undefined {
    const arbiters = this.#arbiters()
    if (this.#arbiter === undefined || !arbiters.includes(this.#arbiter)) {
      this.#arbiter = arbiters[0]
    }
    return this.#arbiter
  }

  #turnToNext(): void {
    const arbiters = this.#arbiters()
    const at = this.#arbiter === undefined ? -1 : arbiters.indexOf(this.#arbiter)
    this.#arbiter = arbiters[(at + 1) % arbiters.length]
  }

  /** Up to a tenth earlier, so that processes started together do not stay in step. */
  #dueIn(waitMs: number): void {
    this.#dueMs = this.#env.nowMs() + waitMs * (1 - 0.1 * this.#env.random.float())
  }
}
