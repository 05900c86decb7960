import { setTimeout as sleep } from 'node:timers/promises'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { RoutingTable } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import { type ClusterStatus, clusterStatus } from './cluster-status.ts'
import { atLeader } from './leader-calls.ts'

/** The part of a cluster's control that changes of the routing table need. @typeParam N the calls that a node takes. */
export interface TableCluster<N> {
  sample(): Promise<ClusterSample>
  /** The table of the node that had the newest in the last sample, if it answers. Far cheaper than a sample. @param epoch wait for a newer one, for `waitMs` at the most. */
  tableOfNewest(epoch: number, waitMs: number): Promise<RoutingTable | undefined>
  /** Throws NODE_UNKNOWN. */
  node(id: string): N
}

export const patienceMs = 5_000
export const pollMs = 200
/** What passes by itself, or may simply be asked again: a change of the table that is there already is none. */
const passing: readonly ErrorCode[] = [
  'NOT_LEADER',
  'NO_LEADER',
  'UNREACHABLE',
  'TIMEOUT',
  'CANCELLED',
  'PROPOSAL_DROPPED',
  'OVERLOADED'
]

/** Asks whoever leads the arbiters for changes of the routing table, and looks for what became of them. */
export class ArbiterCalls<N> {
  readonly #cluster: TableCluster<N>
  readonly #patienceMs: number
  readonly #over: AbortSignal | undefined
  /** Who led when it was asked last. */
  #leader: string | undefined

  /**
   * @param patience how long to look for a leader, and for a node that answers.
   * @param over raised: no longer.
   */
  constructor(cluster: TableCluster<N>, patience: number, over?: AbortSignal) {
    this.#cluster = cluster
    this.#patienceMs = patience
    this.#over = over
  }

  /** Throws what the arbiters refuse with. */
  ask<T>(ask: (node: N) => Promise<T>): Promise<T> {
    const look = async () => {
      const leader = this.#leader
      this.#leader = undefined
      return leader === undefined ? clusterStatus(await this.#cluster.sample()).arbiter : { leader }
    }
    const arbiters = {
      look,
      group: 'the arbiter group',
      passing,
      patienceMs: this.#patienceMs,
      over: this.#over
    }
    return atLeader(arbiters, async leader => {
      const answer = await ask(this.#cluster.node(leader))
      this.#leader = leader
      return answer
    })
  }

  /** The newest table of any node, waited for. @param epoch at least. Throws UNREACHABLE, NO_TABLE. */
  async table(epoch = 1): Promise<RoutingTable> {
    return (await this.look(epoch)).table
  }

  /**
   * As `table`, of one node only. @param epoch at least.
   * @param known epoch of a table than which a newer one is waited for, for `waitMs` at the most.
   */
  async tableOfNewest(epoch: number, known = 0, waitMs = 0): Promise<RoutingTable | undefined> {
    const table = await this.#cluster.tableOfNewest(known, waitMs)
    return table !== undefined && table.epoch >= epoch ? table : undefined
  }

  /** As `table`, with all else that the nodes say at that moment. */
  async look(epoch = 1): Promise<{ table: RoutingTable; status: ClusterStatus }> {
    const endMs = performance.now() + this.#patienceMs
    for (;;) {
      const sample = await this.#cluster.sample()
      const { nodes, table } = sample
      const silent = nodes.every(({ status }) => status === undefined)
      if (!silent && table !== undefined && table.epoch >= epoch) {
        return { table, status: clusterStatus(sample) }
      }
      if (this.#over?.aborted || performance.now() > endMs) {
        if (!silent) throw new RingsetError('NO_TABLE', `no node has the table of epoch ${epoch}`)
        const code = nodes[0]?.error ?? 'UNREACHABLE'
        throw new RingsetError(code, 'no node of the cluster answers')
      }
      await sleep(pollMs, undefined, { signal: this.#over }).catch(() => {})
    }
  }
}
