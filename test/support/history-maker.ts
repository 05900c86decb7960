import { Prng } from '../../src/base/prng.ts'
import type { HistoryLine, LineType } from '../../src/check/history.ts'

export interface HistoryShape {
  readonly seed: number
  readonly operations: number
  readonly users: number
  readonly sessions: number
  /** Share of operations whose outcome the client never learns. Default 0.02. */
  readonly unknownShare?: number
  /** Share of operations that are certainly refused. Default 0.01. */
  readonly failShare?: number
}

interface Event {
  readonly at: number
  readonly run: () => void
}

interface Client {
  readonly process: string
  readonly uid: string
  readonly device: string
  readonly sessions: readonly string[]
  at: number
  clientMsgId: number
  connSeq: number
  connection: string
  retry: { session: string; clientMsgId: number } | undefined
}

interface Session {
  latest: number
  readonly msgids: Map<string, number>
  readonly devices: readonly { uid: string; device: string; at: number }[]
}

const devices = ['phone', 'laptop'] as const
const timeoutMs = 40

/**
 * The history of a correct cluster under a random workload: every operation takes effect at one
 * instant between its invocation and its end (or later, or never, when its outcome is unknown), and
 * every append reaches all devices of both users in order.
 */
export function makeHistory(shape: HistoryShape): HistoryLine[] {
  return new HistoryMaker(shape).make()
}

class HistoryMaker {
  readonly #shape: HistoryShape
  readonly #random: Prng
  readonly #events: Event[] = []
  readonly #lines: { at: number; line: Omit<HistoryLine, 'time'> }[] = []
  readonly #sessions = new Map<string, Session>()
  readonly #presence = new Map<
    string,
    Map<string, { connection: string; connSeq: number; class: string }>
  >()
  readonly #clients: Client[] = []
  #sequence = 0

  constructor(shape: HistoryShape) {
    this.#shape = shape
    this.#random = new Prng(shape.seed, 'history')
  }

  make(): HistoryLine[] {
    this.#people()
    for (let i = 0; i < this.#shape.operations; i++) {
      this.#operate(this.#clients[i % this.#clients.length]!)
    }
    this.#control()
    this.#events.sort((a, b) => a.at - b.at)
    for (const event of this.#events) event.run()
    this.#lines.sort((a, b) => a.at - b.at)
    return this.#lines.map(({ line }, index) => ({ time: index * 1_000, ...line }))
  }

  #people(): void {
    const { users, sessions } = this.#shape
    const sessionsOf = new Map<string, string[]>()
    for (let i = 0; i < users; i++) sessionsOf.set(`u${i}`, [])
    for (let i = 0; i < sessions; i++) {
      const a = this.#random.below(users)
      const b = (a + 1 + this.#random.below(users - 1)) % users
      const pair = [`u${a}`, `u${b}`].sort() as [string, string]
      const session = `p2p/${pair[0]}/${pair[1]}`
      if (this.#sessions.has(session)) continue
      const members = pair.flatMap(uid => devices.map(device => ({ uid, device, at: 0 })))
      this.#sessions.set(session, { latest: 0, msgids: new Map(), devices: members })
      for (const uid of pair) sessionsOf.get(uid)!.push(session)
      for (const { uid, device } of members) {
        this.#line(-1, 'harness', 'ok', 'member', null, { session, uid, device, from: 1 })
      }
    }
    for (const [uid, own] of sessionsOf) {
      if (own.length === 0) continue
      for (const device of devices) {
        const process = `${uid}/${device}`
        const at = this.#random.float()
        const fresh = { at, clientMsgId: 0, connSeq: 0, connection: '', retry: undefined }
        this.#clients.push({ process, uid, device, sessions: own, ...fresh })
      }
    }
  }

  #operate(client: Client): void {
    const dice = this.#random.float()
    if (client.retry !== undefined || dice < 0.55) this.#send(client)
    else if (dice < 0.75) this.#latest(client)
    else if (dice < 0.85) this.#register(client)
    else if (dice < 0.95) this.#lookup(client)
    else this.#next(client)
  }

  #send(client: Client): void {
    const again = client.retry
    client.retry = undefined
    const session = again?.session ?? this.#pick(client.sessions)
    const clientMsgId = again?.clientMsgId ?? ++client.clientMsgId
    const { uid, device } = client
    const request = { uid, deviceId: device, clientMsgId }
    const outcome = this.#run(client, 'send', session, request, at =>
      this.#append(at, session, uid, device, clientMsgId)
    )
    if (outcome === 'info' && this.#random.float() < 0.7) client.retry = { session, clientMsgId }
  }

