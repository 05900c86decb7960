import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { Announcer } from '../protocol/announcer.ts'
import { arbiterEndpoint, type EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import { parseSession, routingKey, type SessionParts } from '../protocol/session.ts'
import { RouteClient } from '../route/route-client.ts'
import type { LogicOptions } from './logic-options.ts'

/**
 * The rules of messaging, without state: checks what a transfer forwards, runs the hooks, turns it
 * into a request to the router group that owns it, and passes the answer back. Any logic of the set
 * can take any request, and any repetition of it.
 */
export class Logic implements Role {
  readonly #env: RoleEnv
  readonly #options: LogicOptions
  readonly #route: RouteClient
  readonly #announcer: Announcer
  /** Undefined while the logic stays. */
  #stopByMs: number | undefined

  constructor(env: RoleEnv, options: LogicOptions) {
    this.#env = env
    this.#options = options
    this.#route = new RouteClient(env, { maxPending: options.maxPending })
    this.#announcer = new Announcer(
      env,
      () => this.#arbiters(),
      () => this.#announcement(),
      options.announceMs
    )
  }

  start(): void {}

  tick(): void {
    this.#route.tick()
    this.#announcer.tick()
    this.#env.metrics.gauge('logic_route_pending', this.#route.counters.pending)
  }

  onPacket(from: EndpointId, received: Packet): void {
    switch (received.kind) {
      case 'SUBMIT':
      case 'OPEN':
      case 'CLOSE':
      case 'CATCH_UP':
      case 'READ_PAGE':
        this.#take(from, received)
        break
      default:
        if (this.#announcer.onPacket(received) || this.#route.onPacket(from, received)) return
        this.#env.metrics.count('logic_stray_packets_total')
    }
  }

  onPeer(peer: EndpointId, up: boolean): void {
    this.#route.onPeer(peer, up)
  }

  onTable(): void {
    this.#route.onTable()
  }

  flush(): void {}

  stopping(): boolean {
    const now = this.#env.nowMs()
    if (this.#stopByMs === undefined) {
      this.#stopByMs = now + this.#options.stopMs
      this.#announcer.announceNow()
    }
    return this.#route.counters.pending === 0 || now >= this.#stopByMs
  }

  #take(
    from: EndpointId,
    request: Packet<'SUBMIT' | 'OPEN' | 'CLOSE' | 'CATCH_UP' | 'READ_PAGE'>
  ): void {
    this.#env.metrics.count('logic_requests_total')
    if (this.#stopByMs !== undefined) {
      this.#refuse(from, request, 'UNREACHABLE')
      return
    }
    if (this.#env.table().epoch === 0) {
      this.#refuse(from, request, 'NO_TABLE', 100)
      return
    }
    try {
      this.#handle(from, request)
    } catch (error) {
      if (!(error instanceof RingsetError) || error.code === 'INTERNAL') throw error
      this.#refuse(from, request, error.code)
    }
  }

  #handle(
    from: EndpointId,
    request: Packet<'SUBMIT' | 'OPEN' | 'CLOSE' | 'CATCH_UP' | 'READ_PAGE'>
  ): void {
    switch (request.kind) {
      case 'SUBMIT':
        this.#submit(from, request)
        break
      case 'OPEN':
        this.#open(from, request)
        break
      case 'CLOSE':
        this.#close(from, request)
        break
      case 'CATCH_UP':
        this.#catchUp(from, request)
        break
      case 'READ_PAGE':
        this.#readPage(from, request)
        break
    }
  }

  #submit(from: EndpointId, request: Packet<'SUBMIT'>): void {
    const message = request.payload
    const { session, uid, type, body } = message
    const parts = parseSession(session)
    if (!isMember(parts, uid)) throw new RingsetError('FORBIDDEN')
    if (type > 2)
      throw new RingsetError('BAD_PACKET', 'message types over 2 are reserved', { type })
    const { bodyLimitBytes, beforeSend } = this.#options
    if (body.length > bodyLimitBytes) throw new RingsetError('BODY_TOO_LARGE')
    for (const hook of beforeSend) {
      const code = hook(message)
      if (code !== undefined) throw new RingsetError(code, 'a before-send hook rejected it')
    }
    const slot = this.#env.table().slotOf(routingKey(session, parts))
    this.#route.request({ slot }, 'APPEND', message, {
      deadlineMs: this.#budgetMs(request),
      onDone: result => {
        if (result instanceof RingsetError) this.#fail(from, request, result)
        else this.#env.send(from, answer(request, 'SUBMIT_OK', result.payload, result.term))
      }
    })
  }

  #open(from: EndpointId, request: Packet<'OPEN'>): void {
    const view = this.#env.table()
    const slot = view.slotOf(request.payload.uid)
    // A transfer only keeps users of its own set; this one routed by another table.
    if (view.owner(slot)?.setId !== this.#options.setId) throw new RingsetError('MOVED')
    this.#route.request({ slot }, 'REGISTER', request.payload, {
      deadlineMs: this.#budgetMs(request),
      onDone: result => {
        if (result instanceof RingsetError) this.#fail(from, request, result)
        else this.#env.send(from, answer(request, 'OPEN_OK', {}, result.term))
      }
    })
  }

  #close(from: EndpointId, request: Packet<'CLOSE'>): void {
    const slot = this.#env.table().slotOf(request.payload.uid)
    this.#route.request({ slot }, 'UNREGISTER', request.payload, {
      deadlineMs: this.#budgetMs(request),
      onDone: result => {
        if (result instanceof RingsetError) this.#fail(from, request, result)
        else this.#env.send(from, answer(request, 'CLOSE_OK', {}, result.term))
      }
    })
  }

  #catchUp(from: EndpointId, request: Packet<'CATCH_UP'>): void {
    const { uid, deviceId, full, cursors } = request.payload
    const slot = this.#env.table().slotOf(uid)
    // Thousands of cursors may come at once: the router, which takes its time over them, passes over what is not the user's.
    const sync = { uid, deviceId, full, cursors }
    this.#route.request({ slot }, 'SYNC', sync, {
      deadlineMs: this.#budgetMs(request),
      onDone: result => {
        if (result instanceof RingsetError) this.#fail(from, request, result)
        else this.#env.send(from, answer(request, 'CATCH_UP_OK', result.payload, result.term))
      }
    })
  }

  #readPage(from: EndpointId, request: Packet<'READ_PAGE'>): void {
    const { uid, session, from: first, limit } = request.payload
    if (!isMember(parseSession(session), uid)) throw new RingsetError('FORBIDDEN')
    const slot = this.#env.table().slotOf(uid)
    const { historyMessages } = this.#options
    const range = { uid, session, from: first, limit: Math.min(limit, historyMessages) }
    this.#route.request({ slot }, 'HISTORY_READ', range, {
      deadlineMs: this.#budgetMs(request),
      onDone: result => {
        if (result instanceof RingsetError) this.#fail(from, request, result)
        else this.#env.send(from, answer(request, 'READ_PAGE_OK', result.payload, result.term))
      }
    })
  }

  /**
   * A little less than the asker's patience, so that it hears from us before it takes us for dead.
   */
  #budgetMs(request: Packet): number {
    return request.deadlineMs === 0 ? this.#options.defaultDeadlineMs : request.deadlineMs * 0.9
  }

  #fail(from: EndpointId, request: Packet, error: RingsetError): void {
    this.#refuse(from, request, error.code, Number(error.facts.retryAfterMs ?? 0), error.message)
  }

  #refuse(
    from: EndpointId,
    request: Packet,
    code: ErrorCode,
    retryAfterMs = 0,
    text: string = errorCodes[code].summary
  ): void {
    const payload = { code: errorCodes[code].number, text, retryAfterMs, hint: undefined }
    this.#env.metrics.count('logic_refused_total')
    this.#env.send(from, answer(request, 'ERROR', payload))
  }

  #arbiters(): readonly EndpointId[] {
    const { table } = this.#env.table()
    if (!table) return this.#options.arbiters
    return table.arbiters.map(({ replicaId }) => arbiterEndpoint(replicaId))
  }

  #announcement(): PayloadOf<'ANNOUNCE'> {
    const { id, setId, nodeId, address, version } = this.#options
    return {
      role: 'logic',
      id,
      setId,
      nodeId,
      bootId: this.#env.bootId,
      address,
      clientAddresses: [],
      version,
      stopping: this.#stopByMs !== undefined,
      load: this.#route.counters.pending
    }
  }
}

function isMember(parts: SessionParts, uid: string): boolean {
  return parts.type === 'p2p' && parts.members.includes(uid)
}
