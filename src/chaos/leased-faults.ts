import type { ControlClient } from '../control/control-client.ts'
import { type Disturbance, type Disturbances, orderOf } from './disturbances.ts'

/** Does disturbances and takes them back. */
export interface DisturbingHand {
  /** Resolves with when the last of those whom they concern was known to do them, by `performance.now`; 0 = none is. */
  do(disturbances: Disturbances): Promise<number>
  undo(disturbances: Disturbances): Promise<void>
  /** Everything is healed, and nothing more is done. */
  end(): Promise<void>
}

const leaseMs = 5_000
const renewMs = 1_000

/** Has nodes disturb themselves, and keeps it in force by renewing their leases, also at nodes that restart meanwhile. */
export class LeasedFaults implements DisturbingHand {
  readonly #node: (id: string) => Pick<ControlClient, 'setFaults'>
  readonly #active = new Set<Disturbances>()
  readonly #renewal: NodeJS.Timeout
  /** Node id → the last order to it, until it is answered. */
  readonly #orders = new Map<string, Promise<number>>()

  constructor(cluster: { node(id: string): Pick<ControlClient, 'setFaults'> }) {
    this.#node = id => cluster.node(id)
    this.#renewal = setInterval(() => {
      void this.#push(this.#touched().filter(id => !this.#orders.has(id)))
    }, renewMs)
  }

  /** Resolves when every node that can be reached does so; the others hear of it later. */
  async do(disturbances: Disturbances): Promise<number> {
    this.#active.add(disturbances)
    return this.#push([...disturbances.keys()])
  }

  /** Heals at once; a node that cannot be told does so by itself when its lease ends. */
  async undo(disturbances: Disturbances): Promise<void> {
    if (this.#active.delete(disturbances)) await this.#push([...disturbances.keys()])
  }

  async end(): Promise<void> {
    clearInterval(this.#renewal)
    const nodes = this.#touched()
    this.#active.clear()
    await this.#push(nodes)
  }

  #touched(): string[] {
    return [...new Set([...this.#active].flatMap(one => [...one.keys()]))]
  }

  /** @returns when the last of those that answered did so; 0 = none did. */
  async #push(nodes: readonly string[]): Promise<number> {
    return Math.max(0, ...(await Promise.all(nodes.map(id => this.#tell(id)))))
  }

  /** One after the other, so that an older order never comes after a newer one. */
  #tell(id: string): Promise<number> {
    const order = (this.#orders.get(id) ?? Promise.resolve(0)).then(async () => {
      const here: Disturbance[] = [...this.#active].flatMap(one => one.get(id) ?? [])
      // A node that is down or paused hears of it by the next renewal, or heals by itself.
      const told = await this.#node(id)
        .setFaults(orderOf(here, leaseMs))
        .then(
          () => performance.now(),
          () => 0
        )
      if (this.#orders.get(id) === order) this.#orders.delete(id)
      return told
    })
    this.#orders.set(id, order)
    return order
  }
}
