import type { MessageSample } from './message-sample.ts'
import { percentiles } from './recovery.ts'

/** One second of the run. The times are those of the messages that were due in it; null: there are none. */
export interface SecondRow {
  readonly second: number
  /** Messages that were due. */
  readonly sent: number
  readonly acked: number
  readonly delivered: number
  readonly ackP50Ms: number | null
  readonly ackP99Ms: number | null
  readonly deliveryP99Ms: number | null
  /** Set id → longest until an acknowledgement of what its users wrote to conversations homed there; null: one never came. */
  readonly slowestMs: Readonly<Record<string, number | null>>
  /** The same of what users wrote to conversations of other sets than their own; undefined: nobody did. */
  readonly slowestAcrossMs?: number | null | undefined
}

interface Gathered {
  sent: number
  acked: number
  delivered: number
  readonly ackTook: number[]
  readonly deliveryTook: number[]
  readonly slowestMs: Record<string, number | null>
  slowestAcrossMs?: number | null
}

export function secondRows(
  samples: readonly MessageSample[],
  startMs: number,
  endMs: number
): SecondRow[] {
  const count = Math.max(1, Math.ceil((endMs - startMs) / 1_000))
  const rows = Array.from({ length: count }, (): Gathered => {
    return { sent: 0, acked: 0, delivered: 0, ackTook: [], deliveryTook: [], slowestMs: {} }
  })
  const rowAt = (atMs: number): Gathered | undefined => rows[Math.floor((atMs - startMs) / 1_000)]
  for (const { dueMs, senderSet, homeSet, ackedMs, deliveredMs } of samples) {
    const due = rowAt(dueMs)
    if (due !== undefined) {
      due.sent++
      const tookMs = ackedMs === 0 ? null : ackedMs - dueMs
      if (senderSet !== homeSet) due.slowestAcrossMs = slower(due.slowestAcrossMs, tookMs)
      else due.slowestMs[homeSet] = slower(due.slowestMs[homeSet], tookMs)
    }
    if (ackedMs > 0) {
      due?.ackTook.push(ackedMs - dueMs)
      const row = rowAt(ackedMs)
      if (row !== undefined) row.acked++
    }
    if (deliveredMs > 0) {
      due?.deliveryTook.push(deliveredMs - dueMs)
      const row = rowAt(deliveredMs)
      if (row !== undefined) row.delivered++
    }
  }
  return rows.map(({ ackTook, deliveryTook, ...row }, second) => {
    const [ack, delivery] = [percentiles(ackTook), percentiles(deliveryTook)]
    return {
      second,
      ...row,
      ackP50Ms: ack.count === 0 ? null : ack.p50Ms,
      ackP99Ms: ack.count === 0 ? null : ack.p99Ms,
      deliveryP99Ms: delivery.count === 0 ? null : delivery.p99Ms
    }
  })
}

/** @param tookMs null: for ever. */
function slower(before: number | null | undefined, tookMs: number | null): number | null {
  return before === null || tookMs === null ? null : Math.max(before ?? 0, tookMs)
}
