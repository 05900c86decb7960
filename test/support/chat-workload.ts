import { HistoryRecorder } from '../../src/chaos/history-recorder.ts'
import type { CursorStore } from '../../src/client/cursor-store.ts'
import type { ImClient } from '../../src/client/im-client.ts'
import type { ImClientOptions, ImMessage, Sent } from '../../src/client/im-types.ts'
import type { LogicClient } from '../../src/client/logic-client.ts'
import type { Cursor, PayloadOf } from '../../src/protocol/kinds.ts'
import { p2pSession } from '../../src/protocol/session.ts'
import { eventually } from './eventually.ts'
import type { TestCluster } from './test-cluster.ts'

export interface WorkloadOptions {
  /** What a send may take at the most, all repetitions included. */
  readonly sendDeadlineMs?: number
  /** Where a device keeps its cursors; by default nowhere. */
  store?(uid: string, deviceId: string): CursorStore | undefined
}

/** One device of a user and what its application has been given. */
class Device {
  readonly uid: string
  readonly deviceId: string
  client: ImClient
  /** Session → highest msgid received. */
  readonly held = new Map<string, number>()
  readonly states: string[] = []
  deliveries = 0

  constructor(uid: string, deviceId: string, client: ImClient) {
    this.uid = uid
    this.deviceId = deviceId
    this.client = client
  }
}

/** When a send was acknowledged, and how long that took. */
export interface AckTime {
  readonly atMs: number
  readonly tookMs: number
  readonly home: string
}

/**
 * Chat users on real connections who tell a recorder everything: each message carries its sender's count in its body, and it is by
 * that, not by the ids of the library, that the judges recognise it.
 */
export class ChatWorkload {
  readonly history = new HistoryRecorder()
  readonly acks: AckTime[] = []
  readonly errors: string[] = []
  readonly #cluster: TestCluster
  readonly #options: WorkloadOptions
  readonly #devices = new Map<string, Device>()
  /** Session → highest msgid acknowledged or received. */
  readonly #latest = new Map<string, number>()
  readonly #sessionsOf = new Map<string, Set<string>>()
  /** Session and msgid → the text that was received there first. */
  readonly #texts = new Map<string, string>()
  readonly #declared = new Set<string>()
  #count = 0

  constructor(cluster: TestCluster, options: WorkloadOptions = {}) {
    this.#cluster = cluster
    this.#options = options
  }

  get acked(): number {
    return this.acks.length
  }

