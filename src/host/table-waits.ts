import { RingsetError } from '../base/errors.ts'

const waitsMax = 64

interface Wait {
  readonly epoch: number
  readonly end: () => void
}

/** Those who wait for a newer routing table than the one that they know. */
export class TableWaits {
  readonly #waits = new Set<Wait>()

  /** Resolves with the first table of a higher epoch, after `waitMs` at the latest. Rejects with OVERLOADED when too many wait. */
  async newer(epoch: number, waitMs: number): Promise<void> {
    if (this.#waits.size >= waitsMax) {
      throw new RingsetError(
        'OVERLOADED',
        `${waitsMax} wait for another table of this node already`
      )
    }
    await new Promise<void>(resolve => {
      const end = (): void => {
        clearTimeout(timer)
        this.#waits.delete(wait)
        resolve()
      }
      const timer = setTimeout(end, waitMs).unref()
      const wait = { epoch, end }
      this.#waits.add(wait)
    })
  }

  /** The node has adopted a table of that epoch. */
  adopted(epoch: number): void {
    for (const wait of this.#waits) if (epoch > wait.epoch) wait.end()
  }
}
