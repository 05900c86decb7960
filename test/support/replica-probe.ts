import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import type { ChatWorkload } from './chat-workload.ts'
import { ReplicaClient } from './replica-client.ts'
import type { TestCluster } from './test-cluster.ts'

const set = 's1'
const sequenceName = 'probe'
/** A stopped process answers once it goes on, if at all. */
const patience = { withinMs: 6_000 }

/** Reads and writes one session and one sequence of set s1 at all three replicas at once, each asked directly, and records it all. */
export class ReplicaProbe {
  readonly #cluster: TestCluster
  readonly #chat: ChatWorkload
  readonly #pair: readonly [string, string]
  readonly #replicas: ReplicaClient
  readonly #sequenceName: string
  readonly #outcomes = new Map<string, number>()
  #bursts = 0

  /** @param pair two users whose devices are connected. */
  static async connect(cluster: TestCluster, chat: ChatWorkload, pair: readonly [string, string]) {
    const replicas = await ReplicaClient.connect(cluster)
    let number = 1
    while ((await cluster.setOf(`${sequenceName}-${number}`)) !== set) number++
    return new ReplicaProbe(cluster, chat, pair, replicas, `${sequenceName}-${number}`)
  }

  private constructor(
    cluster: TestCluster,
    chat: ChatWorkload,
    pair: readonly [string, string],
    replicas: ReplicaClient,
    name: string
  ) {
    this.#cluster = cluster
    this.#chat = chat
    this.#pair = pair
    this.#replicas = replicas
    this.#sequenceName = name
  }

  /** Asks every replica again and again. */
  async run(more: () => boolean): Promise<void> {
    const loop = async (replicaId: number): Promise<void> => {
      for (let n = 1; more(); n++) await this.#round(replicaId, `probe-${replicaId}`, n)
    }
    await Promise.all([loop(1), loop(2), loop(3)])
  }

  /** Asks the replica of one node `count` times at once. */
  async burst(nodeId: string, count: number): Promise<void> {
    const replicaId = this.#cluster.routerNodes(set).indexOf(nodeId) + 1
    const burst = ++this.#bursts
    const rounds = Array.from({ length: count }, (_, i) =>
      this.#round(replicaId, `burst-${burst}-${i}`, 1)
    )
    await Promise.all(rounds)
  }

  /** How many of each outcome, by operation. */
  summary(): string {
    return [...this.#outcomes].map(([what, count]) => `${what} ${count}`).join(', ')
  }

  close(): Promise<void> {
    return this.#replicas.close()
  }

  async #round(replicaId: number, process: string, clientMsgId: number): Promise<void> {
    const at = [set, replicaId] as const
    const session = p2pSession(...this.#pair)
    const key = routingKey(session, parseSession(session))
    const replicas = this.#replicas
    await Promise.all([
      this.#note('append', replicaId, () =>
        this.#chat.append(process, this.#pair, clientMsgId, message =>
          replicas.ask(at, 'APPEND', message, key, 'APPEND_OK', patience)
        )
      ),
      this.#note('latest', replicaId, () =>
        this.#chat.latest(`${process}-latest`, session, async () => {
          const sessions = [session]
          return (await replicas.ask(at, 'LATEST', { sessions }, key, 'LATEST_OK', patience))
            .cursors
        })
      ),
      this.#note('sequence', replicaId, () => this.#sequence(at, process))
    ])
  }

  async #sequence(at: readonly [string, number], process: string): Promise<void> {
    const name = this.#sequenceName
    await this.#chat.history.operation(
      `${process}-sequence`,
      'sequence.next',
      name,
      null,
      () => this.#replicas.ask(at, 'SEQUENCE', { name, count: 1 }, name, 'SEQUENCE_OK', patience),
      ({ first, count }) => ({ first, count })
    )
  }

  async #note(what: string, replicaId: number, work: () => Promise<void>): Promise<void> {
    const outcome = await work().then(
      () => 'ok',
      error => error.code ?? String(error)
    )
    const name = `${what}@${replicaId} ${outcome}`
    this.#outcomes.set(name, (this.#outcomes.get(name) ?? 0) + 1)
  }
}
