import { setTimeout as pause } from 'node:timers/promises'
import { Prng } from '../base/prng.ts'
import {
  createToken,
  ImClient,
  type ImMessage,
  LogicClient,
  MemoryStore,
  p2pSession
} from '../client/client.ts'
import { parseSession } from '../protocol/session.ts'
import type { TableView } from '../table/table-view.ts'
import { gatewayAddresses, routerAddresses } from './addresses.ts'
import { MessageLog, numberIn } from './message-log.ts'
import type { MessageSample } from './message-sample.ts'
import { RecordedOperations } from './recorded-operations.ts'
import { userGroups } from './user-names.ts'
import { UserPairs } from './user-pairs.ts'
import { ConnectionLog, type Outage } from './users-back.ts'
import type { WorkloadOptions } from './workload-options.ts'

interface Device {
  readonly uid: string
  readonly deviceId: string
  readonly store: MemoryStore
  client: ImClient
  online: boolean
  /** Session → highest msgid received. */
  readonly held: Map<string, number>
}

const pumpMs = 5
const connectAtOnce = 50
const sendDeadlineMs = 60_000
const backendDeadlineMs = 10_000
const offlineMaxMs = 3_000
const firstConnectMs = 60_000
const dayMs = 86_400_000

/**
 * Users on real connections and logic clients, at a fixed rate whatever the cluster does (open loop), who tell a recorder everything.
 * Every message carries a number of its own as its text: it is by that, not by the ids of the library, that the judges know it.
 */
export class Workload {
  acked = 0
  delivered = 0
  readonly #options: WorkloadOptions
  readonly #random: Prng
  readonly #uids: readonly string[]
  readonly #pairs: UserPairs
  readonly #prefix: string
  readonly #devices = new Map<string, Device>()
  readonly #backends: LogicClient[] = []
  readonly #latest = new Map<string, number>()
  readonly #messages = new MessageLog()
  readonly #connections = new ConnectionLog()
  /** Address → gateway. */
  readonly #gateways: ReadonlyMap<string, string>
  /** Text → row, of messages that nobody has received yet. */
  readonly #rowOf = new Map<string, number>()
  readonly #operations: RecordedOperations
  readonly #underWay = new Set<Promise<void>>()
  readonly #stop = new AbortController()
  #table: TableView
  #count = 0
  #closed = false

  constructor(options: WorkloadOptions) {
    this.#options = options
    this.#table = options.table
    this.#operations = new RecordedOperations(options.history)
    this.#random = new Prng(options.seed, 'workload')
    const prefix = options.prefix ?? ''
    this.#prefix = prefix
    const groups = options.uids ? [options.uids] : userGroups(options.plan, prefix)
    this.#pairs = new UserPairs(groups, key => this.setOf(key))
    this.#uids = groups.flat()
    this.#gateways = gatewayAddresses(options.config)
  }

