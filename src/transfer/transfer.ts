import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { TimerWheel } from '../base/timer-wheel.ts'
import { Announcer } from '../protocol/announcer.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { hardLimits, type PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import { RouteClient } from '../route/route-client.ts'
import { admitted } from './admission.ts'
import { announcementOf, arbitersOf } from './announcement.ts'
import type { ClientLinks, TransferRole } from './client-links.ts'
import { ClientRequests, repeatAfterMs } from './client-requests.ts'
import { Connection } from './connection.ts'
import { ConnectionTable } from './connection-table.ts'
import { CutOff } from './cut-off.ts'
import { Departure } from './departure.ts'
import { Instance } from './instance.ts'
import { LogicCaller } from './logic-caller.ts'
import { Pushes } from './pushes.ts'
import { addressesOf } from './refuges.ts'
import type { TransferOptions, VerifyToken } from './transfer-options.ts'

/** So many times between two renewals of its lease may pass before a gateway whom nobody of its set is connected to counts as cut off. */
const silentRenewals = 1.5

/**
 * The gateway: keeps the clients' connections, authenticates, forwards what they ask to a logic of
 * its set, and pushes what the router leader hands it. Holds no durable state; every loss of its
 * memory is repaired by reconnects and heartbeats.
 */
export class Transfer implements TransferRole {
  readonly #env: RoleEnv
  readonly #links: ClientLinks
  readonly #verifyToken: VerifyToken
  readonly #options: TransferOptions
  readonly #route: RouteClient
  readonly #caller: LogicCaller
  readonly #pushes: Pushes
  readonly #requests: ClientRequests
  readonly #instance: Instance
  readonly #announcer: Announcer
  readonly #wheel: TimerWheel<Connection>
  readonly #connections = new ConnectionTable()
  /** How its clients are sent elsewhere. */
  readonly departure: Departure
  readonly #cutOff: CutOff

