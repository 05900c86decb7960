import type { RouterParts } from './admission.ts'
import { type OwnRun, writeOwn } from './commands.ts'
import type { Proposals } from './proposals.ts'

/** Slots of the cluster's first table come with nothing to hand over; all later ownership changes are moves. */
const firstEpoch = 1

/** Logs the group's ownership of slots that were its own from the start of the cluster. */
export class SlotTaker {
  readonly #parts: RouterParts
  readonly #proposals: Proposals
  #due = false
  #proposing = false

  constructor(parts: RouterParts, proposals: Proposals) {
    this.#parts = parts
    this.#proposals = proposals
  }

  onLeadership(leading: boolean): void {
    this.#due = leading
    if (leading) this.tick()
  }

  onTable(): void {
    this.#due = true
  }

  /** On the leader only. */
  tick(): void {
    if (!this.#due || this.#proposing) return
    const runs = this.#untaken()
    if (runs.length === 0) {
      this.#due = false
      return
    }
    const writer = this.#proposals.open()
    if (writer === undefined) return
    writeOwn(writer, runs)
    this.#proposing = true
    this.#proposals.own(() => {
      this.#proposing = false
    })
  }

  #untaken(): OwnRun[] {
    const { env, setId, machine, rows } = this.#parts
    const untaken: OwnRun[] = []
    for (const run of env.table().table?.runs ?? []) {
      if (run.setId !== setId || run.slotEpoch !== firstEpoch) continue
      const { slotEpoch } = run
      const end = run.first + run.count
      for (let slot = run.first; slot < end; slot++) {
        if (machine.ownership.state(rows, slot) !== 'none') continue
        const first = slot
        while (slot < end && machine.ownership.state(rows, slot) === 'none') slot++
        untaken.push({ first, count: slot - first, slotEpoch })
      }
    }
    return untaken
  }
}
