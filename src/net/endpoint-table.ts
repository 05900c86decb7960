import type { EndpointId } from '../protocol/endpoint.ts'
import { Endpoint } from './dialer.ts'
import type { PeerProcess } from './peer-process.ts'

/** All endpoints by id, and how their reachability is told: each change once. */
export class EndpointTable {
  readonly #byId = new Map<EndpointId, Endpoint>()
  readonly #lost = new Set<Endpoint>()
  readonly #onPeer: (id: EndpointId, up: boolean, refused: boolean) => void

  constructor(onPeer: (id: EndpointId, up: boolean, refused: boolean) => void) {
    this.#onPeer = onPeer
  }

  get(id: EndpointId): Endpoint | undefined {
    return this.#byId.get(id)
  }

  /** Made on first use. */
  of(id: EndpointId): Endpoint {
    let endpoint = this.#byId.get(id)
    if (endpoint === undefined) {
      endpoint = new Endpoint(id)
      this.#byId.set(id, endpoint)
    }
    return endpoint
  }

  /** Those that are reached through a process now. */
  at(process: PeerProcess): Endpoint[] {
    const found: Endpoint[] = []
    for (const id of process.endpoints) {
      const endpoint = id === undefined ? undefined : this.#byId.get(id)
      if (endpoint?.process === process) found.push(endpoint)
    }
    return found
  }

  /** Drops what nobody refers to any more, so that guests do not pile up. */
  release(endpoint: Endpoint): void {
    const { localIndex, dialer, wanted, process, state } = endpoint
    if (localIndex >= 0 || dialer || wanted || process || state === 'lost') return
    this.#byId.delete(endpoint.id)
  }

  up(endpoint: Endpoint): void {
    if (endpoint.state === 'up') return
    if (endpoint.state === 'lost') this.down(endpoint, false)
    endpoint.state = 'up'
    this.#onPeer(endpoint.id, true, false)
  }

  /** The link is gone; `down` follows when it is known whether the process is gone too. */
  lost(endpoint: Endpoint, nowMs: number): void {
    if (endpoint.state !== 'up') return
    endpoint.state = 'lost'
    endpoint.lostAtMs = nowMs
    this.#lost.add(endpoint)
  }

  /** `refused` also corrects an earlier report without it. Endpoints that were never up are not reported. */
  down(endpoint: Endpoint, refused: boolean): void {
    const { state } = endpoint
    if (state === 'unknown' || state === 'gone' || (state === 'down' && !refused)) return
    this.#lost.delete(endpoint)
    endpoint.state = refused ? 'gone' : 'down'
    this.#onPeer(endpoint.id, false, refused)
  }

  /** Reports as down what has been lost for longer than `lostMs`. */
  sweep(nowMs: number, lostMs: number): void {
    for (const endpoint of this.#lost) {
      if (nowMs - endpoint.lostAtMs > lostMs) this.down(endpoint, false)
    }
  }
}
