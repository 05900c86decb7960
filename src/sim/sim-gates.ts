import { type ErrorCode, errorCodeOf, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import type { ClientLink, DialEvents } from '../client/client-core.ts'
import { TableCarrier } from '../protocol/carrier.ts'
import { type EndpointId, transferEndpoint } from '../protocol/endpoint.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { ClientLinks, TransferRole } from '../transfer/client-links.ts'
import { SimFailure } from './invariants.ts'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

const connectTimeoutMs = 5_000
/** What a device that reads slowly has before it is never older: more the gateway would not keep for it. */
const backlogMaxMs = 5_000

/** A device's end of its connections: events in a paused or dead network are the caller's to hold back. */
export interface ClientEnd {
  readonly name: string
  readonly keeper: TableKeeper
  /** Packets in both directions vanish. */
  muted: boolean
  /** Takes one packet in so many milliseconds; 0 = as they come. */
  readsEveryMs: number
}

/** A device's connection that lives, and the transfer that it leads to. */
interface PresentConnection {
  readonly process: SimProcess
  readonly endpoint: EndpointId
  readonly connId: number
}

/** A client's connection to a transfer. */
interface Connection {
  readonly connId: number
  readonly gate: Gate
  readonly end: ClientEnd
  readonly events: DialEvents
  readonly carrier: TableCarrier
  authenticated: boolean
  serverOpen: boolean
  clientOpen: boolean
  farewell: RingsetError | undefined
  toServerMs: number
  toClientMs: number
}

export const clientAddressOf = (transferId: string): string => `tcp://${transferId}`

/** All client connections of the world. */
export class SimGates {
  readonly #world: World
  readonly random: Prng
  readonly #gates = new Map<string, Gate>()

  constructor(world: World) {
    this.#world = world
    this.random = new Prng(world.seed, 'clients')
  }

  get world(): World {
    return this.#world
  }

  /** The listener of one life of a transfer. */
  open(process: SimProcess, transferId: string): Gate {
    const gate = new Gate(this, process, transferEndpoint(transferId))
    this.#gates.set(clientAddressOf(transferId), gate)
    return gate
  }

  /** Connections end with the process; only a loss of power leaves the clients guessing. */
  stopped(process: SimProcess, kind: 'killed' | 'powerLoss'): void {
    for (const gate of this.#gates.values()) {
      if (gate.process === process) gate.stopped(kind === 'killed')
    }
  }

  /** Connects as a device does; every attempt ends with one `onOpen` or `onClose`. */
  dial(address: string, end: ClientEnd, events: DialEvents): void {
    const { kernel } = this.#world
    const gate = this.#gates.get(address)
    const fail = (delayMs: number): void =>
      kernel.schedule(delayMs, () => events.onClose(new RingsetError('UNREACHABLE')))
    if (gate === undefined || (!gate.process.alive && gate.process.powered)) {
      fail(this.travelMs() * 2)
    } else if (end.muted || !gate.process.powered) fail(connectTimeoutMs)
    else gate.accept(end, events)
  }

  /** The connection that both ends believe in. */
  connectionOf(end: ClientEnd): PresentConnection | undefined {
    for (const gate of this.#gates.values()) {
      const found = gate.connectionOf(end)
      if (found !== undefined) return found
    }
    return undefined
  }

  /** Breaks the connections of a device; what was under way is lost. */
  reset(end: ClientEnd): void {
    for (const gate of this.#gates.values()) gate.reset(end)
  }

  travelMs(): number {
    const { clientLatencyMs } = this.#world.swarm
    return clientLatencyMs * (0.5 - 0.5 * Math.log(1 - this.random.float()))
  }
}

/** The client connections of one life of a transfer: the twin of the real listener. */
export class Gate implements ClientLinks {
  readonly #gates: SimGates
  readonly process: SimProcess
  readonly #endpoint: EndpointId
  readonly #life: number
  readonly #connections = new Map<number, Connection>()
  #lastConnId = 0

  constructor(gates: SimGates, process: SimProcess, endpoint: EndpointId) {
    this.#gates = gates
    this.process = process
    this.#endpoint = endpoint
    this.#life = process.life
  }

  // What clients do

  accept(end: ClientEnd, events: DialEvents): void {
    const connection: Connection = {
      connId: ++this.#lastConnId,
      gate: this,
      end,
      events,
      carrier: new TableCarrier(this.process.carry, this.process.keeper),
      authenticated: false,
      serverOpen: false,
      clientOpen: false,
      farewell: undefined,
      toServerMs: 0,
      toClientMs: 0
    }
    // The operating system accepts, also while the process is paused.
    this.#toServer(connection, () => {
      this.#connections.set(connection.connId, connection)
      connection.serverOpen = true
      this.#event(role => role.onClientOpen(connection.connId, end.name))
    })
    this.#toClient(connection, () => {
      connection.clientOpen = true
      const link: ClientLink = {
        send: sent => this.#fromClient(connection, sent),
        close: () => this.#closedByClient(connection)
      }
      events.onOpen(link)
    })
  }

  #fromClient(connection: Connection, sent: Packet): boolean {
    if (!connection.clientOpen) return false
    const { epoch } = connection.end.keeper.view()
    if (connection.end.muted) return true
    this.#toServer(connection, () => {
      if (!connection.serverOpen) return
      connection.carrier.heard(epoch)
      if (sent.kind === 'TABLE_PULL') {
        connection.carrier.asked()
        this.send(connection.connId, answer(sent, 'TABLE', {}))
      } else this.#event(role => role.onClientPacket(connection.connId, sent))
    })
    return true
  }

  #closedByClient(connection: Connection): void {
    if (!connection.clientOpen) return
    connection.clientOpen = false
    if (connection.end.muted) return
    this.#toServer(connection, () => this.#closeServer(connection))
  }

  connectionOf(end: ClientEnd): PresentConnection | undefined {
    for (const { connId, end: own, clientOpen, authenticated } of this.#connections.values()) {
      if (own !== end || !clientOpen || !authenticated) continue
      return { process: this.process, endpoint: this.#endpoint, connId }
    }
    return undefined
  }

  reset(end: ClientEnd): void {
    for (const connection of this.#connections.values()) {
      if (connection.end !== end) continue
      this.#closeServer(connection)
      this.#closeClient(connection)
    }
  }

  stopped(told: boolean): void {
    for (const connection of this.#connections.values()) {
      connection.serverOpen = false
      if (told) this.#toClient(connection, () => this.#closeClient(connection))
    }
    this.#connections.clear()
  }

  // What the transfer does

  send(connId: number, sent: Packet): boolean {
    const connection = this.#connections.get(connId)
    if (connection === undefined || !connection.serverOpen) return false
    const view = this.process.keeper.view()
    const { epoch } = view
    const { carrier, end } = connection
    const table = connection.authenticated ? carrier.attachment(view) : undefined
    if (table !== undefined) carrier.attached(epoch)
    if (end.muted) return true
    this.#toClient(connection, () => {
      if (!connection.clientOpen || end.muted) return
      if (table !== undefined && end.keeper.view().epoch < epoch) this.#adopt(connection, table)
      if (sent.kind === 'TABLE') return
      if (sent.kind === 'ERROR' && sent.bootId === 0) {
        const { code, text } = sent.payload
        connection.farewell = new RingsetError(errorCodeOf(code), text || undefined)
      }
      connection.events.onPacket(sent)
    })
    return true
  }

  #adopt(connection: Connection, table: Buffer): void {
    const adoption = connection.end.keeper.adopt(table)
    if (adoption === 'gap') this.#fromClient(connection, packet('TABLE_PULL', {}))
    else if (adoption === 'malformed' || adoption === 'foreign') {
      throw new SimFailure('tables', `${connection.end.name} is sent a ${adoption} table`)
    }
  }

  authenticated(connId: number): void {
    const connection = this.#connections.get(connId)
    if (connection !== undefined) connection.authenticated = true
  }

  close(connId: number, code?: ErrorCode, text = ''): void {
    const connection = this.#connections.get(connId)
    if (connection === undefined || !connection.serverOpen) return
    if (code !== undefined) {
      const payload = { code: errorCodes[code].number, text, retryAfterMs: 0, hint: undefined }
      this.send(connId, packet('ERROR', payload))
    }
    this.process.after(0, () => this.#closeServer(connection))
    this.#toClient(connection, () => this.#closeClient(connection))
  }

  #closeServer(connection: Connection): void {
    if (!connection.serverOpen) return
    connection.serverOpen = false
    this.#connections.delete(connection.connId)
    this.#event(role => role.onClientClosed(connection.connId))
  }

  #closeClient(connection: Connection): void {
    if (!connection.clientOpen || connection.end.muted) return
    connection.clientOpen = false
    connection.events.onClose(connection.farewell ?? new RingsetError('UNREACHABLE', 'closed'))
  }

  #event(event: (role: TransferRole) => void): void {
    this.process.enqueue(() => {
      if (this.process.life === this.#life) {
        this.process.role(this.#endpoint, role => event(role as TransferRole))
      }
    })
  }

  #toServer(connection: Connection, event: () => void): void {
    const { kernel } = this.#gates.world
    const nowMs = kernel.nowMs()
    connection.toServerMs = Math.max(nowMs + this.#gates.travelMs(), connection.toServerMs + 1e-6)
    const { life } = this.process
    kernel.schedule(connection.toServerMs - nowMs, () => {
      if (this.process.alive && this.process.life === life && life === this.#life) event()
    })
  }

  #toClient(connection: Connection, event: () => void): void {
    const { kernel } = this.#gates.world
    const nowMs = kernel.nowMs()
    const arrivesMs = nowMs + this.#gates.travelMs()
    const { readsEveryMs } = connection.end
    const behindMs = Math.min(connection.toClientMs + readsEveryMs, arrivesMs + backlogMaxMs)
    connection.toClientMs = Math.max(arrivesMs, behindMs, connection.toClientMs + 1e-6)
    kernel.schedule(connection.toClientMs - nowMs, event)
  }
}
