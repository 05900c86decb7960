import type { EndpointId } from '../../protocol/endpoint.ts'
import type { Packet } from '../../protocol/packet.ts'
import type { TableView } from '../../table/table-view.ts'
import type { HolePuller } from '../hole-puller.ts'
import type { SlotStep } from '../ownership.ts'
import { ArbiterReports } from './arbiter-reports.ts'
import { OutboxWatch } from './outbox-watch.ts'
import { QuietWork } from './quiet-work.ts'
import { SetFarewell } from './set-farewell.ts'
import { type ArrivalPorts, SlotArrival } from './slot-arrival.ts'
import { SlotCleaner } from './slot-cleaner.ts'
import { SlotSettler } from './slot-settler.ts'
import { SlotSource, type SourcePorts } from './slot-source.ts'
import { proposeStep } from './step-proposal.ts'

/** Slots that come in at once; the others wait their turn, still served where they are. */
const arrivalsMax = 4
/** Of these, slots that are sealed at once: the more, the longer each of them. */
const sealsMax = 2
/** A slot sealed for so long asks the arbiters to leave it where it is: its new set seems to be gone. */
const sealedMaxMs = 5_000

export type MoverPorts = Omit<ArrivalPorts, 'turn' | 'maySeal' | 'quiet'> & SourcePorts

/**
 * Carries slots from set to set, on the leader: looks at what the table says and what the log says of each slot on its way, and takes
 * the next step. The table alone tells whether a move is under way, done or called off; see docs/slot-moves.md.
 */
export class SlotMover {
  /** Answers other sets. */
  readonly source: SlotSource
  readonly #ports: ArrivalPorts & SourcePorts
  readonly #puller: HolePuller
  readonly #reports: ArbiterReports
  readonly #arrivals = new Map<number, SlotArrival>()
  readonly #settlers = new Map<number, SlotSettler>()
  readonly #cleaners = new Map<number, SlotCleaner>()
  readonly #outboxes: OutboxWatch
  #farewell: SetFarewell
  readonly #stepping = new Set<number>()
  readonly #sealedMs = new Map<number, number>()
  /** Slots that have all that there is, by when their old set was heard to have sealed them. */
  readonly #waitingSinceMs = new Map<number, number>()
  /** Something has changed: what is to be done next is not left to the next tick, while the users of a slot wait. */
  #due = false
  /** Slots that were, or are to be, sealed for their way here. */
  readonly #sealing = new Set<number>()

  constructor(ports: MoverPorts, puller: HolePuller, arbiters: () => readonly EndpointId[]) {
    this.#ports = {
      ...ports,
      quiet: new QuietWork(),
      maySeal: slot => {
        if (this.#sealing.size < sealsMax) this.#sealing.add(slot)
        return this.#sealing.has(slot)
      },
      turn: () => {
        this.#due = true
      }
    }
    this.source = new SlotSource(ports)
    this.#outboxes = new OutboxWatch(ports.parts)
    this.#puller = puller
    this.#reports = new ArbiterReports(ports.parts.env, arbiters, ports.nextSequence)
    this.#farewell = this.#newFarewell()
  }

  onLeadership(): void {
    this.#farewell = this.#newFarewell()
    this.#arrivals.clear()
    this.#settlers.clear()
    this.#cleaners.clear()
    this.#stepping.clear()
    this.#sealedMs.clear()
    this.#reports.clear()
    this.#waitingSinceMs.clear()
    this.#sealing.clear()
  }

  onTable(): void {
    this.#due = true
  }