  #append(at: number, name: string, uid: string, device: string, clientMsgId: number): unknown {
    const session = this.#sessions.get(name)!
    const identity = `${uid}/${device}/${clientMsgId}`
    const known = session.msgids.get(identity)
    if (known !== undefined) return { msgid: known, duplicate: true }
    const msgid = ++session.latest
    session.msgids.set(identity, msgid)
    for (const inbox of session.devices) {
      inbox.at = Math.max(inbox.at + 0.001, at + this.#random.float() * 20)
      this.#line(inbox.at, `${inbox.uid}/${inbox.device}`, 'ok', 'receive', name, {
        uid: inbox.uid,
        device: inbox.device,
        session: name,
        msgid,
        clientMsgId,
        sender: uid,
        senderDevice: device
      })
    }
    return { msgid, duplicate: false }
  }

  #latest(client: Client): void {
    const session = this.#pick(client.sessions)
    this.#run(client, 'latest', session, null, () => ({
      msgid: this.#sessions.get(session)!.latest
    }))
  }

  #register(client: Client): void {
    const { uid, device } = client
    if (client.connection !== '' && this.#random.float() < 0.5) {
      const { connection } = client
      client.connection = ''
      this.#run(client, 'unregister', uid, { device, connection }, () => {
        const removed = this.#routes(uid).get(device)?.connection === connection
        if (removed) this.#routes(uid).delete(device)
        return { removed }
      })
      return
    }
    const connSeq = ++client.connSeq
    const connection = `${client.process}#${connSeq}`
    client.connection = connection
    const deviceClass = device === 'phone' ? 'mobile' : 'desktop'
    this.#run(client, 'register', uid, { device, connection, connSeq, class: deviceClass }, () => {
      const current = this.#routes(uid).get(device)
      if (current === undefined || current.connSeq <= connSeq) {
        this.#routes(uid).set(device, { connection, connSeq, class: deviceClass })
      }
      return null
    })
  }

  #lookup(client: Client): void {
    const { uid } = this.#pick(this.#clients)
    this.#run(client, 'lookup', uid, null, () => ({
      routes: [...this.#routes(uid)].map(([device, { connection }]) => ({ device, connection }))
    }))
  }

  #next(client: Client): void {
    const count = 1 + this.#random.below(3)
    this.#run(client, 'sequence.next', 'orders', { count }, () => {
      const first = this.#sequence + 1 + this.#random.below(2)
      this.#sequence = first + count - 1
      return { first, count }
    })
  }

  /**
   * Runs one operation of a client; `effect` is called when it takes effect, and answers the
   * result.
   */
  #run(
    client: Client,
    f: string,
    key: string,
    request: unknown,
    effect: (at: number) => unknown
  ): LineType {
    const { unknownShare = 0.02, failShare = 0.01 } = this.#shape
    const { process } = client
    const called = client.at
    this.#line(called, process, 'invoke', f, key, request)
    const dice = this.#random.float()
    if (dice < unknownShare) {
      const ends = called + timeoutMs
      this.#line(ends, process, 'info', f, key, null, 'TIMEOUT')
      if (this.#random.float() < 0.5)
        this.#at(called + this.#random.float() * 3 * timeoutMs, effect)
      client.at = ends + this.#random.float()
      return 'info'
    }
    const ends = called + 0.1 + this.#random.float() * 10
    client.at = ends + this.#random.float() * 5
    if (dice < unknownShare + failShare) {
      this.#line(ends, process, 'fail', f, key, null, 'NOT_LEADER')
      return 'fail'
    }
    this.#at(called + this.#random.float() * (ends - called), at =>
      this.#line(ends, process, 'ok', f, key, effect(at))
    )
    return 'ok'
  }

  /** Slot moves, elections and table epochs, as the nodes see them. */
  #control(): void {
    const end = Math.max(...this.#clients.map(client => client.at))
    const owners = Array.from({ length: 8 }, () => ({ set: 'set1', epoch: 0 }))
    owners.forEach(({ set, epoch }, slot) => {
      this.#line(-1, 'node1', 'ok', 'owner', null, { slot, set, epoch, released: false })
    })
    const moves = 20
    for (let epoch = 1; epoch <= moves; epoch++) {
      const at = (end * epoch) / moves
      const slot = this.#random.below(owners.length)
      const from = owners[slot]!
      const to = { set: from.set === 'set1' ? 'set2' : 'set1', epoch }
      owners[slot] = to
      this.#line(at, 'node1', 'ok', 'owner', null, { slot, ...from, released: true })
      this.#line(at + 0.1, 'node2', 'ok', 'owner', null, { slot, ...to, released: false })
      for (const node of ['node1#1', 'node2#1']) {
        this.#line(at + 0.2, node, 'ok', 'epoch', null, { epoch, hash: `hash-${epoch}` })
      }
      const leader = `r${this.#random.below(3)}`
      const reign = { group: 'set1', term: epoch, leader }
      for (const node of ['node1#1', 'node2#1']) {
        this.#line(at + 0.3, node, 'ok', 'leader', null, reign)
      }
      this.#line(at + 0.4, 'nemesis', 'info', 'kill', null, { node: 'node1' })
    }
  }

  #routes(uid: string): Map<string, { connection: string; connSeq: number; class: string }> {
    let routes = this.#presence.get(uid)
    if (routes === undefined) {
      routes = new Map()
      this.#presence.set(uid, routes)
    }
    return routes
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#random.below(items.length)]!
  }

  #at(at: number, run: (at: number) => void): void {
    this.#events.push({ at, run: () => run(at) })
  }

  #line(
    at: number,
    process: string,
    type: LineType,
    f: string,
    key: string | null,
    value: unknown,
    error?: string
  ): void {
    const line = { process, type, f, key, value, ...(error === undefined ? undefined : { error }) }
    this.#lines.push({ at, line })
  }
}
