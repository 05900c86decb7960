import type { ErrorCode } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { RouterParts } from './admission.ts'
import { type CommandError, isCommandError, writeRaiseSequence } from './commands.ts'
import { type Proposals, refusalCode } from './proposals.ts'
import type { Replies } from './replies.ts'
import type { SequenceRange } from './router-machine.ts'

type SequencePacket = Packet<'SEQUENCE'>

interface Asked {
  readonly from: EndpointId
  readonly request: SequencePacket
}

interface Dispenser {
  readonly name: string
  readonly slot: number
  /** Of the ownership under which its range was raised. */
  slotEpoch: number
  next: number
  last: number
  /** How far the next raise goes. */
  step: number
  raisedAtMs: number
  raising: boolean
  waiting: Asked[]
  waitingNumbers: number
}

/** One request takes at most so many numbers. */
export const sequenceCountMax = 1_000_000
const firstStep = 10_000
const stepMax = 10_000_000
/** A range used up sooner than this makes the next one twice as long. */
const growWithinMs = 1_000
const dispensersMax = 10_000
const waitingMax = 10_000

/**
 * Hands out numbers below ceilings that this leader itself raised through the log. Ranges die with the leadership: the next leader starts above the ceiling,
 * so numbers may jump and never repeat. Before it hands out from memory a leader makes sure that it still leads: its successor's
 * numbers are higher already, and a lower one must not come after them.
 */
export class SequenceDispenser {
  readonly #parts: RouterParts
  readonly #proposals: Proposals
  readonly #replies: Replies
  readonly #dispensers = new Map<string, Dispenser>()
  /** What the ranges in memory are enough for, until leadership is confirmed. */
  #unconfirmed: Asked[] = []
  /** Requests without an answer, in `#unconfirmed` included. */
  #waiting = 0

  constructor(parts: RouterParts, proposals: Proposals, replies: Replies) {
    this.#parts = parts
    this.#proposals = proposals
    this.#replies = replies
  }

  onLeadership(): void {
    for (const dispenser of this.#dispensers.values()) {
      this.#refuse(dispenser, { error: 'NO_LEADER' })
    }
    this.#dispensers.clear()
  }

  /** An admitted request of the slot's owner. */
  onRequest(from: EndpointId, request: SequencePacket): void {
    const { name, count } = request.payload
    const dispenser = this.#dispenser(name, request)
    if (dispenser === undefined || this.#waiting >= waitingMax) {
      this.#replies.error(from, request, 'OVERLOADED')
      return
    }
    this.#waiting++
    if (this.#suffices(dispenser, count)) this.#unconfirmed.push({ from, request })
    else this.#await(dispenser, { from, request })
  }

  /** Requests of one turn share one ReadIndex round. */
  flush(): void {
    if (this.#unconfirmed.length === 0) return
    const batch = this.#unconfirmed
    this.#unconfirmed = []
    const { replica } = this.#parts
    const term = replica.term()
    const refusal = replica.read(confirmed => {
      const leads = confirmed && replica.leading() && replica.term() === term
      for (const asked of batch) {
        if (leads) this.#serve(asked)
        else this.#answerError(asked, 'NO_LEADER')
      }
    })
    if (refusal === undefined) return
    for (const asked of batch) this.#answerError(asked, refusalCode(refusal))
  }

  #serve(asked: Asked): void {
    const { name, count } = asked.request.payload
    const { slot, slotEpoch } = asked.request
    const { machine, rows } = this.#parts
    // The slot may have gone meanwhile, and its new set have handed out higher numbers.
    const moved = machine.ownership.refusal(rows, slot, slotEpoch)
    const dispenser = this.#dispenser(name, asked.request)
    if (moved !== undefined) this.#answerError(asked, moved)
    else if (dispenser === undefined) this.#answerError(asked, 'OVERLOADED')
    else if (!this.#suffices(dispenser, count)) this.#await(dispenser, asked)
    else {
      this.#waiting--
      this.#hand(dispenser, asked.from, asked.request)
    }
  }

  #suffices({ waiting, next, last }: Dispenser, count: number): boolean {
    return waiting.length === 0 && next + count - 1 <= last
  }

  /** For a raise, which confirms leadership by itself. */
  #await(dispenser: Dispenser, asked: Asked): void {
    dispenser.waiting.push(asked)
    dispenser.waitingNumbers += asked.request.payload.count
    if (!dispenser.raising) this.#raise(dispenser, asked.request.slotEpoch)
  }

