import type { TableView } from '../../table/table-view.ts'
import type { RouterParts } from '../admission.ts'

const everyMs = 200

/**
 * Finds, on the leader of a set that drains, that nothing is left in it: no slot, nothing on its way, nothing that a slot left behind, no
 * message for another set. It stays so, for nothing comes into a set that drains; so what a leader has once confirmed is true for good,
 * and the arbiters may take the set out of the table.
 */
export class SetFarewell {
  readonly #parts: RouterParts
  readonly #report: (epoch: number) => void
  #busy = false
  #restUntilMs = 0

  /** @param report tells the arbiters that nothing is left, by the table of an epoch. */
  constructor(parts: RouterParts, report: (epoch: number) => void) {
    this.#parts = parts
    this.#report = report
  }

  tick(view: TableView): void {
    const { env, replica } = this.#parts
    if (this.#busy || env.nowMs() < this.#restUntilMs || !this.#clean(view)) return
    this.#restUntilMs = env.nowMs() + everyMs
    this.#busy = true
    // Who was deposed without having heard of it may never have seen the slots come and go.
    const refusal = replica.read(confirmed => {
      this.#busy = false
      if (confirmed && this.#clean(view)) this.#report(view.epoch)
    })
    if (refusal !== undefined) this.#busy = false
  }

  #clean({ table }: TableView): boolean {
    const { machine, rows, setId } = this.#parts
    const set = table?.sets.find(({ id }) => id === setId)
    if (table === undefined || set?.state !== 'draining') return false
    if (table.runs.some(run => run.setId === setId)) return false
    if (table.moves.some(({ to }) => to === setId)) return false
    const { ownership, channels } = machine
    return (
      ownership.count(rows, 'owned') === 0 &&
      ownership.unsettled(rows).length === 0 &&
      channels.targetSets(rows).every(target => {
        const { acked, last } = channels.outbox(rows, target)
        return acked === last
      })
    )
  }
}
