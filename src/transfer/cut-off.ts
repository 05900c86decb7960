import type { EndpointId } from '../protocol/endpoint.ts'
import { logicEndpoint, routerEndpoint, transferEndpoint } from '../protocol/endpoint.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { Departure } from './departure.ts'

export interface CutOffOptions {
  readonly setId: string
  readonly nodeId: string
  /** Without a renewed lease for so long, a gateway that hears nobody else of its set is cut off. */
  readonly afterMs: number
}

/**
 * Notices that this gateway has lost its whole set, while its clients still reach it: then it can do nothing for them, and another gateway
 * perhaps can. A set that has only lost its leader, or its majority, is no reason: others of it are heard.
 */
export class CutOff {
  readonly #env: RoleEnv
  readonly #departure: Departure
  readonly #options: CutOffOptions
  readonly #up = new Set<EndpointId>()

  constructor(env: RoleEnv, departure: Departure, options: CutOffOptions) {
    this.#env = env
    this.#departure = departure
    this.#options = options
  }

  onPeer(peer: EndpointId, up: boolean): void {
    if (up) this.#up.add(peer)
    else this.#up.delete(peer)
  }

  /** @param silentMs how long ago the lease was renewed, or asked for first. */
  tick(silentMs: number): void {
    const cutOff = silentMs >= this.#options.afterMs && !this.#hearsOthers()
    if (cutOff === this.#departure.cutOff) return
    if (cutOff && this.#departure.leaving) return
    const { log, metrics } = this.#env
    log.warn(cutOff ? 'transfer_cut_off' : 'transfer_heard_again', { silentMs })
    if (cutOff) metrics.count('transfer_cut_offs_total')
    this.#departure.setCutOff(cutOff)
  }

  /** Whether any process of the set on another node is connected. */
  #hearsOthers(): boolean {
    const { setId, nodeId } = this.#options
    const set = this.#env.table().set(setId)
    if (set === undefined) return true
    const elsewhere = (place: { readonly nodeId: string }): boolean => place.nodeId !== nodeId
    const { routers, transfers, logics } = set
    return (
      routers.some(it => elsewhere(it) && this.#up.has(routerEndpoint(setId, it.replicaId))) ||
      transfers.some(it => elsewhere(it) && this.#up.has(transferEndpoint(it.id))) ||
      logics.some(it => elsewhere(it) && this.#up.has(logicEndpoint(it.id)))
    )
  }
}
