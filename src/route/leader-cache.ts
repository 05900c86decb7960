import { type EndpointId, routerEndpoint } from '../protocol/endpoint.ts'
import type { LeaderHint } from '../protocol/kinds.ts'

/** What is known about who leads one set's router group. */
export interface SetLeader {
  /** 0 while unknown. */
  replicaId: number
  /**
   * Newest term seen; kept when the leader is forgotten, so that an older hint cannot bring it
   * back.
   */
  term: number
  /** When that replica last answered a request as leader. */
  lastAnswerMs: number
  /** Where the next request without a hint starts its round. */
  nextProbe: number
  /** Endpoint names by replicaId, built once. */
  readonly endpoints: EndpointId[]
}

/**
 * Leader hints by set; the newest term wins. Bounded: hints for sets beyond the bound are dropped.
 */
export class LeaderCache {
  readonly #sets = new Map<string, SetLeader>()
  readonly #maxSets: number

  constructor(maxSets = 1_000) {
    this.#maxSets = maxSets
  }

  of(setId: string): SetLeader {
    let set = this.#sets.get(setId)
    if (!set) {
      set = { replicaId: 0, term: 0, lastAnswerMs: 0, nextProbe: 0, endpoints: [] }
      if (this.#sets.size < this.#maxSets) this.#sets.set(setId, set)
    }
    return set
  }

  endpoint(setId: string, replicaId: number): EndpointId {
    const { endpoints } = this.of(setId)
    endpoints[replicaId] ??= routerEndpoint(setId, replicaId)
    return endpoints[replicaId]
  }

  /**
   * True when the hint is news: a newer term, or the leader of the newest term while none was
   * known.
   */
  learn(hint: LeaderHint): boolean {
    if (hint.replicaId === 0) return false
    const set = this.of(hint.setId)
    if (hint.term < set.term) return false
    if (hint.term === set.term && set.replicaId !== 0) return false
    set.term = hint.term
    set.replicaId = hint.replicaId
    return true
  }

  /** `replicaId` turned out not to lead. */
  forget(setId: string, replicaId: number): void {
    const set = this.of(setId)
    if (set.replicaId === replicaId) set.replicaId = 0
  }
}
