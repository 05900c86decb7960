import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'
import { putVarint, varintBytesMax } from './varint.ts'

/** How many message ids of one device in one session are remembered. */
export const dedupWindow = 64

/** The newest message ids of one device in one session, ascending, and the msgid each got. */
export interface DedupRow extends Row {
  clientMsgIds: number[]
  msgids: number[]
}

/**
 * Like the anti-replay window of IPsec, but it remembers what each id became. A device counts its clientMsgIds, so an id below a full window was used
 * or given up long ago.
 */
export class Dedup {
  readonly #table: RowTable<DedupRow>

  constructor(capacity: number) {
    this.#table = new RowTable<DedupRow>({
      capacity,
      blank: key => ({ key, dirty: false, clientMsgIds: [], msgids: [] }),
      read: readDedup,
      write: writeDedup
    })
  }

  /** @param sender the encoded (session, uid, deviceId) as latin1 text: unambiguous, and cheaper than three decoded strings. */
  get(rows: RowReader, slot: number, sender: string): DedupRow {
    return (
      this.#table.cached(sender) ??
      this.#table.load(rows, sender, `${slotPrefix(slot)}/dedup/${sender}`)
    )
  }

  /** The msgid the id got · 0 = new · −1 = below the window. */
  find(row: DedupRow, clientMsgId: number): number {
    const ids = row.clientMsgIds
    const count = ids.length
    if (count === 0 || clientMsgId > ids[count - 1]!) return 0
    const at = position(ids, clientMsgId)
    if (ids[at] === clientMsgId) return row.msgids[at]!
    return at === 0 && count === dedupWindow ? -1 : 0
  }

  /** Remembers a new id; the lowest leaves a full window. */
  add(row: DedupRow, clientMsgId: number, msgid: number): void {
    const ids = row.clientMsgIds
    const count = ids.length
    if (count === 0 || clientMsgId > ids[count - 1]!) {
      ids.push(clientMsgId)
      row.msgids.push(msgid)
    } else {
      const at = position(ids, clientMsgId)
      ids.splice(at, 0, clientMsgId)
      row.msgids.splice(at, 0, msgid)
    }
    if (count === dedupWindow) {
      ids.shift()
      row.msgids.shift()
    }
    this.#table.touch(row)
  }

  forget(id: string): void {
    this.#table.forget(id)
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  trim(): void {
    this.#table.trim()
  }

  reset(): void {
    this.#table.clear()
  }
}

/** Index of the first id that is not below `clientMsgId`. */
function position(ids: readonly number[], clientMsgId: number): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ids[middle]! < clientMsgId) low = middle + 1
    else high = middle
  }
  return low
}

function readDedup(row: DedupRow, reader: ByteReader): void {
  const count = reader.u8()
  let clientMsgId = 0
  let msgid = 0
  for (let i = 0; i < count; i++) {
    clientMsgId += reader.varint()
    row.clientMsgIds.push(clientMsgId)
    const step = reader.varint()
    msgid += step % 2 === 0 ? step / 2 : -(step + 1) / 2
    row.msgids.push(msgid)
  }
}

/** Both columns as differences, msgids zigzag: an id that arrived late has the higher msgid. */
function writeDedup(row: DedupRow, writer: ByteWriter): void {
  const { clientMsgIds, msgids } = row
  const count = clientMsgIds.length
  const start = writer.claim(1 + count * 2 * varintBytesMax)
  const { target } = writer
  let at = start
  target[at++] = count
  let clientMsgId = 0
  let msgid = 0
  for (let i = 0; i < count; i++) {
    at = putVarint(target, at, clientMsgIds[i]! - clientMsgId)
    const step = msgids[i]! - msgid
    at = putVarint(target, at, step >= 0 ? step * 2 : -step * 2 - 1)
    clientMsgId = clientMsgIds[i]!
    msgid = msgids[i]!
  }
  writer.truncate(at)
}
