import type { MessageSample } from './message-sample.ts'

type Seen = 'ackedMs' | 'deliveredMs'

/** The messages of one set, arranged so that a question about one moment does not look at all of them. */
export class SetTraffic {
  /** Of conversations that live in the set, as they were due. */
  readonly #sent: readonly MessageSample[]
  /** For receivers who live in it, as they were due. */
  readonly #received: readonly MessageSample[]
  /** When those of its conversations were acknowledged, ascending. */
  readonly #acks: readonly number[]

  constructor(set: string, samples: readonly MessageSample[]) {
    const byDue = (a: MessageSample, b: MessageSample): number => a.dueMs - b.dueMs
    this.#sent = samples.filter(({ homeSet }) => homeSet === set).sort(byDue)
    this.#received = samples.filter(({ receiverSet }) => receiverSet === set).sort(byDue)
    const acks = this.#sent.map(({ ackedMs }) => ackedMs).filter(ackedMs => ackedMs > 0)
    this.#acks = acks.sort((a, b) => a - b)
  }

  /** When the first message that was due after `atMs` was acknowledged; null: not until `endMs`. */
  firstAck(atMs: number, endMs: number): number | null {
    return firstOf(this.#sent, 'ackedMs', atMs, endMs)
  }

  firstDelivery(atMs: number, endMs: number): number | null {
    return firstOf(this.#received, 'deliveredMs', atMs, endMs)
  }

  /** Acknowledgements after `fromMs`, up to `toMs`. */
  acked(fromMs: number, toMs: number): number {
    const behind = (atMs: number): number => firstWhere(this.#acks, ack => ack > atMs)
    return behind(toMs) - behind(fromMs)
  }
}

function firstOf(
  samples: readonly MessageSample[],
  seen: Seen,
  atMs: number,
  endMs: number
): number | null {
  let first = Number.POSITIVE_INFINITY
  for (let i = firstWhere(samples, ({ dueMs }) => dueMs > atMs); i < samples.length; i++) {
    const sample = samples[i]!
    // Nothing is seen before it is due.
    if (sample.dueMs >= first) break
    const seenMs = sample[seen]
    if (seenMs > 0 && seenMs <= endMs) first = Math.min(first, seenMs)
  }
  return first === Number.POSITIVE_INFINITY ? null : first
}

/** Index of the first item that is so, of a list in which all behind it are so as well. */
function firstWhere<T>(items: readonly T[], isSo: (item: T) => boolean): number {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isSo(items[middle]!)) high = middle
    else low = middle + 1
  }
  return low
}
