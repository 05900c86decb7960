import type { Entry } from './types.ts'

/** How much applied log is kept for followers that lag a little; beyond it they get a snapshot. */
export interface TrimLimits {
  readonly trailingEntries: number
  readonly trailingBytes: number
}

/**
 * Up to this many times the trailing bytes are kept for followers that get a snapshot: with 64 MiB a GiB, which a busy group fills in
 * minutes, long enough for a state of some GiB to cross. Beyond it a stream that hardly moves would fill the disk.
 */
const neededFactor = 16

/** Decides how far the log may be compacted. Pure bookkeeping: a mark per `markBytes` of log, so that sizes need no scan. */
export class LogTrimmer {
  readonly #limits: TrimLimits
  #marks: { index: number; totalBytes: number }[] = []
  #totalBytes = 0
  #compacted = 0

  constructor(limits: TrimLimits) {
    this.#limits = limits
  }

  grown(entries: readonly Entry[]): void {
    for (const entry of entries) {
      this.#totalBytes += entry.data.length + 24
      const last = this.#marks.at(-1)
      if (last !== undefined && entry.index <= last.index) {
        while (this.#marks.length > 0 && this.#marks.at(-1)!.index >= entry.index) this.#marks.pop()
      }
      if (
        last === undefined ||
        this.#totalBytes - last.totalBytes >= this.#limits.trailingBytes / 16
      ) {
        this.#marks.push({ index: entry.index, totalBytes: this.#totalBytes })
      }
    }
  }

  reset(index: number): void {
    this.#marks = []
    this.#compacted = index
  }

  /**
   * The index below which entries may go now, or undefined when it is not worth a write yet.
   * @param neededFrom lowest index that somebody is waiting for, however far behind; Infinity = nobody.
   */
  compactTo(applied: number, neededFrom = Number.POSITIVE_INFINITY): number | undefined {
    const { trailingEntries, trailingBytes } = this.#limits
    let to = applied - trailingEntries
    let ceiling = 0
    for (const mark of this.#marks) {
      const keptBytes = this.#totalBytes - mark.totalBytes
      if (keptBytes <= trailingBytes) break
      const index = Math.min(mark.index, applied)
      to = Math.max(to, index)
      if (keptBytes > neededFactor * trailingBytes) ceiling = index
    }
    to = Math.max(Math.min(to, neededFrom), ceiling)
    const step = Math.max(1, Math.floor(trailingEntries / 8))
    const overBytes = this.#marks.length > 24
    if (to <= this.#compacted || (to - this.#compacted < step && !overBytes)) return undefined
    this.#compacted = to
    this.#marks = this.#marks.filter(mark => mark.index >= to)
    return to
  }
}
