import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { ClusterSample } from './cluster-control.ts'
import { clusterStatus } from './cluster-status.ts'
import type { ControlClient } from './control-client.ts'

/** The part of a cluster's control that drains need. */
export interface DrainedCluster {
  sample(): Promise<ClusterSample>
  /** Throws NODE_UNKNOWN. */
  node(id: string): DrainedNode
}
export type DrainedNode = Pick<
  ControlClient,
  'status' | 'table' | 'drainTransfer' | 'undrainTransfer'
>

export interface DrainReport {
  readonly transfer: string
  /** It runs on. */
  readonly node: string
  /** `draining` or `up`. */
  readonly state: string
  /** Connections that are left. */
  readonly connections: number
  /** Connections that the drain has sent away. */
  readonly moved: number
  /** How long the command took. */
  readonly seconds: number
  /** False when the gateway drained (or took clients) already. */
  readonly changed: boolean
}

export interface DrainProgress {
  readonly left: number
  /** And those that have gone. */
  readonly total: number
  /** No other gateway of the set takes clients, so they stay. */
  readonly held: boolean
}

export interface DrainOptions {
  /** Clients leave evenly over it; undefined lets their number decide. */
  readonly overMs?: number | undefined
  /** Done when so many connections are left. */
  readonly threshold?: number | undefined
  /** Also when no other gateway of the set is up. */
  readonly force?: boolean | undefined
  readonly onProgress?: ((progress: DrainProgress) => void) | undefined
}

const pollMs = 100
const usualWindowMs = 2_000
/** Without a connection that goes for the window and so long, nobody waits on. */
const patienceMs = 15_000
/** Without a connection that goes for so long, the cause is looked for. */
const wonderMs = 1_000

/** Drains gateways of a running cluster, whichever nodes they run on. */
export class TransferOperator {
  readonly #cluster: DrainedCluster
  readonly #patienceMs: number

  /** @param patience how long to wait for the next connection to go, above the window. */
  constructor(cluster: DrainedCluster, patience = patienceMs) {
    this.#cluster = cluster
    this.#patienceMs = patience
  }

  /**
   * Drains a gateway and waits until its clients have gone. Whoever gives up waiting leaves it draining.
   * Throws TRANSFER_UNKNOWN, LAST_TRANSFER, UNREACHABLE; TIMEOUT when no more clients go; CANCELLED when somebody takes the drain back.
   */
  async drain(id: string, options: DrainOptions = {}): Promise<DrainReport> {
    const { overMs, threshold = 0, force = false, onProgress } = options
    const startMs = performance.now()
    const { node, nodeId } = await this.#nodeOf(id)
    const changed = await node.drainTransfer({ transfer: id, overMs, force })
    const bound = (overMs ?? usualWindowMs) + this.#patienceMs
    let total = 0
    let left = Number.POSITIVE_INFINITY
    let goneMs = startMs
    for (;;) {
      const now = await this.#look(node, id)
      total = Math.max(total, now.connections + now.moved)
      if (now.connections < left) goneMs = performance.now()
      left = now.connections
      const waitedMs = performance.now() - goneMs
      const held = left > threshold && waitedMs > wonderMs && (await noRefuge(node, id))
      onProgress?.({ left, total, held })
      if (left <= threshold) {
        const seconds = secondsSince(startMs)
        return { transfer: id, node: nodeId, ...now, seconds, changed }
      }
      if (waitedMs > bound) {
        const why = held ? ': no other gateway of the set takes clients' : ''
        throw new RingsetError('TIMEOUT', `${id} drains, ${left} connections stay${why}`, { left })
      }
      await sleep(pollMs)
    }
  }

  /** Throws TRANSFER_UNKNOWN, UNREACHABLE. */
  async undrain(id: string): Promise<DrainReport> {
    const startMs = performance.now()
    const { node, nodeId } = await this.#nodeOf(id)
    const { changed, moved, connections } = await node.undrainTransfer(id)
    const { state } = await viewOf(node, id)
    return {
      transfer: id,
      node: nodeId,
      state,
      connections,
      moved,
      seconds: secondsSince(startMs),
      changed
    }
  }

  async #look(node: DrainedNode, id: string) {
    const { state, connections, moved } = await viewOf(node, id)
    if (state === 'up') {
      throw new RingsetError(
        'CANCELLED',
        `the drain of ${id} was taken back, or its node restarted`
      )
    }
    return { state, connections, moved }
  }

  async #nodeOf(id: string): Promise<{ node: DrainedNode; nodeId: string }> {
    const sample = await this.#cluster.sample()
    if (sample.nodes.every(({ status }) => status === undefined)) {
      const code = sample.nodes[0]?.error ?? 'UNREACHABLE'
      throw new RingsetError(code, 'no node of the cluster answers')
    }
    const known = clusterStatus(sample).sets.flatMap(({ transfers }) => transfers)
    const found = known.find(transfer => transfer.id === id)
    if (found === undefined) {
      const names = known.map(transfer => transfer.id).join(', ')
      const text = `no gateway is called ${id}; there are ${names === '' ? 'none' : names}`
      throw new RingsetError('TRANSFER_UNKNOWN', text, { id })
    }
    if (found.state === 'unreachable') {
      const text = `node ${found.node} of gateway ${id} does not answer`
      throw new RingsetError('UNREACHABLE', text, { peer: found.node })
    }
    return { node: this.#cluster.node(found.node), nodeId: found.node }
  }
}

async function viewOf(node: DrainedNode, id: string) {
  const found = (await node.status()).transfers.find(transfer => transfer.id === id)
  if (found !== undefined) return found
  throw new RingsetError('TRANSFER_UNKNOWN', `its node has no gateway ${id} any more`, { id })
}

async function noRefuge(node: DrainedNode, id: string): Promise<boolean> {
  const { sets } = await node.table()
  const own = sets.find(({ transfers }) => transfers.some(transfer => transfer.id === id))
  return own?.transfers.every(({ id: other, state }) => other === id || state !== 'up') ?? false
}

function secondsSince(startMs: number): number {
  return Math.round(performance.now() - startMs) / 1_000
}