  constructor(
    env: RoleEnv,
    links: ClientLinks,
    verifyToken: VerifyToken,
    options: TransferOptions
  ) {
    const { id, setId, nodeId, limits, times } = options
    this.#env = env
    this.#links = links
    this.#verifyToken = verifyToken
    this.#options = options
    this.#route = new RouteClient(env)
    const { attemptMs } = times
    this.#caller = new LogicCaller(env, { setId, nodeId, maxPending: limits.pending, attemptMs })
    this.#pushes = new Pushes(links, env.metrics, limits.pushBytes)
    this.#requests = new ClientRequests(env, links, this.#caller, this.#pushes, options)
    const who = { transferId: id, setId, renewMs: times.renewMs }
    this.#instance = new Instance(env, this.#route, who, () => this.#reconnectAll(times.drainMs))
    this.#announcer = new Announcer(
      env,
      () => arbitersOf(env.table(), options.arbiters),
      () => announcementOf(options, env.bootId, this.departure.leaving, this.#connections.size),
      times.announceMs
    )
    this.#wheel = new TimerWheel<Connection>(env.nowMs())
    this.departure = new Departure(env, links, this.#connections, {
      id,
      setId,
      stopMs: times.drainMs,
      watch: (connection, atMs) => this.#watch(connection, atMs),
      announce: () => this.#announcer.announceNow()
    })
    const afterMs = silentRenewals * times.renewMs
    this.#cutOff = new CutOff(env, this.departure, { setId, nodeId, afterMs })
  }

  /** Names this life of the gateway in routes and leases. */
  get transferBootId(): number {
    return this.#instance.bootId
  }

  get connections(): number {
    return this.#connections.size
  }

  start(): void {}

  tick(): void {
    this.#route.tick()
    this.#caller.tick()
    this.#announcer.tick()
    this.#instance.tick(this.#connections.size)
    this.#cutOff.tick(this.#instance.silentMs)
    this.departure.tick()
    this.#wheel.advance(this.#env.nowMs(), this.#due)
    this.#env.metrics.gauge('transfer_connections', this.#connections.size)
    this.#env.metrics.gauge('transfer_logic_pending', this.#caller.pending)
  }

  onPacket(from: EndpointId, received: Packet): void {
    if (received.kind === 'DELIVER') this.#deliver(from, received.payload)
    else if (received.kind === 'EVICT') this.#evict(from, received.payload)
    else if (from.startsWith('logic/')) this.#caller.onPacket(from, received)
    else if (!this.#announcer.onPacket(received)) this.#route.onPacket(from, received)
  }

  onPeer(peer: EndpointId, up: boolean): void {
    this.#cutOff.onPeer(peer, up)
    this.#route.onPeer(peer, up)
    this.#caller.onPeer(peer, up)
  }

  onTable(): void {
    this.#route.onTable()
    this.#caller.onTable()
    const view = this.#env.table()
    for (const connection of this.#connections.all()) {
      if (connection.phase !== 'open') continue
      const owner = view.owner(connection.slot)
      if (owner && owner.setId !== this.#options.setId) this.#redirect(connection, owner.setId)
    }
  }

  flush(): void {
    this.#pushes.flush()
  }

  stopping(): boolean {
    const phase = this.departure.stop()
    if (phase !== 'asked') {
      for (const connection of this.#connections.all()) this.#end(connection)
    }
    const idle = this.#connections.size === 0 && this.#caller.pending === 0
    return idle || phase === 'late'
  }

  onClientOpen(connId: number): void {
    const { limits, times } = this.#options
    const now = this.#env.nowMs()
    const full =
      this.#connections.size >= limits.connections ||
      this.#connections.unauthenticated >= limits.unauthenticated
    if (full || this.departure.stopping) {
      this.#links.close(connId, full ? 'TOO_MANY_CONNECTIONS' : 'UNREACHABLE')
      return
    }
    const idleMs = 2 * times.heartbeatMaxMs
    const connection = new Connection(connId, now, idleMs, limits.sendsPerSecond)
    this.#connections.add(connection)
    this.#wheel.schedule(connection, now + limits.handshakeTimeoutMs)
  }

  onClientPacket(connId: number, received: Packet): void {
    const connection = this.#connections.get(connId)
    if (!connection) return
    connection.heardAtMs = this.#env.nowMs()
    if (received.kind === 'BYE') this.#end(connection)
    else if (connection.phase === 'new') this.#connect(connection, received)
    else if (connection.phase === 'open') {
      this.#requests.serve(connection, received)
      if (received.kind === 'PING')
        this.#watch(connection, connection.heardAtMs + connection.idleMs)
    } else this.#requests.refuse(connection, received, 'UNEXPECTED_PACKET', 0)
  }

  onClientClosed(connId: number): void {
    const connection = this.#connections.get(connId)
    if (connection) this.#forget(connection)
  }

  #connect(connection: Connection, received: Packet): void {
    const admission = admitted(received, this.#verifyToken)
    if (typeof admission === 'string') {
      this.#end(connection, admission)
      return
    }
    const { uid, connect } = admission
    const { deviceId, connSeq, class: deviceClass } = connect
    const view = this.#env.table()
    if (view.epoch === 0) {
      this.#end(connection, 'NO_TABLE')
      return
    }
    connection.uid = uid
    connection.slot = view.slotOf(uid)
    connection.route = {
      deviceId,
      class: deviceClass,
      transferId: this.#options.id,
      transferBootId: this.#instance.bootId,
      connId: connection.connId,
      connSeq,
      sinceMs: this.#env.wallMs()
    }
    this.#links.authenticated(connection.connId)
    const owner = view.owner(connection.slot)
    if (owner && owner.setId !== this.#options.setId) {
      this.#redirect(connection, owner.setId)
      return
    }
    const elsewhere = this.departure.elsewhere()
    if (elsewhere !== undefined) {
      this.#redirect(connection, this.#options.setId, elsewhere)
      return
    }
    const rival = this.#connections.ofDevice(uid, deviceId)
    if (rival && rival.route!.connSeq > connSeq) {
      this.#kick(connection, 'a newer connection of this device is here', deviceId)
      return
    }
    this.#connections.opening(connection)
    if (rival) this.#kick(rival, 'replaced by a newer connection of this device', deviceId)
    this.#open(connection)
  }

  #open(connection: Connection): void {
    const { requestDeadlineMs } = this.#options.times
    const route = connection.route!
    const open = { uid: connection.uid, route }
    // Registration may outlast the handshake time; from here on the deadline of OPEN bounds the
    // wait.
    this.#watch(connection, this.#env.nowMs() + connection.idleMs)
    this.#caller.request('OPEN', open, requestDeadlineMs, result => {
      if (result instanceof RingsetError) {
        if (connection.phase === 'opening') this.#openFailed(connection, result)
        else if (result.outcome === 'unknown') this.#unregister(connection)
        return
      }
      if (connection.phase !== 'opening') {
        this.#unregister(connection)
        return
      }
      // The slot may have left meanwhile, and its new set not have known whose gateway this is: its own may be gone.
      const owner = this.#env.table().owner(connection.slot)
      if (owner && owner.setId !== this.#options.setId) {
        this.#redirect(connection, owner.setId)
        this.#unregister(connection)
        return
      }
      connection.phase = 'open'
      this.departure.opened(connection)
      this.#links.send(connection.connId, packet('CONNECTED', this.#welcome(connection)))
    })
  }

  #openFailed(connection: Connection, error: RingsetError): void {
    const owner = this.#env.table().owner(connection.slot)
    if (error.code === 'MOVED' && owner && owner.setId !== this.#options.setId) {
      this.#redirect(connection, owner.setId)
      return
    }
    const { transferBootId } = connection.route!
    this.#end(connection, error.code, error.message)
    if (error.outcome === 'unknown') this.#unregister(connection)
    if (error.code === 'TRANSFER_EXPIRED') this.#instance.expired(transferBootId)
  }

  #welcome(connection: Connection): PayloadOf<'CONNECTED'> {
    const { times, limits } = this.#options
    return {
      bootId: this.#instance.bootId,
      connId: connection.connId,
      heartbeatMinMs: times.heartbeatMinMs,
      heartbeatMaxMs: times.heartbeatMaxMs,
      serverTimeMs: this.#env.wallMs(),
      bodyLimitBytes: limits.bodyBytes
    }
  }

  /** @param addresses default: of the set's gateways. */
  #redirect(connection: Connection, setId: string, addresses?: string[]): void {
    const there = addresses ?? addressesOf(this.#env.table(), setId)
    this.#links.send(connection.connId, packet('REDIRECT', { setId, addresses: there }))
    this.#env.metrics.count('transfer_redirects_total')
    this.#end(connection)
  }

  #kick(connection: Connection, reason: string, by: string): void {
    const { connId } = connection
    this.#links.send(connId, packet('KICK', { reason: reason.slice(0, hardLimits.nameBytes), by }))
    this.#env.metrics.count('transfer_kicks_total')
    this.#end(connection)
  }

  #deliver(from: EndpointId, delivery: PayloadOf<'DELIVER'>): void {
    if (!from.startsWith('router/') || delivery.transferBootId !== this.#instance.bootId) {
      this.#env.metrics.count('transfer_fenced_total')
      return
    }
    const dueAtMs = this.#env.nowMs() + repeatAfterMs[0]
    for (const { connIds, page } of delivery.items) {
      for (const connId of connIds) {
        const connection = this.#connections.get(connId)
        if (connection?.phase === 'open') {
          this.#requests.push(connection, page)
          this.#watch(connection, dueAtMs)
        } else if (!connection) {
          // The router still has a route that was closed here: its CLOSE was overtaken by a late
          // copy of its OPEN.
          const stray = this.#connections.takeRecent(connId)
          if (stray) this.#unregister(stray)
        }
      }
    }
  }

  #evict(from: EndpointId, eviction: PayloadOf<'EVICT'>): void {
    const { transferBootId, connId, reason, by } = eviction
    if (!from.startsWith('router/') || transferBootId !== this.#instance.bootId) {
      this.#env.metrics.count('transfer_fenced_total')
      return
    }
    const connection = this.#connections.get(connId)
    if (connection) this.#kick(connection, reason, by)
  }

  /** The lease ran out: nobody's route counts any more, everybody has to connect again. */
  #reconnectAll(withinMs: number): void {
    const connections = this.#connections.all()
    this.departure.reconnect(connections, withinMs)
    for (const connection of connections) {
      this.#links.close(connection.connId)
      this.#connections.remove(connection)
    }
  }

  /** Wakes the connection at `atMs` at the latest. */
  #watch(connection: Connection, atMs: number): void {
    if (connection.wakeTick >= 0 && connection.wakeAtMs <= atMs && connection.phase !== 'opening') {
      return
    }
    this.#wheel.schedule(connection, atMs)
  }

  readonly #due = (connection: Connection): void => {
    const now = this.#env.nowMs()
    if (connection.phase === 'closed') return
    if (connection.phase === 'new') {
      this.#end(connection, 'HANDSHAKE_TIMEOUT')
      return
    }
    if (connection.leaveByMs > 0 && now >= connection.leaveByMs) {
      this.#end(connection)
      return
    }
    const idleAtMs = connection.heardAtMs + connection.idleMs
    if (connection.phase === 'open' && now >= idleAtMs) {
      this.#end(connection, 'IDLE_TIMEOUT')
      return
    }
    const repeatAtMs = this.#requests.repeatPushes(connection)
    const leaveAtMs = connection.leaveByMs || Number.POSITIVE_INFINITY
    const nextMs = Math.min(Math.max(idleAtMs, now + 1_000), repeatAtMs, leaveAtMs)
    this.#wheel.schedule(connection, nextMs)
  }

  /** Closes from this side. */
  #end(connection: Connection, code?: ErrorCode, text?: string): void {
    const shown = code === undefined ? undefined : (text ?? errorCodes[code].summary)
    this.#links.close(connection.connId, code, shown)
    this.#forget(connection)
  }

  #forget(connection: Connection): void {
    const { phase } = connection
    this.#connections.remove(connection)
    this.#wheel.cancel(connection)
    this.departure.closed(connection)
    // While it is opening, the answer to OPEN decides whether there is a route to take back.
    if (phase === 'open') this.#unregister(connection)
  }

  #unregister(connection: Connection): void {
    const { uid, route } = connection
    const close = { uid, route: route! }
    this.#caller.request('CLOSE', close, this.#options.times.closeDeadlineMs, result => {
      if (result instanceof RingsetError) {
        this.#env.metrics.count('transfer_close_failures_total')
      }
      // Also what could not be taken back: the next message for it tells, and is a chance to try again.
      if (route!.transferBootId === this.#instance.bootId) this.#connections.addRecent(connection)
    })
  }
}
