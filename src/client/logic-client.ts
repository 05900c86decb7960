import { randomUUID } from 'node:crypto'
import { RingsetError } from '../base/errors.ts'
import { type Log, noMetrics, silentLog } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { PeerNetwork } from '../net/peer-network.ts'
import { type EndpointId, routerEndpoint } from '../protocol/endpoint.ts'
import type { Cursor, Page, PayloadOf, Route } from '../protocol/kinds.ts'
import { parseSession, routingKey } from '../protocol/session.ts'
import { RouteClient } from '../route/route-client.ts'
import type { AnswerKind, RequestKind, RouteCounters } from '../route/route-types.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import { sharedTables } from './shared-tables.ts'
import { routeTicker } from './ticker.ts'

export interface LogicClientOptions {
  /** `host:port` of the peer listener of one or more nodes; the rest is learned from the table. */
  readonly addresses: readonly string[]
  /** The logic-client credential of the cluster, or the cluster secret. */
  readonly secret: Buffer
  /** Shown in the nodes' logs; default random. */
  readonly name?: string
  readonly log?: Log
  /** Budget of a call, all retries included; default 10 s. */
  readonly deadlineMs?: number
}

export interface UserRoutes {
  readonly uid: string
  readonly routes: readonly Route[]
}

const firstTableMs = 10_000

/**
 * For backends: asks the routers directly, by the embedded routing table, in this process. No
 * proxy, no look-up call; after a change of the table or of a leader a call costs a hop more, once.
 * Every method rejects with a RingsetError whose `outcome` tells whether the call may have taken
 * effect; repeating an `append` with the same ids is safe.
 */
export class LogicClient {
  readonly #options: LogicClientOptions
  readonly #keeper = createTableKeeper({ work: sharedTables })
  readonly #network: PeerNetwork
  readonly #route: RouteClient
  readonly #self: EndpointId
  #known = new Set<EndpointId>()
  #onTable: (() => void)[] = []
  #closed = false

