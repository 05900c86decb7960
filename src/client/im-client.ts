import { randomUUID } from 'node:crypto'
import { RingsetError } from '../base/errors.ts'
import { type Random, silentLog } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { ClientConnection } from '../net/client-connection.ts'
import { isBreak } from '../protocol/eras.ts'
import { hardLimits, type Message, type Page } from '../protocol/kinds.ts'
import { checkUid, p2pSession, parseSession } from '../protocol/session.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import { AddressBook } from './address-book.ts'
import { ClientCore, type ClientState, type CoreEnv, type DialEvents } from './client-core.ts'
import type { CursorStore, DeviceState } from './cursor-store.ts'
import {
  type History,
  type HistoryOptions,
  type ImClientOptions,
  ImMessage,
  type MessageListener,
  type SendOptions,
  type Sent,
  type StateListener
} from './im-types.ts'
import { Inbox } from './inbox.ts'
import { defaultOutboxOptions, Outbox, Outgoing } from './outbox.ts'
import { sharedTables } from './shared-tables.ts'
import { clientTicker } from './ticker.ts'

/** Ids made safe at once in the store. */
const idBlock = 10_000
const listenerPatienceMs = 2_000
const noState: DeviceState = { deviceId: undefined, nextClientMsgId: 1, connSeq: 0, cursors: [] }

/**
 * A chat client of one device of one user: stays connected, sends exactly once in effect, delivers
 * exactly once in order. See docs/client.md. Set the listeners before `connect`.
 */
export class ImClient {
  readonly uid: string
  readonly #options: ImClientOptions
  readonly #store: CursorStore | undefined
  readonly #random: Random = new Prng(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER))
  readonly #keeper = createTableKeeper({ work: sharedTables })
  readonly #stateListeners = new Set<StateListener>()
  #messageListener: MessageListener | undefined
  #core: ClientCore | undefined
  #inbox = new Inbox((session, message) => this.#deliver(session, message))
  #outbox: Outbox | undefined
  #deviceId = ''
  #connecting: Promise<void> | undefined
  #raising = false
  #closing = false
  /** Deliveries whose listener has not finished. */
  readonly #listening = new Set<Promise<void>>()
  #closed: RingsetError | undefined
  /** Sent before `connect` had loaded the store. */
  #early: Outgoing[] = []

  /** Throws BAD_UID, CONFIG_INVALID. */
  constructor(options: ImClientOptions) {
    checkUid(options.uid)
    if (options.addresses.length === 0) {
      throw new RingsetError('CONFIG_INVALID', 'at least one address is needed')
    }
    this.uid = options.uid
    this.#options = options
    this.#store = options.store
  }

  get state(): ClientState {
    return this.#core?.state ?? (this.#closed ? 'closed' : 'waiting')
  }

  /** Address of the gateway that it is connected to, while it is. */
  get gateway(): string | undefined {
    return this.#core?.address
  }

  /** Known once connected. */
  get deviceId(): string {
    return this.#deviceId
  }

  /** Messages without an acknowledgement, and those that wait for their turn. */
  get pending(): number {
    return this.#early.length + (this.#outbox ? this.#outbox.unacked + this.#outbox.queued : 0)
  }

  /** Replaces the listener. Without one, messages count as dealt with. */
  onMessage(listener: MessageListener): void {
    this.#messageListener = listener
  }

  /** Returns a function that removes the listener. */
  onState(listener: StateListener): () => void {
    this.#stateListeners.add(listener)
    return () => this.#stateListeners.delete(listener)
  }

