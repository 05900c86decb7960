import { ByteReader, ByteWriter } from '../base/bytes.ts'
import { assert } from '../base/errors.ts'
import { hardLimits } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { groupPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'

/** The outgoing side of a channel. Positions count 1, 2, 3 …; an item names a message, which stays in its timeline. */
export interface OutboxRow extends Row {
  readonly targetSet: string
  last: number
  /** Everything up to here is applied at the target and trimmed here. */
  acked: number
  /** First position of the oldest block still kept: it holds position `acked + 1`. */
  firstBlock: number
}

export interface OutboxItem {
  readonly slot: number
  readonly session: string
  readonly msgid: number
}

/** More than these in an outbox are not looked through. */
const waitingMax = 20_000

interface InboxRow extends Row {
  /** Items of the source set up to this position have been applied. */
  applied: number
}

interface NamesRow extends Row {
  names: string[]
}

/**
 * Channels to and from other sets. All items that one entry adds to an outbox form one block, the row of its first position, so that a burst costs one row
 * per target set; acknowledged blocks are deleted from the front.
 */
export class Channels {
  readonly #outboxes = new RowTable<OutboxRow>({
    capacity: 4_096,
    blank: key => ({
      key,
      dirty: false,
      targetSet: key.slice(`${groupPrefix}/outbox/`.length),
      last: 0,
      acked: 0,
      firstBlock: 1
    }),
    read: (row: OutboxRow, reader: ByteReader) => {
      row.last = reader.varint()
      row.acked = reader.varint()
      row.firstBlock = reader.varint()
    },
    write: (row: OutboxRow, writer: ByteWriter) => {
      writer.varint(row.last)
      writer.varint(row.acked)
      writer.varint(row.firstBlock)
    }
  })
  readonly #inboxes = new RowTable<InboxRow>({
    capacity: 4_096,
    blank: key => ({ key, dirty: false, applied: 0 }),
    read: (row: InboxRow, reader: ByteReader) => {
      row.applied = reader.varint()
    },
    write: (row: InboxRow, writer: ByteWriter) => writer.varint(row.applied)
  })
  readonly #targets = new RowTable<NamesRow>({
    capacity: 2,
    blank: key => ({ key, dirty: false, names: [] }),
    read: (row: NamesRow, reader: ByteReader) => {
      const count = reader.varint()
      for (let i = 0; i < count; i++) row.names.push(reader.string(hardLimits.nameBytes))
    },
    write: (row: NamesRow, writer: ByteWriter) => {
      writer.varint(row.names.length)
      for (const name of row.names) writer.string(name)
    }
  })
  /** What the current entry adds, per target set. */
  readonly #adding = new Map<string, OutboxItem[]>()

  /** Sets that ever got something through a channel from here. */
  targetSets(rows: RowReader): readonly string[] {
    return this.#names(rows).names
  }

  outbox(rows: RowReader, targetSet: string): OutboxRow {
    return (
      this.#outboxes.cached(targetSet) ??
      this.#outboxes.load(rows, targetSet, `${groupPrefix}/outbox/${targetSet}`)
    )
  }

  /** Appends to the outbox; returns the item's position. */
  push(rows: RowReader, targetSet: string, item: OutboxItem): number {
    const outbox = this.outbox(rows, targetSet)
    const adding = this.#adding.get(targetSet)
    if (adding === undefined) this.#adding.set(targetSet, [item])
    else adding.push(item)
    if (outbox.last === 0) {
      const names = this.#names(rows)
      names.names.push(targetSet)
      this.#targets.touch(names)
    }
    this.#outboxes.touch(outbox)
    return ++outbox.last
  }

  /** The block whose first position is `first`; only blocks from `firstBlock` on exist. */
  block(rows: RowReader, targetSet: string, first: number): OutboxItem[] {
    const bytes = rows.get(blockKey(targetSet, first))
    assert(bytes !== undefined, 'an unacknowledged outbox block exists', { targetSet, first })
    return readBlock(new ByteReader(bytes))
  }

  /**
   * Home slots of the sessions whose messages wait in outboxes; undefined while too many wait to look at them all.
   */
  waitingSlots(rows: RowReader): ReadonlySet<number> | undefined {
    const slots = new Set<number>()
    for (const targetSet of this.targetSets(rows)) {
      const { acked, last, firstBlock } = this.outbox(rows, targetSet)
      if (last - acked > waitingMax) return undefined
      for (let first = firstBlock; first <= last && acked < last; ) {
        const items = this.block(rows, targetSet, first)
        for (const { slot } of items) slots.add(slot)
        first += items.length
      }
    }
    return slots
  }

  /** The target applied everything up to `position`: drops the blocks that are wholly acknowledged. */
  acknowledge(rows: Rows, targetSet: string, position: number): void {
    const outbox = this.outbox(rows, targetSet)
    // Items that this very entry adds are not in a row yet, and cannot have been sent.
    const upTo = Math.min(position, outbox.last - (this.#adding.get(targetSet)?.length ?? 0))
    if (upTo <= outbox.acked) return
    while (outbox.firstBlock <= upTo) {
      const bytes = rows.get(blockKey(targetSet, outbox.firstBlock))
      assert(bytes !== undefined, 'an unacknowledged outbox block exists', { targetSet })
      const next = outbox.firstBlock + new ByteReader(bytes).varint()
      if (next - 1 > upTo) break
      rows.delete(blockKey(targetSet, outbox.firstBlock))
      outbox.firstBlock = next
    }
    outbox.acked = upTo
    this.#outboxes.touch(outbox)
  }

  /** Position up to which `sourceSet`'s items are applied here. */
  applied(rows: RowReader, sourceSet: string): number {
    return this.#inbox(rows, sourceSet).applied
  }

  setApplied(rows: RowReader, sourceSet: string, position: number): void {
    const inbox = this.#inbox(rows, sourceSet)
    inbox.applied = position
    this.#inboxes.touch(inbox)
  }

  flush(rows: Rows): void {
    if (this.#adding.size > 0) {
      for (const [targetSet, items] of this.#adding) {
        const first = this.outbox(rows, targetSet).last - items.length + 1
        rows.put(blockKey(targetSet, first), encodeBlock(items))
      }
      this.#adding.clear()
    }
    this.#targets.flush(rows)
    this.#outboxes.flush(rows)
    this.#inboxes.flush(rows)
  }

  reset(): void {
    this.#adding.clear()
    this.#targets.clear()
    this.#outboxes.clear()
    this.#inboxes.clear()
  }

  #names(rows: RowReader): NamesRow {
    return (
      this.#targets.cached(groupPrefix) ??
      this.#targets.load(rows, groupPrefix, `${groupPrefix}/targets`)
    )
  }

  #inbox(rows: RowReader, sourceSet: string): InboxRow {
    return (
      this.#inboxes.cached(sourceSet) ??
      this.#inboxes.load(rows, sourceSet, `${groupPrefix}/inbox/${sourceSet}`)
    )
  }
}

const blockKey = (targetSet: string, first: number): string =>
  `${groupPrefix}/outbox-block/${targetSet}/${first}`

function readBlock(reader: ByteReader): OutboxItem[] {
  const count = reader.varint()
  const items: OutboxItem[] = []
  for (let i = 0; i < count; i++) {
    const slot = reader.u16()
    const session = reader.string(hardLimits.sessionBytes)
    items.push({ slot, session, msgid: reader.varint() })
  }
  return items
}

function encodeBlock(items: readonly OutboxItem[]): Buffer {
  const writer = new ByteWriter(512)
  writer.varint(items.length)
  for (const item of items) {
    writer.u16(item.slot)
    writer.string(item.session)
    writer.varint(item.msgid)
  }
  return writer.copy()
}
