import type { ControlClient } from '../control/control-client.ts'
import { type Disturbance, type Disturbances, orderOf } from './disturbances.ts'

/** Does disturbances and takes them back. */
export interface DisturbingHand {
  /** Resolves with whether anybody whom they concern is known to do them. */
  do(disturbances: Disturbances): Promise<boolean>
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
  readonly #orders = new Map<string, Promise<boolean>>()

  constructor(cluster: { node(id: string): Pick<ControlClient, 'setFaults'> }) {
    this.#node = id => cluster.node(id)
    this.#renewal = setInterval(() => {
      void this.#push(this.#touched().filter(id => !this.#orders.has(id)))
    }, renewMs)
  }

  /** Resolves when every node that can be reached does so; the others hear of it later. */
  async do(disturbances: Disturbances): Promise<boolean> {
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

  /** @returns whether one of them has answered. */
  async #push(nodes: readonly string[]): Promise<boolean> {
    const told = await Promise.all(nodes.map(id => this.#tell(id)))
    return told.includes(true)
  }

  /** One after the other, so that an older order never comes after a newer one. */
  #tell(id: string): Promise<boolean> {
    const order = (this.#orders.get(id) ?? Promise.resolve(true)).then(async () => {
      const here: Disturbance[] = [...this.#active].flatMap(one => one.get(id) ?? [])
      // A node that is down or paused hears of it by the next renewal, or heals by itself.
      const told = await this.#node(id)
        .setFaults(orderOf(here, leaseMs))
        .then(
          () => true,
          () => false
        )
      if (this.#orders.get(id) === order) this.#orders.delete(id)
      return told
    })
    this.#orders.set(id, order)
    return order
  }
}
