import type { Log, Metrics } from '../base/ports.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role } from '../protocol/role.ts'

/** What carries the roles' packets: collects them during a turn and hands them over at its end. */
export interface TurnLinks {
  /** Between roles of this process. False when there were none. */
  deliverLocal(): boolean
  /** Everything else. */
  flush(): void
}

/** A packet passes through at most so many roles of a process in one turn; what goes further waits for the next. */
const localRoundsMax = 8

interface RunnerOptions {
  readonly tickMs: number
  readonly log: Log
  readonly metrics: Metrics
  readonly links: TurnLinks
  /** The event loop came to a tick that much late. */
  onLate(lateMs: number): void
  /** A role threw: an invariant is broken and the process must stop. */
  onFatal(error: unknown): void
}

/**
 * Drives the roles of one process. A turn: everything that the sockets and the disk brought in one pass of the event loop, then one
 * `flush` per role concerned, so that batches form by themselves under load and cost nothing when idle.
 */
export class RoleRunner {
  readonly #options: RunnerOptions
  readonly #roles = new Map<EndpointId, Role>()
  readonly #dirty = new Set<Role>()
  #endScheduled = false
  #timer: NodeJS.Timeout | undefined
  #expectedTickMs = 0
  #stopped = false

  constructor(options: RunnerOptions) {
    this.#options = options
  }

  add(endpoint: EndpointId, role: Role): void {
    this.#roles.set(endpoint, role)
  }

  start(): void {
    for (const role of this.#roles.values()) this.run(role, () => role.start())
    this.#schedule()
  }

  /** Runs one event of a role and flushes it at the end of the turn. */
  run(role: Role, event: () => void): void {
    if (this.#stopped) return
    try {
      event()
    } catch (error) {
      this.#fatal(error)
    }
    this.wake(role)
  }

  /** The role has something to flush. */
  wake(role: Role): void {
    this.#dirty.add(role)
    if (this.#endScheduled) return
    this.#endScheduled = true
    setImmediate(this.#endTurn)
  }

  /** As `RoleEnv.flushIn`. */
  wakeIn(endpoint: EndpointId, delayMs: number): void {
    const dueMs = performance.now() + delayMs
    const wake = (): void => {
      // Timers count whole milliseconds and may be more than one too early.
      const leftMs = dueMs - performance.now()
      const role = this.#roles.get(endpoint)
      if (leftMs > 0) setTimeout(wake, leftMs).unref()
      else if (role !== undefined) this.wake(role)
    }
    setTimeout(wake, delayMs).unref()
  }

  packet(to: EndpointId, from: EndpointId, packet: Packet): void {
    const role = this.#roles.get(to)
    if (role === undefined || this.#stopped) return
    try {
      role.onPacket(from, packet)
    } catch (error) {
      this.#fatal(error)
    }
    this.wake(role)
  }

  peer(endpoint: EndpointId, up: boolean, refused: boolean): void {
    for (const role of this.#roles.values())
      this.run(role, () => role.onPeer(endpoint, up, refused))
  }

  tableAdopted(): void {
    for (const role of this.#roles.values()) this.run(role, () => role.onTable())
  }

  /** Asks every role to leave and resolves when all have, or after `timeoutMs`. */
  async leave(timeoutMs: number): Promise<void> {
    const deadlineMs = performance.now() + timeoutMs
    for (;;) {
      let busy = false
      for (const role of this.#roles.values()) {
        this.run(role, () => {
          if (!role.stopping()) busy = true
        })
      }
      if (!busy || performance.now() > deadlineMs || this.#stopped) return
      await new Promise(resolve => setTimeout(resolve, this.#options.tickMs))
    }
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
  }

  /** The end of a turn: roles of one process pass packets on to each other within it, then all links are written once. */
  readonly #endTurn = (): void => {
    this.#endScheduled = false
    const { links } = this.#options
    for (let round = 0; round < localRoundsMax; round++) {
      this.#flushRoles()
      if (this.#stopped || !links.deliverLocal()) break
    }
    this.#flushRoles()
    if (!this.#stopped) links.flush()
  }

  #flushRoles(): void {
    if (this.#dirty.size === 0) return
    const roles = [...this.#dirty]
    this.#dirty.clear()
    for (const role of roles) {
      if (this.#stopped) return
      try {
        role.flush()
      } catch (error) {
        this.#fatal(error)
      }
    }
  }

  #schedule(): void {
    const { tickMs } = this.#options
    this.#expectedTickMs = performance.now() + tickMs
    this.#timer = setTimeout(() => {
      const lateMs = performance.now() - this.#expectedTickMs
      this.#options.metrics.observe('event_loop_late_ms', Math.max(0, lateMs))
      this.#options.onLate(lateMs)
      // libuv runs timers before sockets: after a stall, let what has arrived be read before time passes judgement on its absence.
      if (lateMs > tickMs) setImmediate(() => setImmediate(this.#tick))
      else this.#tick()
    }, tickMs)
  }

  readonly #tick = (): void => {
    if (this.#stopped) return
    for (const role of this.#roles.values()) {
      try {
        role.tick()
      } catch (error) {
        this.#fatal(error)
      }
      this.#dirty.add(role)
    }
    this.#endTurn()
    this.#schedule()
  }

  #fatal(error: unknown): void {
    if (this.#stopped) return
    this.stop()
    this.#options.onFatal(error)
  }
}
