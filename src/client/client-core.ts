import { type ErrorCode, errorCodeOf } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { Clock, Random } from '../base/ports.ts'
import type { DeviceClass, Page, PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { AddressBook } from './address-book.ts'
import { CatchUp } from './catch-up.ts'
import type { Inbox } from './inbox.ts'
import type { Outbox, Outgoing } from './outbox.ts'

/**
 * `connecting`: an attempt is under way · `connected` · `waiting`: for the next attempt · `kicked`,
 * `failed`, `closed`: for good. `failed` means that trying again with the same options is useless.
 */
export type ClientState = 'connecting' | 'connected' | 'waiting' | 'kicked' | 'failed' | 'closed'

export interface ClientLink {
  /** False when the packet was dropped. */
  send(packet: Packet): boolean
  close(): void
}

export interface DialEvents {
  onOpen(link: ClientLink): void
  onPacket(packet: Packet): void
  /** The attempt failed or the link ended; last call. */
  onClose(error: RingsetError | undefined): void
}

/**
 * What the core of a client needs of the world; real sockets and timers in `ImClient`, fakes in
 * tests.
 */
export interface CoreEnv extends Clock {
  readonly random: Random
  dial(address: string, events: DialEvents): void
  /** A token to connect with; may answer at once. */
  token(done: (token: string | RingsetError) => void): void
  onState(state: ClientState, error: RingsetError | undefined): void
}

export interface CoreOptions {
  readonly deviceId: string
  readonly class: DeviceClass
  /** Of the connection before this run; 0 = none. */
  readonly connSeq: number
  /** Whether a refused token may be replaced by a fresh one. */
  readonly freshTokens: boolean
}

const sdkVersion = '1'
const connectTimeoutMs = 8_000
const maxBackoffMs = 10_000
const redirectsAtOnce = 3
const retryListenerMs = 1_000
const acksPerPacket = 1_000
const maxCalls = 1_000

/** Refusals that another attempt with the same credentials cannot change. */
const hopeless = new Set<ErrorCode>([
  'FORBIDDEN',
  'BAD_UID',
  'BAD_PACKET',
  'BAD_FRAME',
  'UNSUPPORTED',
  'UNEXPECTED_PACKET',
  'WRONG_CLUSTER'
])
const refusedTokens = new Set<ErrorCode>(['BAD_TOKEN', 'TOKEN_EXPIRED'])

interface HistoryCall {
  readonly request: Packet
  readonly deadlineAtMs: number
  readonly onDone: (result: Page | RingsetError) => void
}

/**
 * The state machine of one client: connects, stays connected, moves messages between outbox, link
 * and inbox. Synchronous: it is driven by its link, by `tick` (every ~100 ms) and by calls of its
 * owner.
 */
export class ClientCore {
  readonly #env: CoreEnv
  readonly #options: CoreOptions
  readonly #book: AddressBook
  readonly #inbox: Inbox
  readonly #outbox: Outbox
  readonly #catchUp: CatchUp
  readonly #bootId: number
  readonly #calls = new Map<number, HistoryCall>()
  #state: ClientState = 'waiting'
  #link: ClientLink | undefined
  /** What was dialed last. */
  #address: string | undefined
  /** Tells the events of the present attempt from those of earlier ones. */
  #attempt = 0
  #attempts = 0
  #redirects = 0
  #connSeq: number
  #sequence = 0
  /** When to give up connecting, to connect again, or to leave on request; by state. */
  #dueAtMs = Number.POSITIVE_INFINITY
  #spreadMs = 200
  #retryListenerAtMs = 0
  bodyLimitBytes = Number.POSITIVE_INFINITY

  constructor(env: CoreEnv, options: CoreOptions, book: AddressBook, inbox: Inbox, outbox: Outbox) {
    this.#env = env
    this.#options = options
    this.#book = book
    this.#inbox = inbox
    this.#outbox = outbox
    this.#bootId = env.random.id48()
    this.#connSeq = options.connSeq
    this.#catchUp = new CatchUp(env, inbox, ping => this.#post(packet('PING', ping)))
  }

  get state(): ClientState {
    return this.#state
  }

  /** Of the gateway, while connected. */
  get address(): string | undefined {
    return this.#state === 'connected' ? this.#address : undefined
  }

  get connSeq(): number {
    return this.#connSeq
  }

  start(): void {
    if (this.#state === 'waiting') this.#connect()
  }

  /** Something was put into the outbox. */
  pump(): void {
    if (this.#state !== 'connected') return
    this.#outbox.pump(this.#env.nowMs(), this.#nextSequence, this.#sendOne)
  }

  history(
    range: PayloadOf<'HISTORY'>,
    deadlineMs: number,
    onDone: (result: Page | RingsetError) => void
  ): void {
    if (this.#calls.size >= maxCalls || this.#isOver()) {
      onDone(new RingsetError(this.#isOver() ? 'CANCELLED' : 'OVERLOADED'))
      return
    }
    const sequence = ++this.#sequence
    const request = packet('HISTORY', range, { bootId: this.#bootId, sequence })
    this.#calls.set(sequence, { request, deadlineAtMs: this.#env.nowMs() + deadlineMs, onDone })
    if (this.#state === 'connected') this.#ask(request)
  }

  tick(): void {
    const now = this.#env.nowMs()
    const due = now >= this.#dueAtMs
    if (due && this.#state === 'waiting') this.#connect()
    else if (due && this.#state === 'connecting') {
      this.#lost(new RingsetError('TIMEOUT', 'no CONNECTED came in time'))
    } else if (due && this.#state === 'connected') {
      this.#drop()
      this.#connect()
    }
    if (this.#outbox.tick(now)) this.pump()
    if (this.#state === 'connected') {
      const acks = this.#inbox.takeAcks(acksPerPacket)
      if (acks.length > 0) this.#link?.send(packet('PUSH_ACK', { cursors: acks }))
      if (!this.#catchUp.tick(now)) this.#lost(new RingsetError('IDLE_TIMEOUT'))
    }
    if (this.#inbox.hasFailed && now >= this.#retryListenerAtMs) {
      this.#retryListenerAtMs = now + retryListenerMs
      this.#inbox.retry()
    }
    for (const [sequence, { deadlineAtMs, onDone }] of this.#calls) {
      if (now < deadlineAtMs) continue
      this.#calls.delete(sequence)
      onDone(new RingsetError('TIMEOUT'))
    }
  }

  /** Leaves on purpose. */
  close(): void {
    if (this.#state === 'connected') this.#link?.send(packet('BYE', {}))
    this.#end('closed', new RingsetError('CANCELLED', 'the client was closed'))
  }

  #connect(): void {
    this.#attempts++
    const attempt = ++this.#attempt
    this.#dueAtMs = this.#env.nowMs() + connectTimeoutMs
    this.#enter('connecting', undefined)
    this.#env.token(token => {
      if (attempt !== this.#attempt || this.#state !== 'connecting') return
      if (token instanceof RingsetError) this.#lost(token)
      else this.#dial(attempt, token)
    })
  }

  #dial(attempt: number, token: string): void {
    const current = (): boolean => attempt === this.#attempt
    this.#address = this.#book.next()
    this.#env.dial(this.#address, {
      onOpen: link => {
        if (!current()) {
          link.close()
          return
        }
        this.#link = link
        this.#connSeq = Math.max(this.#connSeq + 1, Math.floor(this.#env.wallMs()))
        const { deviceId, class: deviceClass } = this.#options
        const connSeq = this.#connSeq
        link.send(packet('CONNECT', { token, deviceId, class: deviceClass, sdkVersion, connSeq }))
      },
      onPacket: received => {
        if (current()) this.#onPacket(received)
      },
      onClose: error => {
        if (current()) this.#lost(error ?? new RingsetError('UNREACHABLE'))
      }
    })
  }

  #onPacket(received: Packet): void {
    const now = this.#env.nowMs()
    this.#catchUp.heard(now)
    switch (received.kind) {
      case 'ACK':
        this.#outbox.acked(received.sequence, received.payload)
        this.pump()
        break
      case 'PUSH': {
        let anythingNew = false
        for (const page of received.payload.pages) {
          anythingNew = this.#inbox.accept(page) || anythingNew
        }
        this.#catchUp.pushed(now, anythingNew)
        break
      }
      case 'PONG':
        this.#catchUp.pong(now, received.sequence, received.payload.more)
        break
      case 'HISTORY_OK':
        this.#called(received.sequence, received.payload)
        break
      case 'ERROR':
        this.#onError(now, received)
        break
      case 'CONNECTED':
        if (this.#state === 'connecting') this.#connected(received.payload)
        break
      case 'REDIRECT':
        this.#redirected(received.payload.addresses)
        break
      case 'KICK':
        this.#end('kicked', new RingsetError('KICKED', received.payload.reason))
        break
      case 'RECONNECT':
        this.#leave(received.payload)
        break
      default:
        break
    }
  }

  #onError(now: number, received: Packet<'ERROR'>): void {
    const { code: number, text, retryAfterMs } = received.payload
    const { sequence, bootId } = received
    const code = errorCodeOf(number)
    if (bootId !== this.#bootId) {
      // About the connection, not about a request; once connected, the close that follows tells.
      if (this.#state === 'connecting') this.#lost(new RingsetError(code, text))
      return
    }
    if (this.#outbox.refused(now, sequence, code, text, retryAfterMs)) this.pump()
    else if (!this.#catchUp.refused(now, sequence, retryAfterMs)) {
      this.#called(sequence, new RingsetError(code, text, { retryAfterMs }))
    }
  }

  #connected(welcome: PayloadOf<'CONNECTED'>): void {
    this.bodyLimitBytes = welcome.bodyLimitBytes
    this.#attempts = 0
    this.#redirects = 0
    this.#spreadMs = 200
    this.#dueAtMs = Number.POSITIVE_INFINITY
    this.#book.connected()
    this.#enter('connected', undefined)
    this.#catchUp.connected(this.#env.nowMs(), welcome.heartbeatMinMs, welcome.heartbeatMaxMs)
    this.#outbox.reconnected()
    this.pump()
    for (const { request } of this.#calls.values()) this.#ask(request)
  }

  #redirected(addresses: readonly string[]): void {
    this.#book.redirected(addresses)
    this.#drop()
    if (++this.#redirects <= redirectsAtOnce) this.#connect()
    else this.#wait(new RingsetError('MOVED', 'redirected in a circle'))
  }

  #leave({ withinMs, addresses }: PayloadOf<'RECONNECT'>): void {
    this.#book.redirected(addresses)
    const delayMs = Math.min(withinMs, 60_000) * this.#env.random.float()
    this.#spreadMs = Math.max(delayMs, 1)
    if (this.#state === 'connected') this.#dueAtMs = this.#env.nowMs() + delayMs
  }

  /** The attempt or the connection is over. */
  #lost(error: RingsetError): void {
    this.#drop()
    if (this.#isOver()) return
    const refused = refusedTokens.has(error.code) && !this.#options.freshTokens
    if (error.code === 'KICKED') this.#end('kicked', error)
    else if (refused || hopeless.has(error.code)) this.#end('failed', error)
    else this.#wait(error)
  }

  #wait(error: RingsetError): void {
    const jitter = this.#env.random.float()
    // After a good connection soon, spread a little, as its other users come back too; then slower
    // and slower.
    const backoffMs = Math.min(100 * 2 ** Math.min(this.#attempts - 1, 10), maxBackoffMs)
    const delayMs = this.#attempts === 0 ? this.#spreadMs * jitter : backoffMs * (0.5 + jitter / 2)
    this.#dueAtMs = this.#env.nowMs() + delayMs
    this.#enter('waiting', error)
  }

  #drop(): void {
    this.#attempt++
    this.#link?.close()
    this.#link = undefined
    this.#catchUp.disconnected()
  }

  #end(state: 'kicked' | 'failed' | 'closed', error: RingsetError): void {
    if (this.#isOver()) return
    this.#drop()
    this.#dueAtMs = Number.POSITIVE_INFINITY
    this.#enter(state, state === 'closed' ? undefined : error)
    this.#outbox.cancelAll(error)
    const calls = [...this.#calls.values()]
    this.#calls.clear()
    for (const { onDone } of calls) onDone(error)
  }

  #isOver(): boolean {
    return this.#state === 'kicked' || this.#state === 'failed' || this.#state === 'closed'
  }

  #enter(state: ClientState, error: RingsetError | undefined): void {
    if (state === this.#state && error === undefined) return
    this.#state = state
    this.#env.onState(state, error)
  }

  #called(sequence: number, result: Page | RingsetError): void {
    const call = this.#calls.get(sequence)
    if (!call) return
    this.#calls.delete(sequence)
    call.onDone(result)
  }

  /** Sends a request of this client; returns its sequence, 0 when it was dropped. */
  #post(request: Packet): number {
    const sequence = ++this.#sequence
    request.bootId = this.#bootId
    request.sequence = sequence
    return this.#link?.send(request) ? sequence : 0
  }

  /** Sends a request whose answer may not fail to come unnoticed. False when it was dropped. */
  #ask(request: Packet): boolean {
    const sent = this.#link?.send(request) ?? false
    if (sent) this.#catchUp.asked(this.#env.nowMs())
    return sent
  }

  readonly #nextSequence = (): number => ++this.#sequence

  readonly #sendOne = ({ clientMsgId, session, type, body, sequence }: Outgoing): boolean => {
    const send = { clientMsgId, session, type, body }
    return this.#ask(packet('SEND', send, { bootId: this.#bootId, sequence }))
  }
}
