import type { ClusterConfig } from '../config/schema.ts'
import type { PeerNetwork } from '../net/peer-network.ts'
import {
  arbiterEndpoint,
  type EndpointId,
  endpointOf,
  logicEndpoint,
  routerEndpoint,
  transferEndpoint
} from '../protocol/endpoint.ts'
import type { RoutingTable } from '../table/table.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'

/**
 * Tells the network where every endpoint listens: first as configured, then as the routing table says, which is newer whenever
 * it names an address.
 */
export class AddressBook {
  readonly #network: PeerNetwork
  #routers = new Set<EndpointId>()

  constructor(config: ClusterConfig, network: PeerNetwork, keeper: TableKeeper) {
    this.#network = network
    for (const { host, peerPort, roles } of config.nodes) {
      for (const role of roles) this.#learn(endpointOf(role), `${host}:${peerPort}`)
    }
    this.#read(keeper.view())
    keeper.onAdopted(view => this.#read(view))
  }

  #read({ table }: TableView): void {
    for (const { replicaId, address } of table?.arbiters ?? []) {
      this.#learn(arbiterEndpoint(replicaId), address)
    }
    for (const set of table?.sets ?? []) {
      for (const { id, address } of set.transfers) this.#learn(transferEndpoint(id), address)
      for (const { id, address } of set.logics) this.#learn(logicEndpoint(id), address)
    }
    if (table !== undefined) this.#readRouters(table)
  }

  /** Replicas that have left the table are not dialed any more. */
  #readRouters({ sets }: RoutingTable): void {
    const before = this.#routers
    this.#routers = new Set()
    for (const set of sets) {
      for (const { replicaId, address } of set.routers) {
        const endpoint = routerEndpoint(set.id, replicaId)
        this.#learn(endpoint, address)
        this.#routers.add(endpoint)
        before.delete(endpoint)
      }
    }
    for (const endpoint of before) this.#network.forget(endpoint)
  }

  #learn(endpoint: EndpointId, address: string): void {
    if (address !== '') this.#network.learn(endpoint, address)
  }
}
