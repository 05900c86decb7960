import { type ErrorCode, errorCodes } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { Page } from '../protocol/kinds.ts'
import { answer, type Packet } from '../protocol/packet.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { ClientLinks } from './client-links.ts'
import type { Connection, Unacked } from './connection.ts'
import type { LogicCaller } from './logic-caller.ts'
import type { Pushes } from './pushes.ts'
import type { TransferOptions } from './transfer-options.ts'

/** Pushes without an acknowledgement are repeated after these times, then left to the heartbeat. */
export const repeatAfterMs = [1_000, 3_000] as const
const repeatMessages = 100
const historyMessages = 1_000

/**
 * What an authenticated client asks for: each packet becomes one request to logic, each answer one
 * packet to the client.
 */
export class ClientRequests {
  readonly #env: RoleEnv
  readonly #links: ClientLinks
  readonly #caller: LogicCaller
  readonly #pushes: Pushes
  readonly #options: TransferOptions
  /** Bytes of all messages that are not answered yet. */
  #heldBytes = 0

  constructor(
    env: RoleEnv,
    links: ClientLinks,
    caller: LogicCaller,
    pushes: Pushes,
    options: TransferOptions
  ) {
    this.#env = env
    this.#links = links
    this.#caller = caller
    this.#pushes = pushes
    this.#options = options
  }

  /** A packet of a connection that is open. */
  serve(connection: Connection, received: Packet): void {
    switch (received.kind) {
      case 'SEND':
        this.#send(connection, received)
        break
      case 'PUSH_ACK': {
        const dueAtMs = this.#env.nowMs() + repeatAfterMs[0]
        for (const { session, msgid } of received.payload.cursors) {
          connection.acked(session, msgid, dueAtMs)
        }
        break
      }
      case 'PING':
        this.#ping(connection, received)
        break
      case 'HISTORY':
        this.#history(connection, received)
        break
      default:
        this.refuse(connection, received, 'UNEXPECTED_PACKET', 0)
    }
  }

