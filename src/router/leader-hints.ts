import { type EndpointId, routerEndpoint } from '../protocol/endpoint.ts'
import type { LeaderHint } from '../protocol/kinds.ts'
import type { TableView } from '../table/table-view.ts'

/** Who leads the other sets' groups, as far as answers told. */
export class LeaderHints {
  readonly #known = new Map<string, LeaderHint>()
  readonly #probes = new Map<string, number>()

  get(setId: string): LeaderHint | undefined {
    return this.#known.get(setId)
  }

  /** The newest term wins. */
  note(table: TableView, hint: LeaderHint): void {
    if (table.set(hint.setId) === undefined) return
    const known = this.#known.get(hint.setId)
    if (known === undefined || hint.term >= known.term) this.#known.set(hint.setId, hint)
  }

  /**
   * A set did not answer at `to`: the next `endpoint` tries another replica. Nothing when another is tried already, so that several that
   * fail together do not pass one over.
   */
  failed(table: TableView, to: EndpointId): void {
    const setId = to.slice(to.indexOf('/') + 1, to.lastIndexOf('/'))
    if (this.endpoint(table, setId) !== to) return
    this.#known.delete(setId)
    this.#probes.set(setId, (this.#probes.get(setId) ?? 0) + 1)
  }

  /** The leader if known, else one replica after the other. Undefined when the table names none. */
  endpoint(table: TableView, setId: string): EndpointId | undefined {
    const routers = table.set(setId)?.routers ?? []
    if (routers.length === 0) return undefined
    const hint = this.#known.get(setId)
    if (hint !== undefined && routers.some(router => router.replicaId === hint.replicaId)) {
      return routerEndpoint(setId, hint.replicaId)
    }
    const probe = (this.#probes.get(setId) ?? 0) % routers.length
    return routerEndpoint(setId, routers[probe]!.replicaId)
  }

  /** Forgets sets that left the table. */
  prune(table: TableView): void {
    for (const setId of this.#known.keys()) {
      if (table.set(setId) === undefined) this.#known.delete(setId)
    }
    for (const setId of this.#probes.keys()) {
      if (table.set(setId) === undefined) this.#probes.delete(setId)
    }
  }
}