  get users(): string[] {
    return [...new Set([...this.#devices.values()].map(({ uid }) => uid))]
  }

  /** Connects one device of each user; call again for second devices. */
  async connect(uids: readonly string[], deviceId = 'd1', deviceClass?: 'mobile'): Promise<void> {
    const made = uids.map(uid => {
      const options = this.#clientOptions(uid, deviceId)
      const client = this.#cluster.client(
        uid,
        deviceClass === undefined ? options : { ...options, class: deviceClass }
      )
      const device = new Device(uid, deviceId, client)
      this.#devices.set(`${uid}/${deviceId}`, device)
      this.#listen(device)
      return client.connect()
    })
    await Promise.all(made)
  }

  /** A new client, as after a restart of the device's application; `while` runs between the two. */
  async restart(uid: string, deviceId: string, offline: () => Promise<void>): Promise<void> {
    const device = this.#device(uid, deviceId)
    await device.client.close()
    await offline()
    device.client = this.#cluster.client(uid, this.#clientOptions(uid, deviceId))
    this.#listen(device)
    await device.client.connect()
  }

  /** One message, recorded. @param lane tells apart what a user sends at the same time. */
  async send(from: string, to: string, lane = 0): Promise<Sent> {
    const device = this.#device(from, 'd1')
    const session = p2pSession(from, to)
    const home = await this.#cluster.homeOf(from, to)
    const clientMsgId = ++this.#count
    this.#declare(session, [from, to])
    const startMs = performance.now()
    const request = { uid: from, deviceId: 'd1', clientMsgId }
    const sent = await this.history.operation(
      `${from}#${lane}`,
      'send',
      session,
      request,
      () => device.client.send({ session, type: 0, body: String(clientMsgId) }),
      ({ msgid, duplicate }) => ({ msgid, duplicate })
    )
    const atMs = performance.now()
    this.acks.push({ atMs, tookMs: atMs - startMs, home })
    this.#raise(session, sent.msgid)
    return sent
  }

  /**
   * Sends while `more` says so. Each lane keeps to one pair and goes on when its message is acknowledged, so that one that waits holds up
   * no other. A send that fails is noted in `errors`.
   */
  async run(
    pairs: readonly (readonly [string, string])[],
    lanes: number,
    more: () => boolean
  ): Promise<void> {
    const work = async (lane: number): Promise<void> => {
      const [from, to] = pairs[lane % pairs.length]!
      while (more()) {
        await this.send(from, to, lane).catch(error => {
          this.errors.push(`${from} to ${to}: ${error.code ?? error}`)
        })
      }
    }
    await Promise.all(Array.from({ length: lanes }, (_, lane) => work(lane)))
  }

  /** Sends exactly `count` messages. */
  runCount(pairs: readonly (readonly [string, string])[], count: number, lanes: number) {
    let left = count
    return this.run(pairs, lanes, () => left-- > 0)
  }

  /**
   * A message of `uid` that goes past the library, from a device that nothing is expected to reach.
   */
  async append(
    process: string,
    [uid, other]: readonly [string, string],
    clientMsgId: number,
    append: (message: PayloadOf<'APPEND'>) => Promise<{ msgid: number; duplicate: boolean }>
  ): Promise<void> {
    const session = p2pSession(uid, other)
    this.#declare(session, [uid, other])
    const body = Buffer.from(String(clientMsgId))
    const identity = { uid, deviceId: process, clientMsgId }
    const { msgid } = await this.history.operation(
      process,
      'send',
      session,
      identity,
      () => append({ session, ...identity, type: 0, body }),
      ({ msgid: at, duplicate }) => ({ msgid: at, duplicate })
    )
    this.#raise(session, msgid)
  }

  /** Tells the judges who has to get the session: what is connected by now. */
  #declare(session: string, users: readonly string[]): void {
    if (this.#declared.has(session)) return
    this.#declared.add(session)
    for (const { uid, deviceId } of this.#devices.values()) {
      if (!users.includes(uid)) continue
      this.#sessions(uid).add(session)
      this.history.add('members', 'ok', 'member', session, { session, uid, device: deviceId })
    }
  }

  /** One `latest` of a session, recorded. */
  async latest(process: string, session: string, read: () => Promise<readonly Cursor[]>) {
    const answerOf = (cursors: readonly Cursor[]): unknown => ({ msgid: cursors[0]!.msgid })
    await this.history.operation(process, 'latest', session, null, read, answerOf)
  }

  /** Waits until every device holds all that was acknowledged to anybody in its user's sessions. */
  async settled(withinMs = 30_000): Promise<void> {
    let missing: string[] = []
    const complete = (): boolean => {
      missing = [...this.#devices.values()].flatMap(device =>
        [...this.#sessions(device.uid)].flatMap(session => {
          const held = device.held.get(session) ?? 0
          const latest = this.#latest.get(session) ?? 0
          return held < latest
            ? [
                `${device.uid}/${device.deviceId} (${device.client.state}) ${session} ${held} < ${latest}`
              ]
            : []
        })
      )
      return missing.length === 0
    }
    await eventually('every device has everything', withinMs, complete).catch(error => {
      throw new Error(`${error.message}: ${missing.length} lack, ${missing.slice(0, 5).join('; ')}`)
    })
  }

  /**
   * Reads every session back from the copies in the sets of both its users. Returns what differs from what was received, or is missing.
   */
  async differences(client: LogicClient): Promise<string[]> {
    const found: string[] = []
    for (const uid of this.users) {
      for (const session of this.#sessions(uid)) {
        const latest = this.latestOf(session)
        let from = 1
        while (from <= latest) {
          const { messages } = await client.history(uid, session, from, 1_000)
          for (const { msgid, body } of messages) {
            const known = this.#texts.get(`${session} ${msgid}`)
            if (msgid !== from) found.push(`${uid} ${session}: ${msgid} in place of ${from}`)
            if (known !== body.toString())
              found.push(`${uid} ${session} ${msgid}: ${known} ${body}`)
            from = msgid + 1
          }
          if (messages.length > 0) continue
          found.push(`${uid} ${session}: nothing from ${from} on, of ${latest}`)
          break
        }
      }
    }
    return found
  }

  sessions(): string[] {
    return [...this.#latest.keys()]
  }

  latestOf(session: string): number {
    return this.#latest.get(session) ?? 0
  }

  /** How often the device's application was given a message. */
  deliveries(uid: string, deviceId = 'd1'): number {
    return this.#device(uid, deviceId).deliveries
  }

  /** The acks of messages homed in a set that came between two times (performance.now). */
  acksOf(home: string, fromMs: number, toMs: number): AckTime[] {
    return this.acks.filter(ack => ack.home === home && ack.atMs >= fromMs && ack.atMs <= toMs)
  }

  /** Messages a second and latencies, in words. */
  summary(): string {
    const took = this.acks.map(({ tookMs }) => tookMs).sort((a, b) => a - b)
    const at = (share: number): string =>
      (took[Math.floor(share * (took.length - 1))] ?? 0).toFixed()
    const seconds = ((this.acks.at(-1)?.atMs ?? 0) - (this.acks[0]?.atMs ?? 0)) / 1_000
    const rate = (took.length / seconds).toFixed()
    return `${took.length} acks, ${rate}/s, ms p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`
  }

  #clientOptions(uid: string, deviceId: string): Partial<ImClientOptions> {
    const { sendDeadlineMs = 60_000, store } = this.#options
    const kept = store?.(uid, deviceId)
    return { deviceId, sendDeadlineMs, ...(kept === undefined ? {} : { store: kept }) }
  }

  #listen(device: Device): void {
    device.client.onState((state, error) => device.states.push(`${state} ${error?.code ?? ''}`))
    device.client.onMessage(message => this.#received(device, message))
  }

  #received(device: Device, message: ImMessage): void {
    const { uid, deviceId, held } = device
    device.deliveries++
    const { session, msgid, from: sender, deviceId: senderDevice } = message
    const clientMsgId = Number(message.text)
    const value = { uid, device: deviceId, session, msgid, clientMsgId, sender, senderDevice }
    this.history.add(`${uid}/${deviceId}`, 'ok', 'receive', session, value)
    const place = `${session} ${msgid}`
    if (!this.#texts.has(place)) this.#texts.set(place, message.text)
    held.set(session, Math.max(held.get(session) ?? 0, msgid))
    this.#raise(session, msgid)
  }

  #raise(session: string, msgid: number): void {
    if (msgid > (this.#latest.get(session) ?? 0)) this.#latest.set(session, msgid)
  }

  #sessions(uid: string): Set<string> {
    const known = this.#sessionsOf.get(uid) ?? new Set()
    this.#sessionsOf.set(uid, known)
    return known
  }

  #device(uid: string, deviceId: string): Device {
    const found = this.#devices.get(`${uid}/${deviceId}`)
    if (found === undefined) throw new Error(`${uid} has no device ${deviceId}`)
    return found
  }
}

/** Who writes to whom: everybody to some others and back, so that the conversations cross the halves of the list and stay in them. */
export function conversations(uids: readonly string[]): [string, string][] {
  return uids.flatMap((uid, i) =>
    [1, 2, 7].flatMap((step): [string, string][] => {
      const other = uids[(i + step) % uids.length]!
      return [
        [uid, other],
        [other, uid]
      ]
    })
  )
}
