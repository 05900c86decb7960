import { hostPort } from '../base/host-port.ts'
import type { ClusterConfig } from '../config/schema.ts'
import type { PeerNetwork } from '../net/peer-network.ts'
import {
  arbiterEndpoint,
  type EndpointId,
  endpointOf,
  logicEndpoint,
  observerEndpoint,
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
  /** Of the newest table. */
  #listed = new Set<EndpointId>()

  constructor(config: ClusterConfig, network: PeerNetwork, keeper: TableKeeper) {
    this.#network = network
    for (const { id, host, peerPort, roles } of config.nodes) {
      this.#learn(observerEndpoint(id), hostPort(host, peerPort))
      for (const role of roles) this.#learn(endpointOf(role), hostPort(host, peerPort))
    }
    this.#read(keeper.view())
    keeper.onAdopted(view => this.#read(view))
  }

  /** Who has left the table is not dialed any more. */
  #read({ table }: TableView): void {
    if (table === undefined) return
    const before = this.#listed
    this.#listed = new Set()
    for (const [endpoint, address] of placesOf(table)) {
      this.#learn(endpoint, address)
      this.#listed.add(endpoint)
      before.delete(endpoint)
    }
    for (const endpoint of before) this.#network.forget(endpoint)
  }

  #learn(endpoint: EndpointId, address: string): void {
    if (address !== '') this.#network.learn(endpoint, address)
  }
}

function placesOf({ arbiters, sets }: RoutingTable): [EndpointId, string][] {
  const places: [EndpointId, string][] = []
  const place = (endpoint: EndpointId, entry: { nodeId: string; address: string }): void => {
    places.push([endpoint, entry.address], [observerEndpoint(entry.nodeId), entry.address])
  }
  for (const entry of arbiters) place(arbiterEndpoint(entry.replicaId), entry)
  for (const { id: setId, transfers, logics, routers } of sets) {
    for (const entry of transfers) place(transferEndpoint(entry.id), entry)
    for (const entry of logics) place(logicEndpoint(entry.id), entry)
    for (const entry of routers) place(routerEndpoint(setId, entry.replicaId), entry)
  }
  return places
}
