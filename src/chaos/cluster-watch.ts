import { setTimeout as pause } from 'node:timers/promises'
import type { DrillCluster } from './arena.ts'
import type { HistoryRecorder } from './history-recorder.ts'

const pollMs = 100

/** Somebody else leads a group, or nobody does (`node` empty), as seen from outside. */
export interface LeaderChange {
  readonly atMs: number
  /** Set id or `arbiter`. */
  readonly group: string
  readonly node: string
  readonly term: number
}

/** The newest table epoch that any node had changed. */
export interface EpochChange {
  readonly atMs: number
  readonly epoch: number
}

/** Notes in a history, again and again, which table epoch, term and leader each node sees, for the judges of authority. */
export class ClusterWatch {
  readonly leaderChanges: LeaderChange[] = []
  readonly epochChanges: EpochChange[] = []
  /** Set id or `arbiter` → node that said last, in the newest term, that it leads. */
  readonly leaders: Map<string, string>
  readonly #terms = new Map<string, number>()
  readonly #cluster: DrillCluster
  readonly #history: HistoryRecorder
  readonly #stop = new AbortController()
  readonly #done: Promise<void>
  /** Highest epoch seen at any node. */
  epoch = 0

  /** Begins at once. @param leaders is kept up to date. */
  constructor(
    cluster: DrillCluster,
    history: HistoryRecorder,
    leaders: Map<string, string> = new Map()
  ) {
    this.leaders = leaders
    this.#cluster = cluster
    this.#history = history
    this.#done = Promise.all(cluster.config.nodes.map(({ id }) => this.#watch(id))).then()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  /** Node by node: one that is paused must not keep the others from being seen. */
  async #watch(id: string): Promise<void> {
    const { signal } = this.#stop
    const client = this.#cluster.node(id)
    while (!signal.aborted) {
      const status = await client.status().catch(() => undefined)
      if (status !== undefined) {
        const { epoch, pid } = status
        this.#sawEpoch(epoch)
        this.#history.add(`${id}@${pid}`, 'ok', 'epoch', null, { epoch })
        for (const { set, raft } of status.routers) this.#sawLeader(id, set, `router/${set}`, raft)
        for (const { raft } of status.arbiters) this.#sawLeader(id, 'arbiter', 'arbiter', raft)
      }
      await pause(pollMs, undefined, { signal }).catch(() => {})
    }
  }

  #sawEpoch(epoch: number): void {
    if (epoch <= this.epoch) return
    this.epoch = epoch
    this.epochChanges.push({ atMs: performance.now(), epoch })
  }

  #sawLeader(
    id: string,
    group: string,
    endpoint: string,
    raft: { replica: number; term: number; leader: number } | undefined
  ): void {
    if (raft === undefined || raft.leader === 0) return
    const { term, leader } = raft
    this.#history.add(id, 'ok', 'leader', null, { group: endpoint, term, leader: String(leader) })
    if (leader !== raft.replica || term <= (this.#terms.get(group) ?? 0)) return
    this.#terms.set(group, term)
    this.leaders.set(group, id)
    this.leaderChanges.push({ atMs: performance.now(), group, node: id, term })
  }
}
