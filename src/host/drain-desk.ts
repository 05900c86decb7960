import { RingsetError } from '../base/errors.ts'
import type { DrainOrder, Undrained } from '../control/control-source.ts'
import type { NodeParts } from './node-parts.ts'
import type { NodeRoles } from './roles.ts'

type Gateway = NodeRoles['transfers'][number]

/** Drains the gateways of this node, and takes it back. */
export class DrainDesk {
  readonly #parts: NodeParts
  readonly #gateways: readonly Gateway[]

  constructor(parts: NodeParts, gateways: readonly Gateway[]) {
    this.#parts = parts
    this.#gateways = gateways
  }

  /** @returns false when it drained already. Throws TRANSFER_UNKNOWN, LAST_TRANSFER, UNREACHABLE while the node stops. */
  drain({ transfer: id, overMs, force }: DrainOrder): boolean {
    const gateway = this.#gateway(id)
    const { departure } = gateway.role
    if (departure.stopping) {
      throw new RingsetError('UNREACHABLE', `node ${this.#parts.node.id} is stopping`)
    }
    if (!force && !departure.leaving) this.#mustHaveRefuge(gateway)
    const changed = this.#run(gateway, () => departure.drain(overMs, force))
    if (changed) this.#parts.log.info('transfer_drains', { transfer: id, force })
    return changed
  }

  /** Throws TRANSFER_UNKNOWN. */
  undrain(id: string): Undrained {
    const gateway = this.#gateway(id)
    const { departure } = gateway.role
    const moved = departure.moved ?? 0
    const changed = this.#run(gateway, () => departure.undrain())
    if (changed) this.#parts.log.info('transfer_drain_ended', { transfer: id, moved })
    return { changed, moved, connections: gateway.role.connections }
  }

  #run({ role }: Gateway, work: () => boolean): boolean {
    let changed = false
    this.#parts.runner.run(role, () => {
      changed = work()
    })
    return changed
  }

  #gateway(id: string): Gateway {
    const found = this.#gateways.find(({ config }) => config.id === id)
    if (found !== undefined) return found
    const text = `node ${this.#parts.node.id} has no gateway ${id}`
    throw new RingsetError('TRANSFER_UNKNOWN', text, { id })
  }

  /** Is another gateway of its set there for the clients? */
  #mustHaveRefuge({ config: { id, set } }: Gateway): void {
    const view = this.#parts.keeper.view()
    if (view.epoch === 0) throw new RingsetError('NO_TABLE')
    const others = view.set(set)?.transfers.filter(other => other.id !== id) ?? []
    if (others.some(({ state }) => state === 'up')) return
    const states = others.map(other => `, ${other.id} is ${other.state}`).join('')
    const text = `${id} is the last gateway of set ${set} that takes clients${states}`
    throw new RingsetError('LAST_TRANSFER', text, { set })
  }
}