  #send(connection: Connection, request: Packet<'SEND'>): void {
    const { limits, times } = this.#options
    const { clientMsgId, session, type, body } = request.payload
    if (body.length > limits.bodyBytes) {
      this.refuse(connection, request, 'BODY_TOO_LARGE', 0)
      return
    }
    if (!connection.mayBeSent(this.#env.nowMs(), limits.sendsPerSecond)) {
      this.refuse(connection, request, 'RATE_LIMITED', 200)
      return
    }
    if (!this.#hasRoom(connection, body.length)) {
      this.refuse(connection, request, 'OVERLOADED', 200)
      return
    }
    if (!this.#admit(connection, request)) return
    connection.heldBytes += body.length
    this.#heldBytes += body.length
    const { uid } = connection
    const { deviceId } = connection.route!
    const submit = { session, uid, deviceId, clientMsgId, type, body }
    this.#env.metrics.count('transfer_sends_total')
    this.#caller.request('SUBMIT', submit, times.submitDeadlineMs, result => {
      connection.inFlight--
      connection.heldBytes -= body.length
      this.#heldBytes -= body.length
      if (connection.phase !== 'open') return
      if (result instanceof RingsetError) {
        this.#fail(connection, request, result)
        return
      }
      const { msgid, duplicate, atMs } = result.payload
      const ack = { clientMsgId, session, msgid, duplicate, atMs }
      this.#env.metrics.count('transfer_acks_total')
      this.#links.send(connection.connId, answer(request, 'ACK', ack))
    })
  }

  #ping(connection: Connection, request: Packet<'PING'>): void {
    const { heartbeatMinMs, heartbeatMaxMs, requestDeadlineMs } = this.#options.times
    const { intervalMs, full, cursors } = request.payload
    connection.idleMs = 2 * Math.min(Math.max(intervalMs, heartbeatMinMs), heartbeatMaxMs)
    if (connection.pinging) {
      this.refuse(connection, request, 'RATE_LIMITED', 1_000)
      return
    }
    if (!this.#admit(connection, request)) return
    connection.pinging = true
    const { uid } = connection
    const { deviceId } = connection.route!
    const catchUp = { uid, deviceId, full, cursors }
    this.#caller.request('CATCH_UP', catchUp, requestDeadlineMs, result => {
      connection.inFlight--
      connection.pinging = false
      if (connection.phase !== 'open') return
      if (result instanceof RingsetError) {
        this.#fail(connection, request, result)
        return
      }
      for (const page of result.payload.pages) this.push(connection, page)
      // PONG ends the pages, so they go out before it; when some were dropped the client has to ask
      // again.
      const whole = this.#pushes.flushOne(connection)
      const more = result.payload.more || !whole
      const pong = { serverTimeMs: this.#env.wallMs(), more }
      this.#links.send(connection.connId, answer(request, 'PONG', pong))
    })
  }

  #history(connection: Connection, request: Packet<'HISTORY'>): void {
    if (!this.#admit(connection, request)) return
    const { session, from, limit } = request.payload
    const range = { uid: connection.uid, session, from, limit: Math.min(limit, historyMessages) }
    const { requestDeadlineMs } = this.#options.times
    this.#caller.request('READ_PAGE', range, requestDeadlineMs, result => {
      connection.inFlight--
      if (connection.phase !== 'open') return
      if (result instanceof RingsetError) this.#fail(connection, request, result)
      else this.#links.send(connection.connId, answer(request, 'HISTORY_OK', result.payload))
    })
  }

  /** Pushes at the end of the turn, and watches for the acknowledgement. */
  push(connection: Connection, page: Page): void {
    this.#pushes.add(connection, page)
    const first = page.messages[0]
    const last = page.messages.at(-1)
    if (!first || !last) return
    const dueAtMs = this.#env.nowMs() + repeatAfterMs[0]
    const { watchedSessions } = this.#options.limits
    connection.pushed(page.session, first.msgid, last.msgid, dueAtMs, watchedSessions)
  }

  /** Repeats what has waited too long for its PUSH_ACK. Returns when to look again. */
  repeatPushes(connection: Connection): number {
    const now = this.#env.nowMs()
    let nextAtMs = Number.POSITIVE_INFINITY
    if (!connection.unacked) return nextAtMs
    for (const [session, unacked] of connection.unacked) {
      if (unacked.dueAtMs <= now && !unacked.reading) {
        if (unacked.repeats >= repeatAfterMs.length) {
          connection.unacked.delete(session)
          continue
        }
        this.#repeat(connection, session, unacked)
      }
      nextAtMs = Math.min(nextAtMs, Math.max(unacked.dueAtMs, now + repeatAfterMs[0] / 2))
    }
    return nextAtMs
  }

  #repeat(connection: Connection, session: string, unacked: Unacked): void {
    const nextMs = repeatAfterMs[++unacked.repeats] ?? repeatAfterMs[0]
    unacked.dueAtMs = this.#env.nowMs() + nextMs
    unacked.reading = true
    const limit = Math.min(unacked.upTo - unacked.from + 1, repeatMessages)
    const range = { uid: connection.uid, session, from: unacked.from, limit }
    this.#env.metrics.count('transfer_push_repeats_total')
    this.#caller.request('READ_PAGE', range, this.#options.times.requestDeadlineMs, result => {
      unacked.reading = false
      if (connection.phase !== 'open' || result instanceof RingsetError) return
      if (connection.unacked?.get(session) === unacked) this.#pushes.add(connection, result.payload)
    })
  }

  /** ERROR on the request's sequence. */
  refuse(
    connection: Connection,
    request: Packet,
    code: ErrorCode,
    retryAfterMs: number,
    text: string = errorCodes[code].summary
  ): void {
    const payload = { code: errorCodes[code].number, text, retryAfterMs, hint: undefined }
    this.#links.send(connection.connId, answer(request, 'ERROR', payload))
  }

  #fail(connection: Connection, request: Packet, error: RingsetError): void {
    const retryAfterMs = Number(error.facts.retryAfterMs ?? 0)
    this.refuse(connection, request, error.code, retryAfterMs, error.message)
  }

  /** Messages wait here while their set cannot take them: a few clients with large ones must not take the memory of all. */
  #hasRoom({ heldBytes }: Connection, bytes: number): boolean {
    const { limits } = this.#options
    return (
      heldBytes + bytes <= limits.heldBytesPerConnection &&
      this.#heldBytes + bytes <= limits.heldBytes
    )
  }

  #admit(connection: Connection, request: Packet): boolean {
    if (connection.inFlight >= this.#options.limits.unackedPerConnection) {
      this.refuse(connection, request, 'OVERLOADED', 100)
      return false
    }
    connection.inFlight++
    return true
  }
}
