import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'

/**
 * `stamp`: the table rides on the next packet to whoever has shown an older epoch · `always`: on every packet, for small clusters
 * and to measure what `stamp` saves.
 */
export type CarryMode = 'stamp' | 'always'

/** A lost or refused table is asked for again after this. */
const pullEveryMs = 1_000

/**
 * What one link knows about the other end's routing table, and from that whether the next packet carries ours: at most once per
 * epoch, unless the other end asks (`stamp`). Pure, so that real links and simulated ones behave alike.
 */
export class TableCarrier {
  readonly #mode: CarryMode
  readonly #keeper: Pick<TableKeeper, 'updateFrom'> | undefined
  /** −1 until the other end has shown any. */
  #shownEpoch = -1
  #attachedEpoch = 0
  #attachments = 0
  #asked = false
  #pulledAtMs = Number.NEGATIVE_INFINITY

  /** @param keeper of the tables that are carried; without one they are always whole. */
  constructor(mode: CarryMode, keeper?: Pick<TableKeeper, 'updateFrom'>) {
    this.#mode = mode
    this.#keeper = keeper
  }

  /** The newest epoch the other end has shown; −1 before any. */
  get shownEpoch(): number {
    return this.#shownEpoch
  }

  /** How many packets carried a table so far. */
  get attachments(): number {
    return this.#attachments
  }

  /** Call with the stamp of every received packet. */
  heard(epoch: number): void {
    if (epoch > this.#shownEpoch) this.#shownEpoch = epoch
  }

  /** The other end sent TABLE_PULL: the next packet carries the table whatever was sent before. */
  asked(): void {
    this.#asked = true
  }

  /** Whether the packet about to be sent should carry our table of this epoch; 0 = there is none. */
  wants(ownEpoch: number): boolean {
    if (ownEpoch === 0) return false
    if (this.#mode === 'always' || this.#asked) return true
    const behind = this.#shownEpoch >= 0 && this.#shownEpoch < ownEpoch
    return behind && this.#attachedEpoch < ownEpoch
  }

  /**
   * What the packet about to be sent should carry, if anything: our table, or what makes it of the one that the other end has shown
   * (whole when it was asked for, as then a delta may have been of no use). `view` is the keeper's.
   */
  attachment(view: TableView): Buffer | undefined {
    if (!this.wants(view.epoch)) return undefined
    const whole = this.#mode === 'always' || this.#asked || this.#keeper === undefined
    return whole ? view.encoded : this.#keeper.updateFrom(this.#shownEpoch)
  }

  /** The table of this epoch was put on a packet. */
  attached(ownEpoch: number): void {
    this.#asked = false
    this.#attachments++
    if (ownEpoch > this.#attachedEpoch) this.#attachedEpoch = ownEpoch
  }

  /**
   * Whether to send TABLE_PULL now: the other end is ahead and its table has not come by itself. Call after a received packet has
   * been dealt with; a true counts as sent, the next comes a second later at the earliest.
   */
  pulls(ownEpoch: number, nowMs: number): boolean {
    if (this.#shownEpoch <= ownEpoch || nowMs - this.#pulledAtMs < pullEveryMs) return false
    this.#pulledAtMs = nowMs
    return true
  }
}