  #answerError({ from, request }: Asked, code: ErrorCode): void {
    this.#waiting--
    this.#replies.error(from, request, code)
  }

  #dispenser(name: string, { slot, slotEpoch }: SequencePacket): Dispenser | undefined {
    const known = this.#dispensers.get(name)
    if (known !== undefined) {
      // The slot was elsewhere since: what is left of the range is below what was handed out there.
      if (known.slotEpoch !== slotEpoch) known.last = known.next - 1
      known.slotEpoch = slotEpoch
      return known
    }
    if (this.#dispensers.size >= dispensersMax && !this.#makeRoom()) return undefined
    const fresh: Dispenser = {
      name,
      slot,
      slotEpoch,
      next: 1,
      last: 0,
      step: firstStep,
      raisedAtMs: Number.NEGATIVE_INFINITY,
      raising: false,
      waiting: [],
      waitingNumbers: 0
    }
    this.#dispensers.set(name, fresh)
    return fresh
  }

  /** The rest of an idle range is given up: a jump. */
  #makeRoom(): boolean {
    for (const [name, dispenser] of this.#dispensers) {
      if (dispenser.raising) continue
      this.#dispensers.delete(name)
      return true
    }
    return false
  }

  #hand(dispenser: Dispenser, from: EndpointId, request: SequencePacket): void {
    const { count } = request.payload
    const first = dispenser.next
    dispenser.next += count
    this.#replies.ok(from, request, 'SEQUENCE_OK', { first, count })
  }

  #raise(dispenser: Dispenser, slotEpoch: number): void {
    const nowMs = this.#parts.env.nowMs()
    if (nowMs - dispenser.raisedAtMs < growWithinMs) {
      dispenser.step = Math.min(dispenser.step * 2, stepMax)
    }
    dispenser.raisedAtMs = nowMs
    const writer = this.#proposals.open()
    if (writer === undefined) {
      this.#refuse(dispenser, { error: 'OVERLOADED' })
      return
    }
    const step = dispenser.step + dispenser.waitingNumbers
    writeRaiseSequence(writer, dispenser.slot, slotEpoch, dispenser.name, step)
    dispenser.raising = true
    this.#proposals.own(result => this.#raised(dispenser, slotEpoch, result))
  }

  #raised(dispenser: Dispenser, slotEpoch: number, result: unknown): void {
    dispenser.raising = false
    if (isCommandError(result)) {
      this.#refuse(dispenser, result)
      return
    }
    const { first, last } = result as SequenceRange
    // Only this leader raises while it leads, so the ranges join; if they do not, the rest of the old one is given up.
    if (first !== dispenser.last + 1) dispenser.next = first
    dispenser.last = last
    const { waiting } = dispenser
    let served = 0
    while (served < waiting.length) {
      const { from, request } = waiting[served]!
      if (dispenser.next + request.payload.count - 1 > dispenser.last) break
      this.#hand(dispenser, from, request)
      dispenser.waitingNumbers -= request.payload.count
      served++
    }
    waiting.splice(0, served)
    this.#waiting -= served
    if (waiting.length > 0) this.#raise(dispenser, slotEpoch)
  }

  #refuse(dispenser: Dispenser, { error }: CommandError): void {
    const { waiting } = dispenser
    dispenser.waiting = []
    dispenser.waitingNumbers = 0
    this.#waiting -= waiting.length
    for (const { from, request } of waiting) this.#replies.error(from, request, error)
  }
}