  constructor(options: LogicClientOptions) {
    this.#options = options
    const { log = silentLog, secret } = options
    const random = new Prng(Math.floor(Math.random() * Number.MAX_SAFE_INTEGER))
    const bootId = random.id48()
    const name = options.name ?? `logic-client-${randomUUID()}`
    this.#self = `client/${name}`
    const nowMs = (): number => performance.now()
    this.#network = new PeerNetwork({
      nodeId: name,
      bootId,
      secret,
      purpose: 'logic-client',
      carry: 'stamp',
      keeper: this.#keeper,
      log,
      metrics: noMetrics,
      clock: { nowMs, wallMs: () => Date.now() },
      random,
      onHints: hints => {
        for (const hint of hints) this.#route.learn(hint)
      },
      onPacket: (_to, from, packet) => this.#route.onPacket(from, packet),
      onPeer: (peer, up) => this.#route.onPeer(peer, up)
    })
    this.#route = new RouteClient({
      nowMs,
      random,
      bootId,
      send: (to, packet) => this.#network.send(this.#self, to, packet),
      table: () => this.#keeper.view()
    })
    this.#keeper.onAdopted(view => this.#adopted(view))
    this.#network.addLocal(this.#self)
    for (const [i, address] of options.addresses.entries()) {
      this.#network.learn(`seed/${i}`, address)
      this.#network.interest(`seed/${i}`)
    }
    routeTicker.add(this)
  }

  /** What the calls have cost; `extraHops` counts packets beyond one per request. */
  get counters(): RouteCounters {
    return this.#route.counters
  }

  /** Epoch of the routing table in use; 0 = none yet. */
  get tableEpoch(): number {
    return this.#keeper.view().epoch
  }

  /**
   * Resolves when the first routing table has come. Rejects with NO_TABLE after 10 s. Calls made
   * earlier wait by themselves.
   */
  ready(): Promise<void> {
    if (this.tableEpoch > 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new RingsetError('NO_TABLE')), firstTableMs)
      this.#onTable.push(() => {
        clearTimeout(timer)
        resolve()
      })
    })
  }

  /**
   * Adds a message to a session, on behalf of a device. `clientMsgId` counts upwards per device and
   * makes repetitions safe.
   */
  async append(message: PayloadOf<'APPEND'>): Promise<PayloadOf<'APPEND_OK'>> {
    const key = routingKey(message.session, parseSession(message.session))
    return (await this.#call(key, 'APPEND', message)).payload
  }

  /** The newest msgid of each session; 0 for one that has no message. */
  async latest(sessions: readonly string[]): Promise<Cursor[]> {
    const keys = sessions.map(session => routingKey(session, parseSession(session)))
    const answers = await this.#bySlot(sessions, keys, group => {
      const key = routingKey(group[0]!, parseSession(group[0]!))
      return this.#call(key, 'LATEST', { sessions: group })
    })
    return inOrder(
      sessions,
      answers.flatMap(({ payload }) => payload.cursors),
      cursor => cursor.session
    )
  }

  /** Where the devices of each user are connected. */
  async lookup(uids: readonly string[]): Promise<UserRoutes[]> {
    const answers = await this.#bySlot(uids, uids, group =>
      this.#call(group[0]!, 'LOOKUP', { uids: group })
    )
    return inOrder(
      uids,
      answers.flatMap(({ payload }) => payload.users),
      user => user.uid
    )
  }

  /** Messages of a session from msgid `from` on, as the user `uid` (a member) may read them. */
  async history(uid: string, session: string, from: number, limit: number): Promise<Page> {
    parseSession(session)
    return (await this.#call(uid, 'HISTORY_READ', { uid, session, from, limit })).payload
  }

  /**
   * `count` numbers of the named sequence: `first` … `first + count − 1`. Never given out twice;
   * may jump.
   */
  async sequence(name: string, count = 1): Promise<PayloadOf<'SEQUENCE_OK'>> {
    return (await this.#call(name, 'SEQUENCE', { name, count })).payload
  }

  /** Ends all calls with CANCELLED and closes the links. */
  async close(): Promise<void> {
    this.#closed = true
    routeTicker.remove(this)
    this.#route.cancelAll()
    await this.#network.close()
  }

  tick(): void {
    this.#route.tick()
  }

  async #call<K extends RequestKind>(
    key: string,
    kind: K,
    payload: PayloadOf<K>
  ): Promise<{ readonly payload: PayloadOf<AnswerKind<K>> }> {
    if (this.#closed) throw new RingsetError('CANCELLED', 'the client is closed')
    if (this.tableEpoch === 0) await this.ready()
    return new Promise((resolve, reject) => {
      const slot = this.#keeper.view().slotOf(key)
      this.#route.request({ slot }, kind, payload, {
        deadlineMs: this.#options.deadlineMs ?? 10_000,
        onDone: result => {
          if (result instanceof RingsetError) reject(result)
          else resolve(result as unknown as { payload: PayloadOf<AnswerKind<K>> })
        }
      })
    })
  }

  /** One call per slot concerned: a request is routed, and fenced, by one slot. */
  async #bySlot<T>(
    items: readonly string[],
    keys: readonly string[],
    call: (group: string[]) => Promise<T>
  ): Promise<T[]> {
    if (this.tableEpoch === 0) await this.ready()
    const view = this.#keeper.view()
    const groups = new Map<number, string[]>()
    for (const [i, item] of items.entries()) {
      const slot = view.slotOf(keys[i]!)
      const group = groups.get(slot)
      if (group) group.push(item)
      else groups.set(slot, [item])
    }
    return await Promise.all([...groups.values()].map(call))
  }

  #adopted(view: TableView): void {
    const present = new Set<EndpointId>()
    for (const set of view.table?.sets ?? []) {
      for (const { replicaId, address } of set.routers) {
        if (address === '') continue
        const endpoint = routerEndpoint(set.id, replicaId)
        present.add(endpoint)
        this.#network.learn(endpoint, address)
      }
    }
    for (const endpoint of this.#known) if (!present.has(endpoint)) this.#network.forget(endpoint)
    this.#known = present
    this.#route.onTable()
    const waiting = this.#onTable
    this.#onTable = []
    for (const resolve of waiting) resolve()
  }
}

function inOrder<T>(keys: readonly string[], found: readonly T[], keyOf: (item: T) => string): T[] {
  const byKey = new Map(found.map(item => [keyOf(item), item]))
  return keys.map(key => byKey.get(key)!)
}
