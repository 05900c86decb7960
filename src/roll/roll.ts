import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { type DrainProgress, TransferOperator } from '../control/transfer-operator.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { nextNode, stopFault, wholenessFault } from './fitness.ts'

/** A node that has been restarted. */
export interface RolledNode {
  readonly id: string
  /** From its drain until it was level again. */
  readonly ms: number
}

export interface RollProgress {
  readonly node: string
  readonly step: 'drain' | 'stop' | 'start' | 'level' | 'done'
  /** Nodes that are done, of `total`. */
  readonly done: number
  readonly total: number
  readonly ms: number
  readonly drain?: DrainProgress
  /** What it still waits for. */
  readonly waitingFor?: string
}

export interface RollOptions {
  /** Only nodes with a role in these sets; undefined: every node. */
  readonly sets?: readonly string[] | undefined
  /** Raised: stop when the present node is back. */
  readonly signal?: AbortSignal
  readonly onProgress: (progress: RollProgress) => void
  /** Called when a node is done. */
  readonly onNode: (node: RolledNode) => void
}

const pollMs = 200
const levelMs = 60_000
/** What has just changed elsewhere, such as a table on its way, passes in that time. */
const settleMs = 10_000
const checkMs = 1_000

/**
 * Restarts the nodes of a running cluster one after the other. A node goes only when every group is whole and can do without it: its
 * gateways are drained, SIGTERM hands over what it leads, and the next one has its turn when it is level again.
 */
export class Roll {
  readonly #cluster: RunningCluster
  readonly #operator: TransferOperator
  readonly #options: RollOptions
  readonly #total: number
  /** Not restarted yet. */
  readonly #left: NodeConfig[]

  /** Throws SET_UNKNOWN. */
  constructor(cluster: RunningCluster, options: RollOptions) {
    this.#cluster = cluster
    this.#operator = new TransferOperator(cluster.control)
    this.#options = options
    this.#left = nodesOf(cluster, options.sets)
    this.#total = this.#left.length
  }

  get left(): string[] {
    return this.#left.map(({ id }) => id)
  }

  /** Throws, naming the group, when the cluster is not whole or one of the nodes must not stop. */
  async check(): Promise<void> {
    await this.#whole(checkMs, (sample, config) => {
      const faults = this.#left.map(({ id }) => stopFault(config, sample, id))
      return faults.find(fault => fault !== undefined)
    })
  }

  /** Restarts them all; ends early, after a node, when the signal is raised. Throws what kept a node from stopping or coming back. */
  async run(): Promise<void> {
    while (this.#left.length > 0 && !this.#options.signal?.aborted) {
      const node = await this.#choose()
      const startMs = performance.now()
      await this.#restart(node.id, startMs)
      this.#left.splice(this.#left.indexOf(node), 1)
      const ms = Math.round(performance.now() - startMs)
      this.#tell(node.id, 'done', startMs)
      this.#options.onNode({ id: node.id, ms })
    }
  }

  /** The next node, once the cluster can do without it. */
  async #choose(): Promise<NodeConfig> {
    let node: NodeConfig | undefined
    await this.#whole(settleMs, (sample, config) => {
      node = nextNode(this.#left, sample)
      return stopFault(config, sample, node.id)
    })
    return node!
  }

  /** Waits until nothing is wrong with the whole cluster, nor by `more`. Throws the fault when it does not pass in time. */
  async #whole(
    withinMs: number,
    more: (sample: ClusterSample, config: ClusterConfig) => RingsetError | undefined,
    onFault: (fault: RingsetError) => void = () => {}
  ): Promise<void> {
    const { config, control } = this.#cluster
    const endMs = performance.now() + withinMs
    for (;;) {
      const sample = await control.sample()
      const fault = wholenessFault(config, sample) ?? more(sample, config)
      if (fault === undefined) return
      if (performance.now() > endMs) throw fault
      onFault(fault)
      await sleep(pollMs)
    }
  }

  async #restart(id: string, startMs: number): Promise<void> {
    await this.#drain(id, startMs)
    this.#tell(id, 'stop', startMs)
    const { how } = await this.#cluster.stopNode(id)
    if (how === 'stuck') throw new RingsetError('NODE_FAILED', `node ${id} cannot be stopped`)
    this.#tell(id, 'start', startMs)
    await this.#cluster.startNode(id)
    const none = () => undefined
    await this.#whole(levelMs, none, fault => {
      this.#tell(id, 'level', startMs, { waitingFor: fault.message })
    })
  }

  /** Whatever keeps a gateway from being drained, the others of the node take clients again. */
  async #drain(id: string, startMs: number): Promise<void> {
    const roles = this.#cluster.config.nodes.find(node => node.id === id)?.roles ?? []
    const gateways = roles.flatMap(role => (role.role === 'transfer' ? [role.id] : []))
    try {
      const drains = gateways.map(gateway =>
        this.#operator.drain(gateway, {
          onProgress: drain => this.#tell(id, 'drain', startMs, { drain })
        })
      )
      await Promise.all(drains)
    } catch (error) {
      for (const gateway of gateways) await this.#operator.undrain(gateway).catch(() => {})
      throw error
    }
  }

  #tell(
    node: string,
    step: RollProgress['step'],
    startMs: number,
    more: Pick<RollProgress, 'drain' | 'waitingFor'> = {}
  ): void {
    const done = this.#total - this.#left.length
    const ms = Math.round(performance.now() - startMs)
    this.#options.onProgress({ node, step, done, total: this.#total, ms, ...more })
  }
}

function nodesOf({ config }: RunningCluster, sets: readonly string[] | undefined): NodeConfig[] {
  if (sets === undefined) return [...config.nodes]
  const known = config.sets.map(({ id }) => id)
  const unknown = sets.find(set => !known.includes(set))
  if (unknown !== undefined) {
    const text = `no set is called ${unknown}; there are ${known.join(', ')}`
    throw new RingsetError('SET_UNKNOWN', text, { set: unknown })
  }
  return config.nodes.filter(({ roles }) =>
    roles.some(role => role.role !== 'arbiter' && sets.includes(role.set))
  )
}
