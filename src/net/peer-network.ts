import { createServer, type Server, type Socket } from 'node:net'
import { assert, type RingsetError } from '../base/errors.ts'
import type { Clock, Log, Metrics, Random } from '../base/ports.ts'
import type { CarryMode } from '../protocol/carrier.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Frame } from '../protocol/frame.ts'
import { linkIndex } from '../protocol/frame.ts'
import type { LeaderHint } from '../protocol/kinds.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import { type HostPort, listenOn, parseAddress } from './address.ts'
import { type Dialer, DialerBook, type Endpoint } from './dialer.ts'
import { EndpointTable } from './endpoint-table.ts'
import type { LinkFaults } from './link-faults.ts'
import { LocalQueue } from './local-queue.ts'
import { WriteTurn } from './packet-stream.ts'
import { defaultPeerLimits, type PeerLimits } from './peer-limits.ts'
import { type LinkHost, type LinkPurpose, PeerLink } from './peer-link.ts'
import { type AnnouncedEndpoint, PeerProcess } from './peer-process.ts'
import { PeerReceiver } from './peer-receiver.ts'

export interface PeerNetworkOptions {
  readonly nodeId: string
  /** Random per process start. */
  readonly bootId: number
  /** The cluster secret; for a logic client its own credential (`logicClientSecret`) is enough. */
  readonly secret: Buffer
  readonly purpose: LinkPurpose
  /** Port 0 takes any free one. Without it the process only dials. */
  readonly listen?: { readonly host: string; readonly port: number } | undefined
  readonly carry: CarryMode
  readonly limits?: Partial<PeerLimits> | undefined
  readonly keeper: TableKeeper
  readonly log: Log
  readonly metrics: Metrics
  readonly clock: Clock
  readonly random: Random
  /** Disturbs links on purpose. */
  readonly faults?: LinkFaults | undefined
  /** Leader hints to greet a dialing process with; at most 1,000 are sent. */
  hints?(): readonly LeaderHint[]
  onHints?(hints: readonly LeaderHint[]): void
  /** Never called from inside `send`. */
  onPacket(to: EndpointId, from: EndpointId, packet: Packet): void
  /** As `Role.onPeer`; once per change, and again with `refused` when that becomes known only later. */
  onPeer(endpoint: EndpointId, up: boolean, refused: boolean): void
}

const sweepMs = 100
const maxLocalEndpoints = 255
const maxHints = 1_000
const guestKey = 'guest '

/**
 * The links of this process to all others: finds, keeps and multiplexes them, carries packets between endpoints, spreads the
 * routing table. Endpoints of this process reach each other through a queue, with the packets unserialised.
 */
export class PeerNetwork implements LinkHost {
  readonly nodeId: string
  readonly bootId: number
  readonly secret: Buffer
  readonly purpose: LinkPurpose
  readonly limits: PeerLimits
  readonly keeper: TableKeeper
  readonly metrics: Metrics
  readonly carry: CarryMode
  readonly faults: LinkFaults | undefined
  readonly #options: PeerNetworkOptions
  readonly #log: Log
  readonly #turn = new WriteTurn()
  readonly #endpoints: EndpointTable
  readonly #localIds: EndpointId[] = []
  readonly #local: LocalQueue
  readonly #dialers: DialerBook
  readonly #processes = new Map<string, PeerProcess>()
  /** Every connection, in whatever state, with its dialer if it was made here. */
  readonly #links = new Map<PeerLink, Dialer | undefined>()
  readonly #receiver: PeerReceiver
  #accepted = 0
  #handshakes = 0
  #guests = 0
  #server: Server | undefined
  #sweepAtMs: number
  readonly #sweeper: NodeJS.Timeout
  #closing: Promise<void> | undefined