  /** Does at once what has become possible in this turn. True when there may be proposals. */
  flush(): boolean {
    if (!this.#due) return false
    this.tick()
    return true
  }

  tick(): void {
    this.#due = false
    const { env, machine, rows } = this.#ports.parts
    const view = env.table()
    if (view.table === undefined) return
    if (view.epoch < machine.ownership.routeEpoch(rows)) {
      this.#reports.pullTable()
      return
    }
    const unsettled = machine.ownership.unsettled(rows)
    for (const slot of unsettled) this.#work(view, slot)
    this.#prune(new Set(unsettled))
    this.#begin(view)
    for (const arrival of this.#arrivals.values()) arrival.tick()
    for (const settler of this.#settlers.values()) settler.tick()
    for (const cleaner of this.#cleaners.values()) cleaner.tick()
    this.#farewell.tick(view)
  }

  /** True when the packet answers something that was asked here. */
  onAnswer(
    from: EndpointId,
    answer: Packet<'SLOT_READ_OK'> | Packet<'MOVE_REPORT_OK'> | Packet<'ERROR'>
  ): boolean {
    if (answer.kind !== 'SLOT_READ_OK') {
      const again = this.#reports.onAnswer(answer)
      if (again === true) this.#due = true
      if (again !== undefined || answer.kind === 'MOVE_REPORT_OK') return again !== undefined
    }
    for (const arrival of this.#arrivals.values()) {
      if (arrival.onAnswer(from, answer)) return true
    }
    return false
  }

  #newFarewell(): SetFarewell {
    return new SetFarewell(this.#ports.parts, epoch => this.#reports.report(0, epoch, 'clean'))
  }

  #work(view: TableView, slot: number): void {
    const { machine, rows, setId } = this.#ports.parts
    const { ownership } = machine
    const move = ownership.move(rows, slot)
    const own = ownership.slotEpoch(rows, slot)
    const listed = view.move(slot)?.epoch === move
    // An older table than the one that began the move knows nothing of how it ended.
    const over = !listed && view.epoch > move
    const owner = view.owner(slot)
    const ours = owner?.setId === setId
    switch (ownership.state(rows, slot)) {
      case 'sealed':
        if (listed) this.#watch(slot, move)
        else if (over && ours && owner.slotEpoch === own) this.#step('unseal', slot, move, 0)
        else if (over && owner !== undefined) this.#step('leave', slot, move, owner.slotEpoch)
        break
      case 'importing':
        if (over) this.#step('drop', slot, move, 0)
        else if (listed && owner !== undefined) this.#arrive(view, slot, move, owner.setId)
        break
      case 'imported':
        if (listed) this.#reports.report(slot, move, 'imported')
        else if (over && ours) this.#step('take', slot, move, owner.slotEpoch)
        else if (over) this.#step('drop', slot, move, 0)
        break
      case 'owned':
        if (!this.#settlers.has(slot)) {
          this.#settlers.set(slot, new SlotSettler(slot, own, this.#ports, this.#puller))
        }
        break
      case 'gone':
        if (!this.#cleaners.has(slot)) {
          this.#outboxes.slotWent()
          this.#cleaners.set(slot, new SlotCleaner(slot, own, this.#ports, this.#outboxes))
        }
        break
      default:
    }
  }

  #begin(view: TableView): void {
    const { machine, rows, setId } = this.#ports.parts
    const { ownership } = machine
    if (ownership.count(rows, 'gone') > 0) return
    let coming = ownership.count(rows, 'importing') + ownership.count(rows, 'imported')
    for (const { slot, to, epoch } of view.table?.moves ?? []) {
      if (coming >= arrivalsMax) return
      if (to !== setId || ownership.state(rows, slot) !== 'none') continue
      coming++
      this.#step('import', slot, epoch, 0)
    }
  }

  #arrive(view: TableView, slot: number, move: number, setId: string): void {
    const lost = view.set(setId)?.state === 'lost'
    const known = this.#arrivals.get(slot)
    if (known?.head.move === move && known.lost === lost) return
    this.#arrivals.set(slot, new SlotArrival({ slot, move }, { setId, lost }, this.#ports))
  }

  /** Forgets the work on slots that are through with it. */
  #prune(unsettled: ReadonlySet<number>): void {
    const { machine, rows } = this.#ports.parts
    const state = (slot: number): string =>
      unsettled.has(slot) ? machine.ownership.state(rows, slot) : ''
    for (const [slot, { sealedAtMs }] of this.#arrivals) {
      if (state(slot) === 'importing') continue
      this.#arrivals.delete(slot)
      if (sealedAtMs !== undefined) this.#waitingSinceMs.set(slot, sealedAtMs)
    }
    for (const [slot, sinceMs] of this.#waitingSinceMs) {
      if (state(slot) === 'imported') continue
      this.#waitingSinceMs.delete(slot)
      if (state(slot) === 'owned') this.#logTaken(slot, sinceMs)
    }
    for (const slot of this.#sealing) {
      if (!['importing', 'imported'].includes(state(slot))) this.#sealing.delete(slot)
    }
    for (const [slot, settler] of this.#settlers) {
      if (state(slot) === 'owned') continue
      this.#settlers.delete(slot)
      settler.stop()
    }
    for (const slot of this.#cleaners.keys()) {
      if (state(slot) !== 'gone') this.#cleaners.delete(slot)
    }
    for (const slot of this.#sealedMs.keys()) {
      if (state(slot) !== 'sealed') this.#sealedMs.delete(slot)
    }
    this.#reports.keep(unsettled)
  }

  /** How long the slot's users had to wait, but for the way of one packet. */
  #logTaken(slot: number, sinceMs: number): void {
    const { env } = this.#ports.parts
    const sealedMs = Math.round((env.nowMs() - sinceMs) * 10) / 10
    env.log.info('slot_taken', { slot, sealedMs })
    env.metrics.observe('router_slot_sealed_ms', sealedMs)
  }

  #watch(slot: number, move: number): void {
    const nowMs = this.#ports.parts.env.nowMs()
    const sinceMs = this.#sealedMs.get(slot)
    if (sinceMs === undefined) this.#sealedMs.set(slot, nowMs)
    else if (nowMs - sinceMs > sealedMaxMs) this.#reports.report(slot, move, 'stuck')
  }

  #step(step: SlotStep, slot: number, move: number, epoch: number): void {
    if (this.#stepping.has(slot)) return
    const proposed = proposeStep(this.#ports, { step, slot, move, epoch }, () => {
      this.#stepping.delete(slot)
      this.#due = true
    })
    if (proposed) this.#stepping.add(slot)
  }
}
