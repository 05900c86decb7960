import { isCommandError } from '../commands.ts'
import { writeDropRows } from '../move-commands.ts'
import { slotPrefix } from '../row-keys.ts'
import { sessionKey, sessionsOfPage, slotRowName } from '../slot-rows.ts'
import { msgidsOf, timelineKey } from '../timelines.ts'
import type { OutboxWatch } from './outbox-watch.ts'
import type { ArrivalPorts } from './slot-arrival.ts'
import { proposeStep } from './step-proposal.ts'

const keysPerEntry = 500
const pageBytes = 64 * 1024
const restMs = 100

/**
 * Deletes what a slot left behind, on the leader, once nothing of it waits in an outbox any more. Only then may another slot come in:
 * what is on its way here must not meet the remains of what was here before.
 */
export class SlotCleaner {
  readonly slot: number
  readonly #epoch: number
  readonly #ports: ArrivalPorts
  readonly #outboxes: OutboxWatch
  /** Home slots of what is to be deleted. */
  readonly #slots = new Set<number>()
  /** Keys that were found and are not deleted yet. */
  #keys: string[] = []
  #after: string
  #ended = false
  #busy = false
  #restUntilMs = 0

  /** @param outboxes shared by all that clean up. */
  constructor(slot: number, epoch: number, ports: ArrivalPorts, outboxes: OutboxWatch) {
    this.slot = slot
    this.#epoch = epoch
    this.#ports = ports
    this.#outboxes = outboxes
    this.#after = `${slotPrefix(slot)}/`
    this.#slots.add(slot)
  }

  tick(): void {
    const { parts, quiet } = this.#ports
    const { env } = parts
    const nowMs = env.nowMs()
    if (this.#busy || nowMs < this.#restUntilMs) return
    const drops = this.#keys.length > 0
    if (drops && !quiet.begin(this, nowMs)) return
    // An outbox names messages that it sends from the timelines.
    if (!this.#outboxes.drained(this.#slots)) this.#restUntilMs = nowMs + restMs
    else if (drops) this.#drop()
    else if (this.#ended) this.#forget()
    else this.#read()
    if (!this.#busy) quiet.end(this, nowMs)
  }

  #read(): void {
    this.#busy = true
    const before = `${slotPrefix(this.slot)}0`
    const range = { after: this.#after, before, maxBytes: pageBytes }
    this.#ports.parts.replica.readRows(range, ({ rows, more }) => {
      this.#busy = false
      for (const [key, value] of rows) {
        if (slotRowName(key).kind === 'user-page') this.#copies(value)
        this.#keys.push(key)
      }
      this.#after = rows.at(-1)?.[0] ?? this.#after
      this.#ended = !more
    })
  }

  /** The copies that users of the slot had, unless somebody else here has a share in them. */
  #copies(page: Buffer): void {
    const { parts, routes } = this.#ports
    for (const session of sessionsOfPage(page)) {
      const { slot, localMembers } = routes.route(session)
      if (slot === this.slot) continue
      const { latest } = parts.machine.sessions.get(parts.rows, slot, session)
      this.#keys.push(sessionKey(slot, session))
      if (localMembers !== 0) continue
      this.#slots.add(slot)
      for (const msgid of msgidsOf(parts.rows, slot, session, latest)) {
        this.#keys.push(timelineKey(slot, session, msgid))
      }
    }
  }

  #drop(): void {
    const { parts, proposals, quiet } = this.#ports
    const { env } = parts
    const writer = proposals.open()
    if (writer === undefined) return
    const keys = this.#keys.slice(0, keysPerEntry)
    writeDropRows(writer, this.slot, this.#epoch, keys)
    this.#busy = true
    proposals.own(result => {
      this.#busy = false
      quiet.end(this, env.nowMs())
      const done = !isCommandError(result) && (result as { done: boolean }).done
      if (done) this.#keys.splice(0, keys.length)
      else this.#restUntilMs = env.nowMs() + restMs
    })
  }

  #forget(): void {
    const step = { step: 'forget', slot: this.slot, move: 0, epoch: this.#epoch } as const
    this.#busy = proposeStep(this.#ports, step, () => {
      this.#busy = false
      this.#restUntilMs = this.#ports.parts.env.nowMs() + restMs
    })
  }
}
