import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import type { RingsetError } from '../../src/base/errors.ts'
import { Prng } from '../../src/base/prng.ts'
import { AddressBook } from '../../src/client/address-book.ts'
import { ClientCore, type ClientState, type DialEvents } from '../../src/client/client-core.ts'
import { Inbox } from '../../src/client/inbox.ts'
import { defaultOutboxOptions, Outbox } from '../../src/client/outbox.ts'
import type { KindName, Message, Page } from '../../src/protocol/kinds.ts'
import { answer, type Packet, packet } from '../../src/protocol/packet.ts'

export interface Dialed {
  readonly address: string
  readonly events: DialEvents
  readonly sent: Packet[]
  closed: boolean
}

/** A client core whose connections end in the hands of the test. */
export class ClientBench {
  now = 1_000
  readonly dialed: Dialed[] = []
  readonly states: [ClientState, ErrorCode | undefined][] = []
  readonly got: number[] = []
  token: string | RingsetError = 'token'
  readonly inbox: Inbox
  readonly outbox: Outbox
  readonly core: ClientCore

  constructor(freshTokens = false, seed = 1) {
    const random = new Prng(seed)
    this.inbox = new Inbox((_, { msgid }) => {
      this.got.push(msgid)
      return 'done'
    })
    this.outbox = new Outbox(this.now, 1, 1_000_000, defaultOutboxOptions)
    const options = { deviceId: 'd', class: 'desktop' as const, connSeq: 0, freshTokens }
    const book = new AddressBook('ann', ['tcp://one:1', 'tcp://two:1'], random)
    const env = {
      nowMs: () => this.now,
      wallMs: () => 5_000,
      random,
      dial: (address: string, events: DialEvents) => {
        this.dialed.push({ address, events, sent: [], closed: false })
      },
      token: (done: (token: string | RingsetError) => void) => done(this.token),
      onState: (state: ClientState, error: RingsetError | undefined) => {
        this.states.push([state, error?.code])
      }
    }
    this.core = new ClientCore(env, options, book, this.inbox, this.outbox)
    this.core.start()
  }

  get last(): Dialed {
    return this.dialed.at(-1)!
  }

  /** Establishes the latest connection, up to CONNECT. */
  open(): Dialed {
    const { last } = this
    last.events.onOpen({
      send: one => {
        if (!last.closed) last.sent.push({ ...one })
        return !last.closed
      },
      close: () => {
        last.closed = true
      }
    })
    return last
  }

  online(): Dialed {
    const link = this.open()
    const bounds = { heartbeatMinMs: 1_000, heartbeatMaxMs: 60_000 }
    const welcome = { bootId: 1, connId: 1, serverTimeMs: 1, bodyLimitBytes: 99, ...bounds }
    link.events.onPacket(packet('CONNECTED', welcome))
    return link
  }

  take<K extends KindName>(link: Dialed, kind: K): Packet<K>[] {
    const taken = link.sent.filter(one => one.kind === kind)
    for (const one of taken) link.sent.splice(link.sent.indexOf(one), 1)
    return taken as Packet<K>[]
  }

  pong(link: Dialed, ping: Packet, more = false): void {
    link.events.onPacket(answer(ping, 'PONG', { serverTimeMs: 1, more }))
  }

  push(link: Dialed, ...pages: Page[]): void {
    link.events.onPacket(packet('PUSH', { pages }))
  }

  error(link: Dialed, request: Packet, code: ErrorCode, retryAfterMs = 0): void {
    const payload = { code: errorCodes[code].number, text: '', retryAfterMs, hint: undefined }
    link.events.onPacket(answer(request, 'ERROR', payload))
  }

  pass(ms: number): void {
    for (const end = this.now + ms; this.now < end; ) {
      this.now += 100
      this.core.tick()
    }
  }
}

export const page = (from: number, to: number): Page => ({
  session: 's',
  first: 1,
  latest: to,
  messages: Array.from(
    { length: to - from + 1 },
    (_, i): Message => ({
      msgid: from + i,
      from: 'a',
      deviceId: 'd',
      clientMsgId: from + i,
      type: 0,
      atMs: 0,
      body: Buffer.alloc(0)
    })
  )
})
