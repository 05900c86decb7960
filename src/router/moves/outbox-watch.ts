import type { RouterParts } from '../admission.ts'

const lookMs = 100

/**
 * Whether messages of slots that went wait in an outbox. To know that all outboxes are read, so it is done once for all who ask, and not
 * again too soon.
 */
export class OutboxWatch {
  readonly #parts: RouterParts
  #waiting: ReadonlySet<number> | undefined
  #nextMs = Number.NEGATIVE_INFINITY

  constructor(parts: RouterParts) {
    this.#parts = parts
  }

  /**
   * True: nothing of these waits any more. That stays true: of slots that are not at home here nothing enters an outbox but what waits in
   * another.
   */
  drained(slots: Iterable<number>): boolean {
    const waiting = this.#look()
    if (waiting === undefined) return false
    for (const slot of slots) if (waiting.has(slot)) return false
    return true
  }

  /** Another slot went: of what was at home here when it was looked for, more may wait now. */
  slotWent(): void {
    this.#nextMs = Number.NEGATIVE_INFINITY
  }

  #look(): ReadonlySet<number> | undefined {
    const { env, machine, rows } = this.#parts
    const nowMs = env.nowMs()
    if (nowMs >= this.#nextMs) {
      this.#nextMs = nowMs + lookMs
      this.#waiting = machine.channels.waitingSlots(rows)
    }
    return this.#waiting
  }
}
