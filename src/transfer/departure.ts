import { packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { ClientLinks } from './client-links.ts'
import type { Connection } from './connection.ts'
import type { ConnectionTable } from './connection-table.ts'
import { Drain, usualDrainMs } from './drain.ts'
import { addressesOf } from './refuges.ts'

/** A client whose turn has come leaves within this time. */
const withinMs = 200
/** Who was asked to leave and stays gets this long for its last bytes. */
const graceMs = 3_000
/** In which those leave whose gateway is cut off. */
const cutOffWindowMs = 500

export interface DepartureOptions {
  readonly id: string
  readonly setId: string
  /** Clients leave within this window when the process stops. */
  readonly stopMs: number
  /** Wakes the connection at `atMs` at the latest. */
  watch(connection: Connection, atMs: number): void
  /** Tells the arbiters whether it is leaving. */
  announce(): void
}

/**
 * Sends the clients of a gateway elsewhere: because somebody drains it, because it is cut off from its
 * set, or because its process stops. A drain lasts as long as the process, or until it is taken back. While no other gateway of
 * the set is up, a drain that is not forced keeps who is there and takes who comes.
 */
export class Departure {
  readonly #env: RoleEnv
  readonly #links: ClientLinks
  readonly #connections: ConnectionTable
  readonly #options: DepartureOptions
  #drain: Drain | undefined
  /** Nobody has asked for the drain that is on; it ends when the set is heard again. */
  #cutOff = false
  #stopAtMs: number | undefined

  constructor(
    env: RoleEnv,
    links: ClientLinks,
    connections: ConnectionTable,
    options: DepartureOptions
  ) {
    this.#env = env
    this.#links = links
    this.#connections = connections
    this.#options = options
  }

  /** Whether clients should be sent to others: what the routing table calls draining. */
  get leaving(): boolean {
    return this.#drain !== undefined || this.stopping
  }

  get state(): 'up' | 'draining' | 'stopping' {
    if (this.stopping) return 'stopping'
    return this.leaving ? 'draining' : 'up'
  }

  get cutOff(): boolean {
    return this.#cutOff
  }

  get stopping(): boolean {
    return this.#stopAtMs !== undefined
  }

  /** Connections that the drain has sent away and that are gone; undefined while there is no drain. */
  get moved(): number | undefined {
    return this.#drain?.moved
  }

  /**
   * Takes no clients any more and sends those that are there to other gateways of the set, evenly
   * over `windowMs` (undefined: as their number asks for).
   * @param forced also when there is no other. @returns false when it drains like that already.
   */
  drain(windowMs: number | undefined, forced: boolean): boolean {
    if (this.#drain !== undefined) {
      const own = this.#cutOff
      this.#cutOff = false
      if (!forced || this.#drain.forced) return own
      this.#drain.forced = true
      return true
    }
    const open = this.#connections.all().filter(({ phase }) => phase === 'open')
    const window = windowMs ?? usualDrainMs(open.length)
    this.#drain = new Drain(this.#env.nowMs(), window, forced, open)
    this.#options.announce()
    return true
  }

  /** Who was asked already still goes; everybody else stays. @returns false when it did not drain. */
  undrain(): boolean {
    if (this.#drain === undefined) return false
    this.#drain = undefined
    this.#cutOff = false
    for (const connection of this.#connections.all()) connection.leaveByMs = 0
    this.#options.announce()
    return true
  }

  /** The gateway has lost its set: as a drain that is not forced, unless one is on already. Or it has found it again. */
  setCutOff(cutOff: boolean): void {
    if (!cutOff) {
      if (this.#cutOff) this.undrain()
    } else if (this.#drain === undefined) {
      this.drain(cutOffWindowMs, false)
      this.#cutOff = true
    }
  }

  /** Where a client that has just come should go instead; undefined: it may stay. */
  elsewhere(): string[] | undefined {
    if (this.#drain === undefined) return undefined
    const addresses = this.#refuges()
    return addresses.length > 0 || this.#drain.forced ? addresses : undefined
  }

  opened(connection: Connection): void {
    this.#drain?.add(connection)
  }

  closed(connection: Connection): void {
    if (connection.leaveByMs > 0 && this.#drain !== undefined) this.#drain.moved++
  }

  tick(): void {
    const drain = this.#drain
    if (drain === undefined) return
    const now = this.#env.nowMs()
    const addresses = this.#refuges()
    const due = drain.due(now, addresses.length === 0 && !drain.forced)
    if (due.length === 0) return
    const leave = packet('RECONNECT', { withinMs, addresses })
    for (const connection of due) {
      connection.leaveByMs = now + withinMs + graceMs
      this.#links.send(connection.connId, leave)
      this.#options.watch(connection, connection.leaveByMs)
    }
  }

  /**
   * The process stops; the first call asks everybody to leave. `asked`: they have time · `over`:
   * close who is left · `late`: wait for nobody any more.
   */
  stop(): 'asked' | 'over' | 'late' {
    const { stopMs } = this.#options
    const now = this.#env.nowMs()
    if (this.#stopAtMs === undefined) {
      this.#stopAtMs = now + stopMs
      this.reconnect(this.#connections.all(), stopMs)
      this.#options.announce()
    }
    if (now < this.#stopAtMs) return 'asked'
    return now < this.#stopAtMs + graceMs ? 'over' : 'late'
  }

  /** Asks connections to leave within a time, each at a moment of its choice. */
  reconnect(connections: readonly Connection[], within: number): void {
    const leave = packet('RECONNECT', { withinMs: within, addresses: this.#refuges() })
    for (const { connId } of connections) this.#links.send(connId, leave)
  }

  #refuges(): string[] {
    const { id, setId } = this.#options
    return addressesOf(this.#env.table(), setId, id)
  }
}