  constructor(options: PeerNetworkOptions) {
    this.#options = options
    this.nodeId = options.nodeId
    this.bootId = options.bootId
    this.secret = options.secret
    this.purpose = options.purpose
    this.keeper = options.keeper
    this.metrics = options.metrics
    this.carry = options.carry
    this.faults = options.faults
    this.limits = { ...defaultPeerLimits, ...options.limits }
    this.#log = options.log
    this.#endpoints = new EndpointTable((id, up, refused) => options.onPeer(id, up, refused))
    this.#local = new LocalQueue(this.limits.localPackets, options.onPacket.bind(options))
    this.#dialers = new DialerBook(options.random, (socket, dialer) =>
      this.#openLink(socket, dialer)
    )
    this.#receiver = new PeerReceiver({
      keeper: options.keeper,
      metrics: options.metrics,
      log: options.log,
      localIds: this.#localIds,
      nowMs: () => options.clock.nowMs(),
      bind: (link, endpoints) => this.#bind(link, endpoints),
      onPacket: options.onPacket.bind(options)
    })
    this.#sweepAtMs = options.clock.nowMs()
    this.#sweeper = setInterval(() => this.#sweep(), sweepMs)
  }

  /** Announces an endpoint of this process, also on links that are up already. At most 255. */
  addLocal(id: EndpointId): void {
    const endpoint = this.#endpoints.of(id)
    if (endpoint.localIndex >= 0) return
    assert(this.#localIds.length < maxLocalEndpoints, 'too many endpoints in one process')
    endpoint.localIndex = this.#localIds.length
    this.#localIds.push(id)
    for (const process of this.#processes.values()) process.announce()
  }

  /** Where an endpoint's process listens, `host:port`; throws CONFIG_INVALID. The newest address counts. */
  learn(id: EndpointId, address: string): void {
    parseAddress(address)
    const endpoint = this.#endpoints.of(id)
    if (endpoint.localIndex < 0) this.#dialers.assign(endpoint, address)
  }

  /** Forgets the address and the interest; an open link stays. */
  forget(id: EndpointId): void {
    const endpoint = this.#endpoints.get(id)
    if (endpoint === undefined || endpoint.localIndex >= 0) return
    endpoint.wanted = false
    this.#dialers.release(endpoint)
    this.#endpoints.release(endpoint)
  }

  /** Keeps a link to the endpoint's process from now on, as soon as its address is known. Sending to it implies this. */
  interest(id: EndpointId): void {
    const endpoint = this.#endpoints.of(id)
    if (endpoint.localIndex >= 0) return
    endpoint.wanted = true
    if (endpoint.process === undefined) endpoint.dialer?.dial()
  }

  /** Connections in any state, those being made or closed included. */
  get links(): number {
    return this.#links.size
  }

  /** As `RoleEnv.send`. `from` must be local. */
  send(from: EndpointId, to: EndpointId, sent: Packet): boolean {
    const target = this.#endpoints.get(to)
    if (target === undefined || this.#closing !== undefined) return false
    const fromIndex = this.#endpoints.get(from)?.localIndex ?? -1
    assert(fromIndex >= 0, 'a packet is sent from an endpoint that is not here', { from })
    if (target.localIndex >= 0) {
      const { clusterTag, epoch } = this.keeper.view()
      sent.clusterTag = clusterTag
      sent.epoch = epoch
      if (sent.kind !== 'TABLE_PULL') return this.#local.add(to, from, sent)
      return this.#local.add(from, to, answer(sent, 'TABLE', {}))
    }
    target.wanted = true
    if (target.process !== undefined) return target.process.send(sent, target.index, fromIndex)
    const { dialer } = target
    if (dialer === undefined) return false
    dialer.dial()
    const { waitingPackets, waitingBytes } = this.limits
    return dialer.wait({ to: target, fromIndex, sent }, waitingPackets, waitingBytes)
  }

  /** Hands packets between endpoints of this process over now instead of in the next turn. False when there were none. */
  deliverLocal(): boolean {
    return this.#local.drain()
  }

  /** Writes what was sent so far; otherwise that happens by itself once per event-loop turn. */
  flush(): void {
    this.#turn.flush()
  }

  /** Starts to accept. Rejects with ALREADY_RUNNING when the port is taken. Returns where it listens. */
  listen(): Promise<HostPort> {
    const { listen } = this.#options
    assert(listen !== undefined && this.#server === undefined, 'listen once, with an address')
    this.#server = createServer({ noDelay: true }, socket => this.#accept(socket))
    return listenOn(this.#server, listen, this.#log)
  }

  /** Stops accepting and dialing, hands over what is queued within a second, and closes all links. No callback comes afterwards. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#local.stop()
    this.#dialers.stop()
    const closed = [...this.#links.keys()].map(
      link => new Promise<void>(resolve => link.stream.socket.once('close', () => resolve()))
    )
    for (const link of this.#links.keys()) link.finish()
    const server = this.#server
    if (server !== undefined) {
      closed.push(new Promise<void>(resolve => server.close(() => resolve())))
    }
    await Promise.all(closed)
    clearInterval(this.#sweeper)
  }

  // What links ask and tell.

  nowMs(): number {
    return this.#options.clock.nowMs()
  }

  view(): TableView {
    return this.keeper.view()
  }

  announced(): AnnouncedEndpoint[] {
    return this.#localIds.map((id, index) => ({ index, id }))
  }

  hints(): LeaderHint[] {
    return (this.#options.hints?.() ?? []).slice(0, maxHints)
  }

  onLinkOpen(
    link: PeerLink,
    endpoints: readonly AnnouncedEndpoint[],
    hints: readonly LeaderHint[]
  ): void {
    if (this.#closing !== undefined) return
    this.#log.info('link_open', { nodeId: link.nodeId, bootId: link.bootId, dialed: link.dialed })
    if (!link.dialed) this.#handshakes--
    link.process = this.#join(link)
    link.process.carrier.heard(link.shownEpoch)
    if (this.purpose === 'logic-client') this.#receiver.catchUp(link.process, link)
    if (hints.length > 0) this.#options.onHints?.(hints)
    link.process.announce()
    this.#bind(link, endpoints)
  }

  #join(link: PeerLink): PeerProcess {
    const key = link.trusted ? link.nodeId : `${guestKey}${++this.#guests}`
    const known = this.#processes.get(key)
    if (known !== undefined && known.bootId === link.bootId) {
      // A process keeps one link of its own making: an older one from the same side is dead, one from the other side may be.
      for (const other of [...known.links]) {
        if (other.dialed === link.dialed) other.destroy()
        else other.suspect()
      }
      known.links.push(link)
      return known
    }
    const process = new PeerProcess(key, link.bootId, link, this)
    this.#processes.set(key, process)
    // A new boot of the node proves that the old process is gone.
    if (known !== undefined) this.#drop(known, true)
    return process
  }

  #bind(link: PeerLink, endpoints: readonly AnnouncedEndpoint[]): void {
    const process = link.process!
    const bound: Endpoint[] = []
    for (const { index, id } of endpoints) {
      if (index === linkIndex || process.endpoints[index] !== undefined) continue
      const endpoint = this.#endpoints.of(
        link.trusted ? id : `client/${link.bootId}/${++this.#guests}`
      )
      if (endpoint.localIndex >= 0) {
        this.#log.warn('link_claims_local_endpoint', { nodeId: link.nodeId, endpoint: id })
        continue
      }
      process.endpoints[index] = endpoint.id
      endpoint.process = process
      endpoint.index = index
      bound.push(endpoint)
    }
    for (const endpoint of bound) {
      for (const { to, fromIndex, sent } of endpoint.dialer?.takeWaiting() ?? []) {
        to.process?.send(sent, to.index, fromIndex)
      }
    }
    for (const endpoint of bound) this.#endpoints.up(endpoint)
  }

  onLinkFrame(link: PeerLink, frame: Frame): void {
    if (link.process !== undefined) this.#receiver.receive(link.process, link, frame)
  }

  onLinkRefused(link: PeerLink, error: RingsetError): void {
    if (link.process !== undefined) this.#receiver.refused(link.process, link, error)
  }

  onLinkClosed(link: PeerLink): void {
    const { process } = link
    const dialer = this.#links.get(link)
    this.#links.delete(link)
    if (!link.dialed) {
      this.#accepted--
      if (link.openedAtMs === 0) this.#handshakes--
    }
    if (this.#closing !== undefined) return
    if (link.failure !== undefined) {
      const { nodeId, failure: code } = link
      this.#log.warn('link_failed', { nodeId, code, address: dialer?.address })
    }
    if (process !== undefined) this.#leave(process, link)
    if (dialer === undefined) return
    if (link.stream.refused) {
      for (const endpoint of [...dialer.endpoints]) {
        if (endpoint.process === undefined) this.#endpoints.down(endpoint, true)
      }
    }
    dialer.closed(this.nowMs())
  }

  #leave(process: PeerProcess, link: PeerLink): void {
    this.#log.info('link_closed', { nodeId: link.nodeId, bootId: link.bootId })
    link.process = undefined
    process.links.splice(process.links.indexOf(link), 1)
    const next = process.links[0]
    if (next === undefined) {
      this.#processes.delete(process.key)
      this.#drop(process, false)
    } else if (process.sending === link) {
      process.sending = next
      process.announce()
      // What was on its way is lost although the process is not.
      for (const endpoint of this.#endpoints.at(process)) {
        this.#endpoints.down(endpoint, false)
        this.#endpoints.up(endpoint)
      }
    }
  }

  /** No link to the process is left, or none is wanted any more because `replaced`. */
  #drop(process: PeerProcess, replaced: boolean): void {
    for (const link of process.links) {
      link.process = undefined
      link.destroy()
    }
    const endpoints = this.#endpoints.at(process)
    const guest = process.key.startsWith(guestKey)
    for (const endpoint of endpoints) {
      endpoint.process = undefined
      if (guest) endpoint.wanted = false
      if (replaced || endpoint.dialer === undefined) this.#endpoints.down(endpoint, replaced)
      else this.#endpoints.lost(endpoint, this.nowMs())
      this.#endpoints.release(endpoint)
    }
    if (replaced) return
    for (const { dialer } of endpoints) {
      if (dialer?.wanted) dialer.dialNow()
    }
  }

  #accept(socket: Socket): void {
    const { acceptedLinks, handshakes } = this.limits
    if (
      this.#closing !== undefined ||
      this.#accepted >= acceptedLinks ||
      this.#handshakes >= handshakes
    ) {
      this.metrics.count('link_accepts_refused_total')
      socket.destroy()
      return
    }
    this.#accepted++
    this.#handshakes++
    this.#openLink(socket, undefined)
  }

  #openLink(socket: Socket, dialer: Dialer | undefined): PeerLink {
    const link = new PeerLink(this, socket, this.#turn, dialer?.address)
    this.#links.set(link, dialer)
    return link
  }

  #sweep(): void {
    const nowMs = this.nowMs()
    const lateMs = nowMs - this.#sweepAtMs - sweepMs
    this.#sweepAtMs = nowMs
    const graceMs = lateMs > sweepMs ? lateMs : 0
    for (const link of this.#links.keys()) link.sweep(nowMs, graceMs)
    if (this.#closing !== undefined) return
    for (const process of this.#processes.values()) process.announce()
    this.#endpoints.sweep(nowMs, this.limits.lostMs)
  }
}