  /** Brings everybody online and tells the recorder who has to get what. */
  async connect(onProgress: (online: number) => void = () => {}): Promise<void> {
    const { plan } = this.#options
    const uids = this.#uids
    for (const uid of uids) {
      this.#addDevice(uid, 'd1')
      if (this.#random.float() < plan.secondDevices) this.#addDevice(uid, 'd2')
    }
    for (const { session, sender, receiver } of this.#pairs.all()) {
      this.#declare(session, [sender, receiver])
    }
    const devices = [...this.#devices.values()]
    for (let first = 0; first < devices.length; first += connectAtOnce) {
      const some = devices.slice(first, first + connectAtOnce)
      await Promise.all(some.map(({ client }) => client.connect()))
      onProgress(Math.min(first + connectAtOnce, devices.length))
    }
    const { secret } = this.#options
    if (secret !== undefined) for (let i = 0; i < plan.backends; i++) this.#addBackend(i, secret)
    await Promise.all(this.#backends.map(backend => backend.ready()))
  }

  /** Loads the cluster until `end`. */
  start(): void {
    const { plan } = this.#options
    this.#pump(plan.messagesPerSecond, dueMs => this.#sendOne(dueMs))
    if (plan.reconnectsPerSecond > 0) {
      this.#pump(plan.reconnectsPerSecond, () => this.#reconnectOne())
    }
    if (this.#backends.length > 0) {
      this.#pump(plan.backendOperationsPerSecond, () => this.#backendOperation())
    }
  }

  /** Starts nothing more and waits for the end of what is under way. */
  async end(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#underWay)
  }

  /** Messages that were due so far. */
  get sent(): number {
    return this.#messages.count
  }

  /** What became of each, made anew by each call. */
  samples(): MessageSample[] {
    return this.#messages.samples()
  }

  /** Error code → how many operations ended with it. */
  get errors(): ReadonlyMap<string, number> {
    return this.#operations.errors
  }

  /** When devices were without a gateway. */
  get outages(): readonly Outage[] {
    return this.#connections.outages
  }

  /** Users by the set that they live in. */
  usersBySet(): string[][] {
    const groups = new Map<string, string[]>()
    for (const uid of this.#uids) {
      const set = this.setOf(uid)
      groups.set(set, [...(groups.get(set) ?? []), uid])
    }
    return [...groups.values()]
  }

  /** Waits until every device holds all that was acknowledged to anybody; returns what is missing after `withinMs`. */
  async settle(withinMs: number, signal?: AbortSignal): Promise<string[]> {
    const untilMs = performance.now() + withinMs
    for (;;) {
      const missing = this.#missing()
      const over = performance.now() > untilMs || signal?.aborted === true
      if (missing.length === 0 || over) return missing
      await pause(50)
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stop.abort()
    await Promise.all([
      ...[...this.#devices.values()].map(({ client }) => client.close().catch(() => {})),
      ...this.#backends.map(backend => backend.close().catch(() => {}))
    ])
  }

  setOf(key: string): string {
    const table = this.#table
    return table.owner(table.slotOf(key))?.setId ?? ''
  }

  /** Messages that are due from now on go the ways that this table says. */
  adopt(table: TableView): void {
    if (table.epoch > this.#table.epoch) this.#table = table
  }

  // Users

  #addDevice(uid: string, deviceId: string): void {
    const store = new MemoryStore()
    const device: Device = {
      uid,
      deviceId,
      store,
      client: this.#client(uid, deviceId, store),
      online: true,
      held: new Map()
    }
    this.#devices.set(`${uid}/${deviceId}`, device)
    this.#listen(device)
  }

  #listen(device: Device): void {
    const { uid, deviceId, client } = device
    const name = `${uid}/${deviceId}`
    client.onMessage(message => this.#received(device, message))
    client.onState(state => {
      if (state === 'connected') {
        this.#connections.connected(name, this.#gateways.get(client.gateway ?? ''))
      } else if (state === 'closed') this.#connections.left(name)
      else this.#connections.lost(name)
    })
  }

  /** @param connectDeadlineMs a client that could not connect within it is closed for good. */
  #client(
    uid: string,
    deviceId: string,
    store: MemoryStore,
    connectDeadlineMs = firstConnectMs
  ): ImClient {
    const { token = this.#ownToken } = this.#options
    return new ImClient({
      uid,
      token: token(uid),
      addresses: [...this.#gateways.keys()],
      deviceId,
      class: deviceId === 'd1' ? 'mobile' : 'desktop',
      store,
      sendDeadlineMs,
      connectDeadlineMs
    })
  }

  readonly #ownToken = (uid: string): string => {
    return createToken(this.#options.secret!, uid, Date.now() + dayMs)
  }

  #declare(session: string, uids: readonly string[]): void {
    if (this.#latest.has(session)) return
    this.#latest.set(session, 0)
    for (const { uid, deviceId } of this.#devices.values()) {
      if (!uids.includes(uid)) continue
      const value = { session, uid, device: deviceId, from: 1 }
      this.#options.history.add('members', 'ok', 'member', session, value)
    }
  }

  async #sendOne(dueMs: number): Promise<void> {
    const path = this.#pairs.next(this.#random)
    const { session, sender } = path
    const device = this.#devices.get(`${sender}/d1`)!
    const number = ++this.#count
    const row = this.#messages.add(path, number, dueMs)
    this.#rowOf.set(String(number), row)
    const sent = await this.#operations.recorded(
      sender,
      'send',
      session,
      { uid: sender, deviceId: 'd1', clientMsgId: number },
      () => device.client.send({ session, type: 0, body: String(number) }),
      ({ msgid, duplicate }) => ({ msgid, duplicate })
    )
    if (sent === undefined) return
    this.#messages.acked(row, performance.now())
    this.acked++
    this.#raise(session, sent.msgid)
  }

  #received(device: Device, message: ImMessage): void {
    const { uid, deviceId, held } = device
    const { session, msgid, from: sender, deviceId: senderDevice, text } = message
    const value = {
      uid,
      device: deviceId,
      session,
      msgid,
      clientMsgId: numberIn(text),
      sender,
      senderDevice
    }
    this.#options.history.add(`${uid}/${deviceId}`, 'ok', 'receive', session, value)
    held.set(session, Math.max(held.get(session) ?? 0, msgid))
    this.#raise(session, msgid)
    const row = this.#rowOf.get(text)
    if (row === undefined || uid === sender) return
    this.#rowOf.delete(text)
    this.#messages.delivered(row, performance.now())
    this.delivered++
  }

  /** A second device goes away, or a first one that sends nothing meanwhile, and comes back with what it remembers. */
  async #reconnectOne(): Promise<void> {
    const devices = [...this.#devices.values()].filter(({ deviceId }) => deviceId === 'd2')
    const device = devices[this.#random.below(Math.max(1, devices.length))]
    if (device === undefined || !device.online) return
    device.online = false
    await device.client.close()
    const { signal } = this.#stop
    await pause(this.#random.below(offlineMaxMs), undefined, { signal }).catch(() => {})
    if (this.#closed) return
    device.client = this.#client(device.uid, device.deviceId, device.store, dayMs)
    this.#listen(device)
    // It may take as long as the cluster does not let it: whoever settles the run waits for it.
    void device.client.connect().catch(() => {})
    device.online = true
  }

  // Backends

  #addBackend(index: number, secret: Buffer): void {
    const addresses = routerAddresses(this.#options.config)
    const name = `${this.#prefix}backend-${index + 1}`
    const uid = this.#uids[index % this.#uids.length]!
    this.#declare(p2pSession(name, uid), [name, uid])
    this.#backends.push(new LogicClient({ addresses, secret, name, deadlineMs: backendDeadlineMs }))
  }

  async #backendOperation(): Promise<void> {
    const index = this.#random.below(this.#backends.length)
    const backend = this.#backends[index]!
    const name = `${this.#prefix}backend-${index + 1}`
    const session = p2pSession(name, this.#uids[index % this.#uids.length]!)
    const kind = this.#random.below(3)
    if (kind === 0) {
      const clientMsgId = ++this.#count
      const message = { session, uid: name, deviceId: name, clientMsgId, type: 0 }
      const done = await this.#operations.recorded(
        name,
        'send',
        session,
        { uid: name, deviceId: name, clientMsgId },
        () => backend.append({ ...message, body: Buffer.from(String(clientMsgId)) }),
        ({ msgid, duplicate }) => ({ msgid, duplicate })
      )
      if (done !== undefined) this.#raise(session, done.msgid)
    } else if (kind === 1) {
      await this.#operations.recorded(
        name,
        'latest',
        session,
        null,
        () => backend.latest([session]),
        cursors => ({ msgid: cursors[0]!.msgid })
      )
    } else {
      const sequence = `${this.#prefix}sequence-${this.#random.below(4)}`
      await this.#operations.recorded(
        name,
        'sequence.next',
        sequence,
        null,
        () => backend.sequence(sequence, 1),
        ({ first, count }) => ({ first, count })
      )
    }
  }

  // All

  /** Calls `start` so many times a second, with the time at which each was due. */
  #pump(perSecond: number, start: (dueMs: number) => Promise<void>): void {
    const startMs = performance.now()
    let done = 0
    const turn = (): void => {
      if (this.#stop.signal.aborted) return
      for (;;) {
        const dueMs = startMs + (done * 1_000) / perSecond
        if (dueMs > performance.now()) break
        done++
        const operation = start(dueMs)
        this.#underWay.add(operation)
        void operation.finally(() => this.#underWay.delete(operation))
      }
      setTimeout(turn, pumpMs)
    }
    turn()
  }

  #raise(session: string, msgid: number): void {
    if (msgid > (this.#latest.get(session) ?? 0)) this.#latest.set(session, msgid)
  }

  #missing(): string[] {
    const missing: string[] = []
    for (const [session, latest] of this.#latest) {
      if (latest === 0) continue
      const { members } = parseSession(session) as { members: readonly string[] }
      for (const { uid, deviceId, held } of this.#devices.values()) {
        const has = held.get(session) ?? 0
        if (members.includes(uid) && has < latest) {
          missing.push(`${uid}/${deviceId} holds ${has} of ${latest} of ${session}`)
        }
      }
    }
    return missing
  }
}
