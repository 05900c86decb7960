import { errorCodeOf } from '../../src/base/error-codes.ts'
import { RingsetError } from '../../src/base/errors.ts'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import { Prng } from '../../src/base/prng.ts'
import { PeerNetwork } from '../../src/net/peer-network.ts'
import { routerEndpoint } from '../../src/protocol/endpoint.ts'
import type { KindName, PayloadOf } from '../../src/protocol/kinds.ts'
import { type Packet, type PacketHeader, packet } from '../../src/protocol/packet.ts'
import { createTableKeeper } from '../../src/table/create-table-keeper.ts'
import type { TableView } from '../../src/table/table-view.ts'
import { eventually } from './eventually.ts'
import type { TestCluster } from './test-cluster.ts'

const self = 'client/asker'
let made = 0

/** Asks replicas that the test picks, leader or not, without retries: what a route client would never do. */
export class ReplicaClient {
  readonly #keeper = createTableKeeper()
  readonly #network: PeerNetwork
  readonly #bootId: number
  readonly #waiting = new Map<number, (answer: Packet) => void>()
  #sequence = 0

  /** Connected to every router of the cluster, with its table. */
  static async connect(cluster: TestCluster): Promise<ReplicaClient> {
    const client = new ReplicaClient(cluster.secret)
    for (const { host, peerPort, roles } of cluster.cluster.config.nodes) {
      for (const role of roles) {
        if (role.role !== 'router') continue
        const endpoint = routerEndpoint(role.set, role.replica)
        client.#network.learn(endpoint, `${host}:${peerPort}`)
        client.#network.interest(endpoint)
      }
    }
    await eventually('a table comes', 10_000, () => client.view.epoch > 0)
    return client
  }

  private constructor(secret: Buffer) {
    const random = new Prng(++made + process.pid)
    this.#bootId = random.id48()
    this.#network = new PeerNetwork({
      nodeId: `asker-${process.pid}-${made}`,
      bootId: this.#bootId,
      secret,
      purpose: 'logic-client',
      carry: 'stamp',
      // What waits in the sockets of a stopped process is to reach it when it goes on.
      limits: { linkTimeoutMs: 60_000 },
      keeper: this.#keeper,
      log: silentLog,
      metrics: noMetrics,
      clock: { nowMs: () => performance.now(), wallMs: () => Date.now() },
      random,
      onPacket: (_to, _from, received) => {
        if (received.bootId === this.#bootId) this.#waiting.get(received.sequence)?.(received)
      },
      onPeer: () => {}
    })
    this.#network.addLocal(self)
  }

  get view(): TableView {
    return this.#keeper.view()
  }

  /**
   * One packet to one replica and its answer. Rejects with the code of an ERROR, or TIMEOUT.
   * @param key what the packet is routed by; its slot and the owner's epoch are stated unless `header` says otherwise.
   */
  ask<K extends KindName, A extends KindName>(
    [setId, replicaId]: readonly [string, number],
    kind: K,
    payload: PayloadOf<K>,
    key: string,
    answerKind: A,
    { header = {}, withinMs = 10_000 }: { header?: Partial<PacketHeader>; withinMs?: number } = {}
  ): Promise<PayloadOf<A>> {
    const sequence = ++this.#sequence
    const slot = this.view.slotOf(key)
    const slotEpoch = this.view.owner(slot)?.slotEpoch ?? 0
    const own = { bootId: this.#bootId, sequence, deadlineMs: withinMs, slot, slotEpoch }
    return new Promise((resolve, reject) => {
      AbortSignal.timeout(withinMs).addEventListener('abort', () => {
        this.#waiting.delete(sequence)
        reject(new RingsetError('TIMEOUT'))
      })
      this.#waiting.set(sequence, received => {
        this.#waiting.delete(sequence)
        if (received.kind === answerKind) resolve(received.payload as PayloadOf<A>)
        else if (received.kind !== 'ERROR') reject(new Error(`answered ${received.kind}`))
        else reject(new RingsetError(errorCodeOf(received.payload.code), received.payload.text))
      })
      const sent = packet(kind, payload, { ...own, ...header })
      if (this.#network.send(self, routerEndpoint(setId, replicaId), sent)) return
      this.#waiting.delete(sequence)
      reject(new RingsetError('UNREACHABLE'))
    })
  }

  close(): Promise<void> {
    return this.#network.close()
  }
}
