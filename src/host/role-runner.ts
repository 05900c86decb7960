import type { Log, Metrics } from '../base/ports.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role } from '../protocol/role.ts'

interface RunnerOptions {
  readonly tickMs: number
  readonly log: Log
  readonly metrics: Metrics
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
  #flushScheduled = false
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
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(this.#flush)
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

  readonly #flush = (): void => {
    this.#flushScheduled = false
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
      // libuv runs timers before sockets: let what has already arrived be read before time passes judgement on its absence.
      if (lateMs > tickMs * 2) setImmediate(() => setImmediate(this.#tick))
      else setImmediate(this.#tick)
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
      this.wake(role)
    }
    this.#schedule()
  }

  #fatal(error: unknown): void {
    if (this.#stopped) return
    this.stop()
    this.#options.onFatal(error)
  }
}
