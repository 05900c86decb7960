import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { RoutingTable } from '../table/table.ts'
import { ControlClient } from './control-client.ts'
import type { NodeStatus } from './control-source.ts'

export interface NodePlace {
  readonly id: string
  /** `host:port` of its control interface. */
  readonly controlAddress: string
}

/** One node at one instant: its status, or why there is none. */
export interface NodeSample extends NodePlace {
  readonly status: NodeStatus | undefined
  readonly error: ErrorCode | undefined
}

/** All nodes at about one instant. */
export interface ClusterSample {
  /** Monotonic milliseconds, for rates between two samples. */
  readonly atMs: number
  /** In the order of the configuration. */
  readonly nodes: readonly NodeSample[]
  /** The newest table that any node has. */
  readonly table: RoutingTable | undefined
}

interface ClusterControlOptions {
  readonly nodes: readonly NodePlace[]
  readonly credential: string
  readonly timeoutMs?: number
}

/** The control clients of all nodes of a cluster. */
export class ClusterControl {
  readonly #clients = new Map<string, ControlClient>()
  readonly #connect: (address: string) => ControlClient
  #table: RoutingTable | undefined
  /** Node id; by the last sample. */
  #newest: string | undefined

  constructor({ nodes, credential, timeoutMs }: ClusterControlOptions) {
    const bound = timeoutMs === undefined ? {} : { timeoutMs }
    this.#connect = address => new ControlClient({ address, credential, ...bound })
    this.setNodes(nodes)
  }

  /** The cluster has these nodes from now on. */
  setNodes(nodes: readonly NodePlace[]): void {
    const before = new Map(this.#clients)
    this.#clients.clear()
    for (const { id, controlAddress } of nodes) {
      const known = before.get(id)
      const kept = known?.address === controlAddress ? known : undefined
      if (kept !== undefined) before.delete(id)
      this.#clients.set(id, kept ?? this.#connect(controlAddress))
    }
    for (const client of before.values()) client.close()
  }

  /** Finds all nodes through one of them. */
  static async discover(
    address: string,
    credential: string,
    timeoutMs?: number
  ): Promise<ClusterControl> {
    const bound = timeoutMs === undefined ? {} : { timeoutMs }
    const first = new ControlClient({ address, credential, ...bound })
    try {
      const { nodes } = await first.status()
      return new ClusterControl({ nodes, credential, ...bound })
    } finally {
      first.close()
    }
  }

  /** Throws NODE_UNKNOWN. */
  node(id: string): ControlClient {
    const client = this.#clients.get(id)
    if (client === undefined)
      throw new RingsetError('NODE_UNKNOWN', `no node is called ${id}`, { id })
    return client
  }

  /** Asks every node at once; one that does not answer is part of the result, never an error. */
  async sample(): Promise<ClusterSample> {
    const nodes = await Promise.all(
      [...this.#clients].map(([id, client]) => sampleNode(id, client))
    )
    const epochOf = (node: NodeSample) => node.status?.epoch ?? 0
    const newest = nodes.reduce((best, node) => (epochOf(node) > epochOf(best) ? node : best))
    this.#newest = newest.status && newest.id
    if (epochOf(newest) > (this.#table?.epoch ?? 0)) {
      const client = this.node(newest.id)
      this.#table = await client.table().catch(() => this.#table)
    }
    return { atMs: performance.now(), nodes, table: this.#table }
  }

  /**
   * The table of the node that had the newest when all were sampled last; undefined: there was none, or it does not answer.
   * @param epoch wait for a newer one, but no longer than `waitMs`.
   */
  async tableOfNewest(epoch = 0, waitMs = 0): Promise<RoutingTable | undefined> {
    const client = this.#clients.get(this.#newest ?? '')
    return client?.tableAfter(epoch, waitMs).catch(() => undefined)
  }

  /** The first answer that any node gives; the error of the last when none does. */
  async any<T>(ask: (client: ControlClient) => Promise<T>): Promise<T> {
    let last: unknown = new RingsetError('UNREACHABLE', 'the cluster has no nodes')
    for (const client of this.#clients.values()) {
      try {
        return await ask(client)
      } catch (error) {
        if (!worthAnother(error)) throw error
        last = error
      }
    }
    throw last
  }

  close(): void {
    for (const client of this.#clients.values()) client.close()
  }
}

/** Whether another node may answer what this one could not. */
function worthAnother(error: unknown): boolean {
  if (!(error instanceof RingsetError)) return false
  const passing: readonly ErrorCode[] = [
    'UNREACHABLE',
    'TIMEOUT',
    'CANCELLED',
    'NO_TABLE',
    'UNSUPPORTED'
  ]
  return passing.includes(error.code)
}

async function sampleNode(id: string, client: ControlClient): Promise<NodeSample> {
  const place = { id, controlAddress: client.address }
  try {
    return { ...place, status: await client.status(), error: undefined }
  } catch (error) {
    const code = error instanceof RingsetError ? error.code : 'INTERNAL'
    return { ...place, status: undefined, error: code }
  }
}
