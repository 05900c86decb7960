import { createServer, type Server, type Socket } from 'node:net'
import { ByteWriter } from '../base/bytes.ts'
import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { assert, type RingsetError } from '../base/errors.ts'
import type { Clock, Log, Metrics } from '../base/ports.ts'
import type { CarryMode } from '../protocol/carrier.ts'
import { encodeFrame, linkIndex } from '../protocol/frame.ts'
import { answer, type Packet, type PacketHeader, packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import type { ClientEvents, ClientLinks } from '../transfer/client-links.ts'
import { type HostPort, listenOn } from './address.ts'
import { type ClientLimits, defaultClientLimits } from './client-limits.ts'
import { ClientLink, type ClientLinkHost } from './client-link.ts'
import { clientPeer, type LinkFaults } from './link-faults.ts'
import { WriteTurn } from './packet-stream.ts'

export interface ClientListenerOptions {
  readonly carry: CarryMode
  readonly limits?: Partial<ClientLimits> | undefined
  readonly keeper: TableKeeper
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
  /** Disturbs connections on purpose. */
  readonly faults?: LinkFaults | undefined
}

const sweepMs = 250

/** The client connections of one transfer, over TCP. */
export class ClientListener implements ClientLinks, ClientLinkHost {
  readonly turn = new WriteTurn()
  readonly carry: CarryMode
  readonly keeper: TableKeeper
  readonly #options: ClientListenerOptions
  readonly #limits: ClientLimits
  readonly #servers: Server[] = []
  #events: ClientEvents | undefined
  readonly #links = new Map<number, ClientLink>()
  /** Oldest first, as is `#closing`. */
  readonly #greeting = new Set<ClientLink>()
  readonly #closing = new Set<ClientLink>()
  /** Connections over the soft bound, and since when. */
  readonly #slow = new Map<ClientLink, number>()
  #lastConnId = 0
  readonly #sweeper: NodeJS.Timeout
  #stopped: Promise<void> | undefined
  /** The packet sent last and, from its second receiver on, its bytes. */
  #repeated: Packet | undefined
  #repeatedView: TableView | undefined
  #repeatedFrame: Buffer | undefined

  constructor(options: ClientListenerOptions) {
    this.#options = options
    this.carry = options.carry
    this.keeper = options.keeper
    this.#limits = { ...defaultClientLimits, ...options.limits }
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
  }

  /** Opens one more port for the same transfer. Rejects with ALREADY_RUNNING when it is taken. Returns where it listens. */
  listen(at: HostPort, events: ClientEvents): Promise<HostPort> {
    assert(this.#events === undefined || this.#events === events, 'a listener serves one transfer')
    this.#events = events
    const server = createServer({ noDelay: true }, socket => this.#accept(socket))
    this.#servers.push(server)
    return listenOn(server, at, this.#options.log)
  }

  /** Open connections, those being closed included. */
  get connections(): number {
    return this.#links.size
  }

  send(connId: number, sent: Packet): boolean {
    const link = this.#links.get(connId)
    if (link === undefined || link.state === 'closing') return false
    const { softBacklogBytes, hardBacklogBytes } = this.#limits
    const { backlogBytes } = link.stream
    if (backlogBytes > softBacklogBytes) {
      if (backlogBytes > hardBacklogBytes) {
        this.close(connId, 'SLOW_CONSUMER')
        return false
      }
      if (!this.#slow.has(link)) this.#slow.set(link, this.#options.clock.nowMs())
      if (sent.kind === 'PUSH') {
        this.#options.metrics.count('client_pushes_dropped_total')
        return false
      }
    }
    return this.#send(link, sent)
  }

  #send(link: ClientLink, sent: Packet): boolean {
    const view = this.#options.keeper.view()
    const carrier = link.state === 'authenticated' ? link.carrier : undefined
    const { frameBytes } = this.#limits
    if (sent !== this.#repeated || view !== this.#repeatedView) {
      this.#repeated = sent
      this.#repeatedView = view
      this.#repeatedFrame = undefined
    } else if (!carrier?.wants(view.epoch)) {
      this.#repeatedFrame ??= encoded(sent, view)
      const fits = this.#repeatedFrame.length <= frameBytes
      return fits && link.stream.sendEncoded(this.#repeatedFrame)
    }
    const tables = link.carrier.attachments
    const queued = link.stream.send(sent, linkIndex, linkIndex, view, carrier, frameBytes)
    if (link.carrier.attachments !== tables) {
      this.#options.metrics.count('client_tables_sent_total')
    }
    return queued
  }

  authenticated(connId: number): void {
    const link = this.#links.get(connId)
    if (link?.state !== 'greeting') return
    link.state = 'authenticated'
    link.stream.limitBytes = this.#limits.frameBytes
    this.#greeting.delete(link)
  }

  close(connId: number, code?: ErrorCode, text?: string): void {
    const link = this.#links.get(connId)
    if (link !== undefined) this.#close(link, code, text)
  }

  #close(link: ClientLink, code?: ErrorCode, text = ''): void {
    if (link.state === 'closing') return
    this.#greeting.delete(link)
    this.#slow.delete(link)
    if (code !== undefined) this.#send(link, errorPacket(code, text))
    link.state = 'closing'
    link.sinceMs = this.#options.clock.nowMs()
    this.#closing.add(link)
    link.stream.finish()
  }

  /** Stops and resumes reading from a client: backpressure while the transfer cannot take more. */
  setReading(connId: number, reading: boolean): void {
    const link = this.#links.get(connId)
    if (link === undefined || link.state === 'closing') return
    link.stream.setReading(reading)
  }

  /** Writes what was sent so far; otherwise that happens by itself once per event-loop turn. */
  flush(): void {
    this.turn.flush()
  }

  /** Accepts nobody any more; open connections stay. */
  stopAccepting(): void {
    for (const server of this.#servers) server.close()
  }

  /** Stops accepting, hands over what is queued within `closingMs`, and closes every connection. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  async #stop(): Promise<void> {
    const closed = this.#servers.map(
      server =>
        new Promise<void>(resolve => {
          server.once('close', () => resolve())
          if (server.listening) server.close()
          else server.close(() => resolve())
        })
    )
    for (const link of this.#links.values()) this.#close(link)
    await Promise.all(closed)
    clearInterval(this.#sweeper)
  }

  #accept(socket: Socket): void {
    const { connections, greetings, greetingFrameBytes } = this.#limits
    const { clock, metrics } = this.#options
    if (this.#stopped !== undefined || this.#closing.size > greetings) {
      socket.destroy()
      return
    }
    const full = this.#links.size >= connections || this.#greeting.size >= greetings
    const connId = full ? 0 : ++this.#lastConnId
    const link = new ClientLink(this, connId, socket, clock.nowMs(), greetingFrameBytes)
    if (full) {
      metrics.count('client_connections_refused_total')
      this.#close(link, 'TOO_MANY_CONNECTIONS')
      return
    }
    this.#links.set(connId, link)
    this.#options.faults?.watch(link.stream, '', clientPeer)
    this.#greeting.add(link)
    this.#events!.onClientOpen(connId, `${socket.remoteAddress}:${socket.remotePort}`)
  }

  onLinkPacket(link: ClientLink, received: Packet): void {
    const { keeper, metrics } = this.#options
    const { clusterTag } = keeper.view()
    metrics.count('client_packets_total')
    if (link.state === 'greeting' && link.stream.socket.bytesRead > this.#limits.greetingBytes) {
      this.#close(link, 'UNEXPECTED_PACKET', 'too much before CONNECT')
    } else if (
      clusterTag !== 0 &&
      received.clusterTag !== 0 &&
      clusterTag !== received.clusterTag
    ) {
      this.#answer(link, received, 'WRONG_CLUSTER')
    } else if (received.kind === 'LINK_PING') {
      this.send(link.connId, answer(received, 'LINK_PONG', {}))
    } else if (received.kind === 'TABLE_PULL' && link.state === 'authenticated') {
      link.carrier.asked()
      this.send(link.connId, answer(received, 'TABLE', {}))
    } else {
      this.#events!.onClientPacket(link.connId, received)
    }
  }

  onLinkRefused(link: ClientLink, error: RingsetError): void {
    const { bootId, sequence, kind } = error.facts
    this.#options.metrics.count('client_packets_refused_total')
    if (link.state === 'greeting') {
      // A stranger who cannot say CONNECT costs more than it is worth.
      this.#close(link, error.code, error.message.slice(0, 200))
      return
    }
    if (kind === 'ERROR') return
    const ids = { bootId, sequence } as { bootId: number; sequence: number }
    this.send(link.connId, errorPacket(error.code, error.message.slice(0, 200), ids))
  }

  onLinkGarbage(link: ClientLink, error: RingsetError): void {
    this.#options.metrics.count('client_garbage_total')
    this.#close(link, error.code, error.message)
  }

  onLinkClosed(link: ClientLink): void {
    this.#greeting.delete(link)
    this.#closing.delete(link)
    this.#slow.delete(link)
    this.#options.faults?.forget(link.stream)
    link.state = 'closing'
    if (this.#links.delete(link.connId)) this.#events!.onClientClosed(link.connId)
  }

  #answer(link: ClientLink, request: Packet, code: ErrorCode): void {
    if (request.kind === 'ERROR') return
    this.send(link.connId, errorPacket(code, errorCodes[code].summary, request))
  }

  #sweep(): void {
    const nowMs = this.#options.clock.nowMs()
    const { greetingTimeoutMs, closingMs, slowMs, softBacklogBytes } = this.#limits
    this.#repeated = undefined
    this.#repeatedView = undefined
    this.#repeatedFrame = undefined
    for (const link of this.#greeting) {
      if (nowMs - link.sinceMs <= greetingTimeoutMs) break
      this.#close(link, 'HANDSHAKE_TIMEOUT')
    }
    for (const link of this.#closing) {
      if (nowMs - link.sinceMs <= closingMs) break
      link.stream.destroy()
    }
    for (const [link, sinceMs] of this.#slow) {
      if (link.stream.backlogBytes <= softBacklogBytes) this.#slow.delete(link)
      else if (nowMs - sinceMs > slowMs) this.#close(link, 'SLOW_CONSUMER')
    }
    this.#options.metrics.gauge('client_connections', this.#links.size)
  }
}

function encoded(sent: Packet, view: TableView): Buffer {
  const writer = new ByteWriter(512)
  encodeFrame(writer, sent, linkIndex, linkIndex, view.clusterTag, view.epoch)
  return writer.finish()
}

function errorPacket(
  code: ErrorCode,
  text: string,
  request: Partial<PacketHeader> = {}
): Packet<'ERROR'> {
  const { bootId = 0, sequence = 0 } = request
  const payload = { code: errorCodes[code].number, text, retryAfterMs: 0, hint: undefined }
  return packet('ERROR', payload, { bootId, sequence })
}
