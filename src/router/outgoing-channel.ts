import { assert } from '../base/errors.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import type { RouterParts } from './admission.ts'
import type { OutboxItem } from './channels.ts'
import type { RouterLimits } from './limits.ts'
import { decodeMessage, getMessage } from './timelines.ts'

type ChannelItem = PayloadOf<'CHANNEL'>['items'][number]

interface Fresh {
  readonly session: string
  readonly message: Buffer
}

export interface Flight {
  readonly sequence: number
  readonly to: EndpointId
  readonly last: number
  readonly sentAtMs: number
}

/** Items that just entered the outbox are kept at hand, so that an open channel does not read them back from the rows. */
const freshMax = 2_048
const firstBackoffMs = 50
const backoffMaxMs = 2_000

/**
 * The sending end of one channel, on the leader. What is in flight is bounded by a window; everything else stays in the outbox rows, so that a set which
 * is down costs nothing but its outbox (I-5).
 */
export class OutgoingChannel {
  readonly targetSet: string
  readonly #parts: RouterParts
  readonly #limits: RouterLimits
  /** Applied at the target, as far as its answers told; the trimmed position follows lazily. */
  acked: number
  /** Everything up to here is in flight or acknowledged. */
  sent: number
  flights: Flight[] = []
  /** Positions whose members have left the target set, and that have been sent after them. */
  readonly redirected = new Set<number>()
  /** Some are being sent after them. */
  redirecting = false
  #retryAtMs = 0
  #backoffMs = firstBackoffMs
  /** After a failure one small batch at a time, until one is acknowledged. */
  #probing = false
  #fresh: Fresh[] = []
  #freshFirst = 0
  #block: { first: number; items: readonly OutboxItem[] } | undefined

  constructor(parts: RouterParts, limits: RouterLimits, targetSet: string) {
    this.#parts = parts
    this.#limits = limits
    this.targetSet = targetSet
    this.acked = parts.machine.channels.outbox(parts.rows, targetSet).acked
    this.sent = this.acked
  }

  /** An item took `position` in the outbox. */
  queued(position: number, session: string, message: Buffer): void {
    const fresh = this.#fresh
    if (fresh.length === 0) {
      if (position !== this.sent + 1) return
      this.#freshFirst = position
    } else if (position !== this.#freshFirst + fresh.length) {
      return
    }
    if (fresh.length < freshMax) fresh.push({ session, message })
  }

  /** The next batch to send now, or undefined. It counts as in flight once `launched`. */
  nextBatch(nowMs: number): { firstPosition: number; items: ChannelItem[] } | undefined {
    const { channelWindow, channelItems } = this.#limits
    const { last } = this.#parts.machine.channels.outbox(this.#parts.rows, this.targetSet)
    if (this.sent >= last || nowMs < this.#retryAtMs) return undefined
    if (this.flights.length >= (this.#probing ? 1 : channelWindow)) return undefined
    const count = Math.min(last - this.sent, this.#probing ? 64 : channelItems)
    const firstPosition = this.sent + 1
    return { firstPosition, items: this.#collect(firstPosition, count) }
  }

  launched(sequence: number, to: EndpointId, items: number, nowMs: number): void {
    this.sent += items
    const used = this.sent + 1 - this.#freshFirst
    if (this.#fresh.length > 0 && used > 0) {
      this.#fresh.splice(0, used)
      this.#freshFirst += used
    }
    this.flights.push({ sequence, to, last: this.sent, sentAtMs: nowMs })
  }

  /** The target applied everything up to `position`; the answer to flight `sequence`. */
  answered(sequence: number, position: number, nowMs: number): void {
    const flight = this.flights.find(one => one.sequence === sequence)
    const progress = position > this.acked
    this.acked = Math.max(this.acked, position)
    for (const known of this.redirected) if (known <= position) this.redirected.delete(known)
    if (progress) this.#backoffMs = firstBackoffMs
    if (flight !== undefined && position < flight.last) {
      // Something before it got lost: again from where the target stands.
      this.rewind(progress ? nowMs : nowMs + this.#nextBackoff())
      return
    }
    if (flight !== undefined) this.#probing = false
    this.flights = this.flights.filter(one => one.last > position && one.sequence !== sequence)
    this.sent = Math.max(this.sent, this.acked)
  }

  /** The target could not be reached or does not answer. */
  failed(nowMs: number): void {
    this.#probing = true
    this.rewind(nowMs + this.#nextBackoff())
  }

  /** Nothing is in flight any more; goes on behind what is acknowledged, not before `retryAtMs`. */
  rewind(retryAtMs: number): void {
    this.flights = []
    this.sent = this.acked
    this.#retryAtMs = retryAtMs
    this.#fresh = []
    this.#block = undefined
  }

  #nextBackoff(): number {
    const waitMs = this.#backoffMs * (0.75 + 0.5 * this.#parts.env.random.float())
    this.#backoffMs = Math.min(this.#backoffMs * 2, backoffMaxMs)
    return waitMs
  }

  #collect(first: number, count: number): ChannelItem[] {
    const items: ChannelItem[] = []
    let bytes = 0
    for (let position = first; position < first + count; position++) {
      const { session, message } = this.#at(position)
      bytes += session.length + message.length
      if (items.length > 0 && bytes > this.#limits.channelBytes) break
      items.push({ session, message: decodeMessage(message) })
    }
    return items
  }

  #at(position: number): Fresh {
    const fresh = this.#fresh[position - this.#freshFirst]
    if (fresh !== undefined) return fresh
    const { machine, rows } = this.#parts
    const { slot, session, msgid } = this.#item(position)
    const message = getMessage(rows, slot, session, msgid)
    assert(message !== undefined, 'an outbox item names a kept message', { session, msgid })
    assert(machine.channels.outbox(rows, this.targetSet).last >= position, 'items exist')
    return { session, message }
  }

  #item(position: number): OutboxItem {
    const { machine, rows } = this.#parts
    const { channels } = machine
    let block = this.#block
    const { firstBlock: first } = channels.outbox(rows, this.targetSet)
    // Blocks behind one that is trimmed meanwhile cannot be found from it.
    if (block === undefined || position < block.first || block.first < first) {
      block = { first, items: channels.block(rows, this.targetSet, first) }
    }
    while (position >= block.first + block.items.length) {
      const first: number = block.first + block.items.length
      block = { first, items: channels.block(rows, this.targetSet, first) }
    }
    this.#block = block
    return block.items[position - block.first]!
  }
}
