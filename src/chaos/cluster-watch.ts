import { setMaxListeners } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { NodeConfig } from '../config/schema.ts'
import type { NodeSight } from '../control/control-source.ts'
import type { DrillCluster } from './arena.ts'
import type { FollowingChange } from './followings.ts'
import type { HistoryRecorder } from './history-recorder.ts'

/** From one look at a node to the next. */
const sightMs = 100
/** How often the configuration is looked at for nodes that came or went. */
const nodesMs = 500
/** How often a process' memory is noted. */
const memoryMs = 1_000

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

/** A process had a newer table. */
export interface EpochSight extends EpochChange {
  /** When the process had answered before that; the same moment when it never had. */
  readonly beforeMs: number
}

/** What was seen of one process over a run. */
export interface NodeSights {
  readonly node: string
  readonly pid: number
  /** Each epoch that it was seen to have, ascending, and when that was first. */
  readonly epochs: EpochSight[]
  /** Resident memory, about once a second. */
  readonly memory: { readonly atMs: number; readonly rssBytes: number }[]
  /** When it last answered. */
  lastMs: number
}

/** Notes in a history, again and again, which table epoch, term and leader each node sees, for the judges of authority. */
export class ClusterWatch {
  readonly leaderChanges: LeaderChange[] = []
  readonly epochChanges: EpochChange[] = []
  readonly followings: FollowingChange[] = []
  /** Of all processes that were there at any time. */
  readonly sights: NodeSights[] = []
  /** All nodes that were there at any time. */
  readonly nodes: NodeConfig[] = []
  /** Set id or `arbiter` → node that said last, in the newest term, that it leads. */
  readonly leaders: Map<string, string>
  readonly #terms = new Map<string, number>()
  /** Group, node and process → what it said last. */
  readonly #following = new Map<string, FollowingChange>()
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
    // Each node waits with it.
    setMaxListeners(0, this.#stop.signal)
    this.#done = this.#watchAll()
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#done
  }

  /** Nodes come with a set and go with it. */
  async #watchAll(): Promise<void> {
    const watched = new Map<string, Promise<void>>()
    const { signal } = this.#stop
    do {
      for (const node of this.#cluster.config.nodes) {
        if (this.nodes.every(({ id }) => id !== node.id)) this.nodes.push(node)
        if (watched.has(node.id)) continue
        const watch = this.#watch(node.id).finally(() => watched.delete(node.id))
        watched.set(node.id, watch)
      }
      await pause(nodesMs, undefined, { signal }).catch(() => {})
    } while (!signal.aborted)
    await Promise.all(watched.values())
  }

  #sightsOf(node: string, pid: number): NodeSights {
    const known = this.sights.find(one => one.node === node && one.pid === pid)
    if (known !== undefined) return known
    const sights: NodeSights = { node, pid, epochs: [], memory: [], lastMs: performance.now() }
    this.sights.push(sights)
    return sights
  }

  /** Node by node: one that is paused must not keep the others from being seen. Ends with the node's place in the configuration. */
  async #watch(id: string): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted && this.#cluster.config.nodes.some(node => node.id === id)) {
      const client = this.#cluster.node(id)
      await client.watch(sightMs, signal, sight => this.#saw(id, sight)).catch(() => {})
      await pause(sightMs, undefined, { signal }).catch(() => {})
    }
  }

  #saw(id: string, { pid, epoch, rssBytes, replicas }: NodeSight): void {
    const atMs = performance.now()
    const sights = this.#sightsOf(id, pid)
    this.#history.add(`${id}@${pid}`, 'ok', 'epoch', null, { epoch })
    for (const replica of replicas) {
      this.#sawLeader(id, replica)
      this.#sawFollowing(id, pid, replica)
    }
    if (epoch > (sights.epochs.at(-1)?.epoch ?? 0)) {
      sights.epochs.push({ atMs, epoch, beforeMs: sights.lastMs })
    }
    sights.lastMs = atMs
    if (atMs - (sights.memory.at(-1)?.atMs ?? Number.NEGATIVE_INFINITY) >= memoryMs) {
      sights.memory.push({ atMs, rssBytes })
    }
    if (epoch <= this.epoch) return
    this.epoch = epoch
    this.epochChanges.push({ atMs, epoch })
  }

  #sawFollowing(
    node: string,
    pid: number,
    { set, term, leader }: NodeSight['replicas'][number]
  ): void {
    const group = groupOf(set)
    const key = `${group} ${node} ${pid}`
    const before = this.#following.get(key)
    const led = leader !== 0
    if (before?.term === term && before.led === led) return
    const wasLed = before?.led ?? false
    const change = { atMs: performance.now(), group, node, term, led, wasLed }
    this.#following.set(key, change)
    this.followings.push(change)
  }

  #sawLeader(id: string, { set, replica, term, leader }: NodeSight['replicas'][number]): void {
    if (leader === 0) return
    const group = groupOf(set)
    const endpoint = set === '' ? 'arbiter' : `router/${set}`
    this.#history.add(id, 'ok', 'leader', null, { group: endpoint, term, leader: String(leader) })
    if (leader !== replica || term <= (this.#terms.get(group) ?? 0)) return
    this.#terms.set(group, term)
    this.leaders.set(group, id)
    this.leaderChanges.push({ atMs: performance.now(), group, node: id, term })
  }
}

/** @param set empty for the arbiters. */
function groupOf(set: string): string {
  return set === '' ? 'arbiter' : set
}
