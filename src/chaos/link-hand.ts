import type { ClusterConfig } from '../config/schema.ts'
import type { FaultOrder } from '../control/control-source.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import type { LinkAction, ScenarioFault } from './scenario.ts'

type LinkFault = FaultOrder['faults'][number]
/** Node id → what is done to its links. */
export type LinkFaultsByNode = ReadonlyMap<string, readonly LinkFault[]>

const clientPeer = 'clients'
const leaseMs = 5_000
const renewMs = 1_000

const untouched: LinkFault = {
  peer: '',
  address: '',
  direction: 'both',
  cut: false,
  flapMs: 0,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: 0
}

/** What a fault of links does to one of them, at the node where it is done. */
function disturbance(fault: ScenarioFault): Partial<LinkFault> {
  switch (fault.do as LinkAction) {
    case 'cut':
    case 'cutOneWay':
      return { cut: true }
    case 'flap':
      return { cut: true, flapMs: fault.flapMs }
    case 'delay':
      return { delayMs: fault.delayMs, jitterMs: fault.jitterMs }
    case 'loss':
      return { lossShare: fault.share }
    case 'bandwidth':
      return { bytesPerSecond: fault.bytesPerSecond }
  }
}

/**
 * What each node has to do to its links for a fault between `from` and `to`. A cut is made at both ends; what slows down, where it leaves.
 * @param to undefined: the clients.
 */
export function linkFaults(
  fault: ScenarioFault,
  config: ClusterConfig,
  from: readonly string[],
  to: readonly string[] | undefined
): LinkFaultsByNode {
  const byNode = new Map<string, LinkFault[]>()
  const what = disturbance(fault)
  const oneWay = fault.do === 'cutOneWay'
  const addressOf = (node: string): string => {
    const { host, peerPort } = config.nodes.find(({ id }) => id === node)!
    return `${host}:${peerPort}`
  }
  const add = (node: string, peer: string, direction: string): void => {
    const address = peer === clientPeer ? '' : addressOf(peer)
    const own = byNode.get(node) ?? []
    byNode.set(node, [...own, { ...untouched, ...what, peer, address, direction }])
  }
  for (const a of from) {
    if (to === undefined) add(a, clientPeer, oneWay ? 'out' : 'both')
    for (const b of to ?? []) {
      if (a === b) continue
      const twice = to!.includes(a) && from.includes(b)
      const both = what.cut === true && !oneWay
      add(a, b, both ? 'both' : 'out')
      if (!twice) add(b, a, both ? 'both' : oneWay ? 'in' : 'out')
    }
  }
  return byNode
}

/** Keeps the faults of links in force by renewing their leases, also at nodes that restart meanwhile. */
export class LinkHand {
  readonly #cluster: RunningCluster
  readonly #active = new Set<LinkFaultsByNode>()
  readonly #renewal: NodeJS.Timeout
  /** Node id → the last order to it, until it is answered. */
  readonly #orders = new Map<string, Promise<void>>()

  constructor(cluster: RunningCluster) {
    this.#cluster = cluster
    this.#renewal = setInterval(() => {
      void this.#push(this.#touched().filter(id => !this.#orders.has(id)))
    }, renewMs)
  }

  /** Resolves when every node that can be reached does so. */
  async do(faults: LinkFaultsByNode): Promise<void> {
    this.#active.add(faults)
    await this.#push([...faults.keys()])
  }

  /** Heals at once; a node that cannot be told does so by itself when its lease ends. */
  async undo(faults: LinkFaultsByNode): Promise<void> {
    if (this.#active.delete(faults)) await this.#push([...faults.keys()])
  }

  async end(): Promise<void> {
    clearInterval(this.#renewal)
    const nodes = this.#touched()
    this.#active.clear()
    await this.#push(nodes)
  }

  #touched(): string[] {
    return [...new Set([...this.#active].flatMap(faults => [...faults.keys()]))]
  }

  async #push(nodes: readonly string[]): Promise<void> {
    await Promise.all(nodes.map(id => this.#tell(id)))
  }

  /** One after the other, so that an older order never comes after a newer one. */
  #tell(id: string): Promise<void> {
    const order = (this.#orders.get(id) ?? Promise.resolve()).then(async () => {
      const faults = [...this.#active].flatMap(one => one.get(id) ?? [])
      // A node that is down or paused hears of it by the next renewal, or heals by itself.
      await this.#cluster
        .node(id)
        .setLinkFaults({ faults, leaseMs })
        .catch(() => {})
      if (this.#orders.get(id) === order) this.#orders.delete(id)
    })
    this.#orders.set(id, order)
    return order
  }
}
