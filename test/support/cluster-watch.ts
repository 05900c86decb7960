import { setTimeout as pause } from 'node:timers/promises'
import type { HistoryRecorder } from './history-recorder.ts'
import type { TestCluster } from './test-cluster.ts'

/** Notes in a history, again and again, which table epoch, term and leader each node sees, for the judges of authority. */
export class ClusterWatch {
  readonly #cluster: TestCluster
  readonly #history: HistoryRecorder
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  /** Highest epoch seen at any node. */
  epoch = 0

  constructor(cluster: TestCluster, history: HistoryRecorder) {
    this.#cluster = cluster
    this.#history = history
    this.#done = Promise.all(cluster.cluster.config.nodes.map(({ id }) => this.#watch(id))).then()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  /** Node by node: one that is paused must not keep the others from being seen. */
  async #watch(id: string): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const status = await this.#cluster.cluster
        .node(id)
        .status()
        .catch(() => undefined)
      if (status !== undefined) {
        const { epoch, pid } = status
        this.epoch = Math.max(this.epoch, epoch)
        this.#history.add(`${id}@${pid}`, 'ok', 'epoch', null, { epoch })
        for (const { set, raft } of status.routers) this.#leader(id, `router/${set}`, raft)
        for (const { raft } of status.arbiters) this.#leader(id, 'arbiter', raft)
      }
      await pause(100, undefined, { signal }).catch(() => {})
    }
  }

  #leader(id: string, group: string, raft: { term: number; leader: number } | undefined): void {
    if (raft === undefined || raft.leader === 0) return
    const value = { group, term: raft.term, leader: String(raft.leader) }
    this.#history.add(id, 'ok', 'leader', null, value)
  }
}
