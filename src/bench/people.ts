import { ImClient } from '../client/im-client.ts'
import { createToken } from '../net/token.ts'
import { p2pSession } from '../protocol/session.ts'
import type { BenchCluster } from './bench-cluster.ts'
import { LatencyRecorder } from './latency.ts'

const connectAtOnce = 50
const oneDayMs = 86_400_000
const deliverTimeoutMs = 60_000

interface Pending {
  readonly startedMs: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** People write to few others again and again: a user's contacts are the next so many users, and as many before have it as theirs. */
export const contactsPerUser = 10

/** Each body begins with the message's number, so that its arrival is recognised. */
const idBytes = 16

/** Chat users of a benchmark, all in this process: every message is counted when its sender has the ack and its receiver the message. */
export class People {
  readonly clients: ImClient[] = []
  readonly ackLatencies = new LatencyRecorder()
  readonly deliveryLatencies = new LatencyRecorder()
  readonly #pending = new Map<string, Pending>()
  #measuring = false
  #count = 0
  readonly #sweeper = setInterval(() => this.#sweep(), 1_000)

  /** Connects `count` users, spread over all gateways by the cluster itself. */
  static async connect(
    { config, secret }: BenchCluster,
    count: number,
    onProgress: (connected: number) => void
  ): Promise<People> {
    const people = new People()
    const addresses = config.nodes.flatMap(node =>
      node.roles.flatMap(role =>
        role.role === 'transfer' ? [`tcp://127.0.0.1:${role.tcpPort}`] : []
      )
    )
    try {
      for (let first = 0; first < count; first += connectAtOnce) {
        const some = Math.min(connectAtOnce, count - first)
        const uids = Array.from({ length: some }, (_, i) => `user-${first + i}`)
        await Promise.all(uids.map(uid => people.#add(uid, addresses, secret)))
        onProgress(people.clients.length)
      }
    } catch (error) {
      await people.close()
      throw error
    }
    return people
  }

  async #add(uid: string, addresses: readonly string[], secret: Buffer): Promise<void> {
    const client = new ImClient({
      uid,
      token: createToken(secret, uid, Date.now() + oneDayMs),
      addresses,
      deviceId: 'bench'
    })
    client.onMessage(message => {
      if (message.from === uid) return
      this.#arrived(message.body.toString('latin1', 0, idBytes))
    })
    this.clients.push(client)
    await client.connect()
  }

  /** What is done from now on is recorded, what was so far forgotten. */
  startMeasuring(): void {
    this.ackLatencies.reset()
    this.deliveryLatencies.reset()
    this.#measuring = true
  }

  stopMeasuring(): void {
    this.#measuring = false
  }

  /** A random user writes to a random contact; done when acknowledged and delivered. */
  async message(body: Buffer, dueMs: number): Promise<void> {
    const { clients } = this
    const at = random(clients.length)
    const from = clients[at]!
    const to =
      clients[(at + 1 + random(Math.min(contactsPerUser, clients.length - 1))) % clients.length]!
    const id = String(this.#count++).padStart(idBytes, '0')
    const marked = Buffer.from(body)
    marked.write(id, 0, 'latin1')
    const delivered = new Promise<void>((resolve, reject) => {
      this.#pending.set(id, { startedMs: dueMs, resolve, reject })
    })
    delivered.catch(() => {})
    const session = p2pSession(from.uid, to.uid)
    await from.send({ session, type: 1, body: marked })
    if (this.#measuring) this.ackLatencies.record(performance.now() - dueMs)
    await delivered
  }

  #arrived(id: string): void {
    const pending = this.#pending.get(id)
    if (pending === undefined) return
    this.#pending.delete(id)
    if (this.#measuring) this.deliveryLatencies.record(performance.now() - pending.startedMs)
    pending.resolve()
  }

  #sweep(): void {
    const oldestMs = performance.now() - deliverTimeoutMs
    for (const [id, { startedMs, reject }] of this.#pending) {
      if (startedMs > oldestMs) return
      this.#pending.delete(id)
      reject(new Error(`message ${id} was not delivered within ${deliverTimeoutMs} ms`))
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#sweeper)
    await Promise.all(this.clients.map(client => client.close()))
  }
}

function random(below: number): number {
  return Math.floor(Math.random() * below)
}
