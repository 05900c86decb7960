import type { Random } from '../base/ports.ts'
import type { TableView } from '../table/table-view.ts'

const maxPreferred = 64

/**
 * Where to connect: the transfers of the user's own set first, as far as a REDIRECT or the routing
 * table has named them, then the configured addresses; each list in turn from a random start.
 */
export class AddressBook {
  readonly #configured: readonly string[]
  readonly #uid: string
  #preferred: string[] = []
  #at: number
  /** Attempts since the last success. */
  #failures = 0

  constructor(uid: string, configured: readonly string[], random: Random) {
    this.#uid = uid
    this.#configured = configured
    this.#at = random.below(Math.max(configured.length, 1))
  }

  redirected(addresses: readonly string[]): void {
    if (addresses.length === 0) return
    this.#prefer(addresses)
    this.#failures = 0
  }

  /** A newer table: the transfers of the set that owns the user, where any is up. */
  learn(view: TableView): void {
    if (view.epoch === 0) return
    const owner = view.owner(view.slotOf(this.#uid))
    const transfers = owner ? (view.set(owner.setId)?.transfers ?? []) : []
    const up = transfers.filter(({ state }) => state === 'up')
    if (up.length > 0) this.#prefer(up.flatMap(({ clientAddresses }) => clientAddresses))
  }

  connected(): void {
    this.#failures = 0
  }

  /**
   * The next address to try. After every preferred one has failed the configured ones get their
   * turn.
   */
  next(): string {
    this.#at++
    const preferred = this.#preferred.length
    const failures = this.#failures++
    if (failures % (preferred + this.#configured.length) < preferred) {
      return this.#preferred[this.#at % preferred]!
    }
    return this.#configured[this.#at % this.#configured.length]!
  }

  #prefer(addresses: readonly string[]): void {
    this.#preferred = addresses.slice(0, maxPreferred)
  }
}
