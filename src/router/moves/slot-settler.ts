import type { HolePuller, RenewalAsker } from '../hole-puller.ts'
import { slotPrefix } from '../row-keys.ts'
import { sessionsOfPage } from '../slot-rows.ts'
import type { ArrivalPorts } from './slot-arrival.ts'
import { proposeStep } from './step-proposal.ts'

const pageBytes = 16 * 1024
const restMs = 100

/**
 * After a slot has come, on the leader: asks the home of every copy that its users have for what is newer. Homes answer only once they
 * route by a table that names this set, so nothing that was sent to the old set alone is missed.
 */
export class SlotSettler implements RenewalAsker {
  readonly slot: number
  readonly #epoch: number
  readonly #ports: ArrivalPorts
  readonly #puller: HolePuller
  #after: string
  #open = 0
  #ended = false
  #stopped = false
  #busy = false
  #restUntilMs = 0

  /** @param epoch of the slot's ownership. */
  constructor(slot: number, epoch: number, ports: ArrivalPorts, puller: HolePuller) {
    this.slot = slot
    this.#epoch = epoch
    this.#ports = ports
    this.#puller = puller
    this.#after = `${slotPrefix(slot)}/user-page/`
  }

  tick(): void {
    if (this.#busy || this.#open > 0 || this.#ports.parts.env.nowMs() < this.#restUntilMs) return
    if (this.#ended) this.#settle()
    else this.#read()
  }

  renewed(): void {
    this.#open--
  }

  /** The slot goes on before it was settled: what was asked for is not wanted here any more. */
  stop(): void {
    this.#stopped = true
    this.#puller.withdraw(this)
  }

  #read(): void {
    this.#busy = true
    const before = `${slotPrefix(this.slot)}/user-page0`
    const range = { after: this.#after, before, maxBytes: pageBytes }
    this.#ports.parts.replica.readRows(range, ({ rows, more }) => {
      this.#busy = false
      if (this.#stopped) return
      for (const [, value] of rows) {
        for (const session of sessionsOfPage(value)) this.#renew(session)
      }
      this.#after = rows.at(-1)?.[0] ?? this.#after
      this.#ended = !more
    })
  }

  #renew(session: string): void {
    const { slot } = this.#ports.routes.route(session)
    this.#open++
    this.#puller.renew(slot, session, this)
  }

  #settle(): void {
    const step = { step: 'settle', slot: this.slot, move: 0, epoch: this.#epoch } as const
    this.#busy = proposeStep(this.#ports, step, () => {
      this.#busy = false
      this.#restUntilMs = this.#ports.parts.env.nowMs() + restMs
    })
  }
}