  /**
   * Resolves when connected for the first time; from then on the client reconnects by itself.
   * Rejects, and closes the client, when the credentials are refused (BAD_TOKEN …), when kicked, or
   * after `connectDeadlineMs`.
   */
  connect(): Promise<void> {
    this.#connecting ??= this.#connect().catch(error => {
      this.#end(asRingsetError(error))
      throw error
    })
    return this.#connecting
  }

  /** Sends a text to another user. Rejects like `send`. */
  sendText(toUid: string, text: string): Promise<Sent> {
    return this.send({ session: p2pSession(this.uid, toUid), type: 0, body: text })
  }

  /**
   * Resolves when the message is on disk on a majority of its home set. Waits and repeats over
   * reconnects; messages of one session keep their order as long as nothing fails. Rejects with a
   * RingsetError: `outcome` tells whether it may have been sent (TIMEOUT, CANCELLED) or certainly
   * was not (FORBIDDEN, BODY_TOO_LARGE, OVERLOADED …).
   */
  send(options: SendOptions): Promise<Sent> {
    return new Promise<Sent>((resolve, reject) => {
      const { session, type } = options
      const body =
        typeof options.body === 'string' ? Buffer.from(options.body, 'utf8') : options.body
      parseSession(session)
      if (body.length > hardLimits.bodyBytes) throw new RingsetError('BODY_TOO_LARGE')
      if (this.#closed) throw this.#closed
      const deadlineMs = options.deadlineMs ?? this.#options.sendDeadlineMs ?? 60_000
      const deadlineAtMs = performance.now() + deadlineMs
      const item = new Outgoing(session, type, body, deadlineAtMs, result => {
        if (result instanceof RingsetError) reject(result)
        else {
          const { msgid, duplicate, atMs } = result
          resolve({ session, msgid, duplicate, atMs })
        }
      })
      this.#send(item)
    })
  }

  /**
   * A stretch of a session's timeline, oldest first: from `from` on, else the newest ones. Rejects
   * with FORBIDDEN, TIMEOUT …
   */
  async history(options: HistoryOptions): Promise<History> {
    const { session, from, limit = 100 } = options
    parseSession(session)
    if (!this.#core) throw new RingsetError('UNREACHABLE', 'connect first')
    const page =
      from === undefined
        ? await this.#newest(options, limit)
        : await this.#page(options, from, limit)
    const messages = page.messages.map(one => new ImMessage(session, one))
    return { first: page.first, latest: page.latest, messages }
  }

  /** Also across breaks, where msgids jump. */
  async #newest(options: HistoryOptions, limit: number): Promise<Page> {
    const { first, latest } = await this.#page(options, Number.MAX_SAFE_INTEGER, 1)
    const messages: Message[] = []
    let last = latest
    while (last > 0 && messages.length < limit) {
      const wanted = limit - messages.length
      const page = await this.#page(options, Math.max(last - wanted + 1, 1), wanted)
      messages.unshift(...page.messages.filter(({ msgid }) => msgid <= last))
      const [oldest] = messages
      const before = oldest !== undefined && isBreak(oldest) ? Number(oldest.body) : 0
      last = before < last ? before : 0
    }
    return { session: options.session, first, latest, messages }
  }

  #page({ session, deadlineMs = 10_000 }: HistoryOptions, from: number, limit: number) {
    return new Promise<Page>((resolve, reject) => {
      this.#core!.history({ session, from, limit }, deadlineMs, result => {
        if (result instanceof RingsetError) reject(result)
        else resolve(result)
      })
    })
  }

  /**
   * Leaves for good: lets the message listener finish what it has begun (for 2 s at most), says
   * BYE, rejects what is unacknowledged with CANCELLED, and saves the cursors.
   */
  async close(): Promise<void> {
    this.#closing = true
    await this.#listenersDone()
    this.#end(new RingsetError('CANCELLED', 'the client was closed'))
    await this.#store?.flush()
  }

  /** Driven by the process's one timer; not for applications. */
  tick(): void {
    this.#core?.tick()
    this.#saveCursors()
    this.#raiseIds()
  }

  async #connect(): Promise<void> {
    const state = (await this.#store?.load()) ?? noState
    const given = this.#options.deviceId
    this.#deviceId = given ?? state.deviceId ?? randomUUID()
    // Without a store a device that is named again must not use its ids again: take them from the
    // clock, far apart.
    const fromClock = !this.#store && given !== undefined
    const firstId = fromClock ? Date.now() * 1_024 : state.nextClientMsgId
    const idCeiling = this.#store ? firstId + idBlock : Number.MAX_SAFE_INTEGER
    const connSeq = Math.max(state.connSeq + 1, Date.now())
    await this.#store?.saveIdentity(this.#deviceId, idCeiling, connSeq)
    if (this.#closed) throw this.#closed
    this.#inbox = new Inbox((session, message) => this.#deliver(session, message), state.cursors)
    this.#outbox = new Outbox(performance.now(), firstId, idCeiling, defaultOutboxOptions)
    const book = new AddressBook(this.uid, this.#options.addresses, this.#random)
    this.#keeper.onAdopted(view => book.learn(view))
    const options = {
      deviceId: this.#deviceId,
      class: this.#options.class ?? ('desktop' as const),
      connSeq: state.connSeq,
      freshTokens: typeof this.#options.token === 'function'
    }
    this.#core = new ClientCore(this.#env(), options, book, this.#inbox, this.#outbox)
    const early = this.#early
    this.#early = []
    for (const item of early) this.#outbox.add(item)
    clientTicker.add(this)
    await this.#connected(this.#core)
  }

  #connected(core: ClientCore): Promise<void> {
    return new Promise((resolve, reject) => {
      const deadlineMs = this.#options.connectDeadlineMs ?? 30_000
      let last: RingsetError | undefined
      const timer = setTimeout(() => {
        stop()
        reject(new RingsetError('TIMEOUT', 'could not connect in time', {}, last))
      }, deadlineMs)
      const stop = this.onState((state, error) => {
        last = error ?? last
        if (state === 'connecting' || state === 'waiting') return
        clearTimeout(timer)
        stop()
        if (state === 'connected') resolve()
        else reject(error ?? new RingsetError('CANCELLED'))
      })
      core.start()
    })
  }

  #env(): CoreEnv {
    return {
      nowMs: () => performance.now(),
      wallMs: () => Date.now(),
      random: this.#random,
      dial: (address, events) => this.#dial(address, events),
      token: done => this.#token(done),
      onState: (state, error) => this.#onState(state, error)
    }
  }

  #dial(address: string, events: DialEvents): void {
    const opened = ClientConnection.connect(address, {
      keeper: this.#keeper,
      onPacket: packet => events.onPacket(packet),
      onClose: error => events.onClose(error)
    })
    opened.then(
      link => events.onOpen(link),
      error => events.onClose(asRingsetError(error))
    )
  }

  #token(done: (token: string | RingsetError) => void): void {
    const { token } = this.#options
    if (typeof token === 'string') {
      done(token)
      return
    }
    token().then(done, cause => {
      done(new RingsetError('UNREACHABLE', 'no connect token could be had', {}, cause))
    })
  }

  #onState(state: ClientState, error: RingsetError | undefined): void {
    const { log = silentLog } = this.#options
    log.info('im_client_state', { uid: this.uid, state, code: error?.code })
    if (state === 'connected') this.#saveIdentity()
    if (state === 'kicked' || state === 'failed' || state === 'closed') {
      this.#closed ??= error ?? new RingsetError('CANCELLED')
      this.#saveCursors()
      clientTicker.remove(this)
    }
    for (const listener of this.#stateListeners) listener(state, error)
  }

  #end(error: RingsetError): void {
    this.#closed ??= error
    this.#core?.close()
    clientTicker.remove(this)
    const early = this.#early
    this.#early = []
    for (const item of early) item.onDone(error)
  }

  #send(item: Outgoing): void {
    if (this.#outbox && this.#core) {
      this.#outbox.add(item)
      this.#core.pump()
    } else if (this.#early.length < defaultOutboxOptions.total) this.#early.push(item)
    else item.onDone(new RingsetError('OVERLOADED', 'connect before sending more'))
  }

  #deliver(session: string, message: Message): 'done' | 'pending' | 'failed' {
    const listener = this.#messageListener
    if (!listener) return 'done'
    if (this.#closing) return 'failed'
    try {
      const result = listener(new ImMessage(session, message))
      if (result === undefined) return 'done'
      const inbox = this.#inbox
      const settled = result
        .then(
          () => inbox.settled(session, true),
          error => {
            this.#listenerFailed(session, message, error)
            inbox.settled(session, false)
          }
        )
        .finally(() => this.#listening.delete(settled))
      this.#listening.add(settled)
      return 'pending'
    } catch (error) {
      this.#listenerFailed(session, message, error)
      return 'failed'
    }
  }

  #listenersDone(): Promise<void> {
    if (this.#listening.size === 0) return Promise.resolve()
    return new Promise(resolve => {
      const timer = setTimeout(resolve, listenerPatienceMs)
      void Promise.all(this.#listening).then(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  #listenerFailed(session: string, { msgid }: Message, error: unknown): void {
    const { log = silentLog } = this.#options
    log.error('im_client_listener_failed', { uid: this.uid, session, msgid, error: String(error) })
  }

  #saveCursors(): void {
    const changed = this.#inbox.takeChanged()
    if (changed.length > 0) this.#store?.saveCursors(changed)
  }

  /** Makes the next block of ids safe before the present one is used up. */
  #raiseIds(): void {
    if (this.#store && this.#outbox && this.#outbox.idsLeft < idBlock / 2) this.#saveIdentity()
  }

  #saveIdentity(): void {
    const outbox = this.#outbox
    if (!this.#store || !outbox || this.#raising) return
    this.#raising = true
    const left = outbox.idsLeft
    const idCeiling = left < idBlock / 2 ? outbox.idCeiling + idBlock : outbox.idCeiling
    const saved = this.#store.saveIdentity(this.#deviceId, idCeiling, this.#core?.connSeq ?? 0)
    const { log = silentLog } = this.#options
    saved
      .then(() => {
        outbox.raiseCeiling(idCeiling)
        this.#core?.pump()
      })
      .catch(error => log.error('im_client_store_failed', { uid: this.uid, error: String(error) }))
      .finally(() => {
        this.#raising = false
      })
  }
}

function asRingsetError(error: unknown): RingsetError {
  return error instanceof RingsetError
    ? error
    : new RingsetError('UNREACHABLE', undefined, {}, error)
}
