import type { Entry } from './types.ts'

/** How much applied log is kept for followers that lag a little; beyond it they get a snapshot. */
export interface TrimLimits {
  readonly trailingEntries: number
  readonly trailingBytes: number
}

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

  /** The index below which entries may go now, or undefined when it is not worth a write yet. */
  compactTo(applied: number): number | undefined {
    let to = applied - this.#limits.trailingEntries
    for (const mark of this.#marks) {
      if (this.#totalBytes - mark.totalBytes <= this.#limits.trailingBytes) break
      to = Math.max(to, Math.min(mark.index, applied))
    }
    const step = Math.max(1, Math.floor(this.#limits.trailingEntries / 8))
    const overBytes = this.#marks.length > 24
    if (to <= this.#compacted || (to - this.#compacted < step && !overBytes)) return undefined
    this.#compacted = to
    this.#marks = this.#marks.filter(mark => mark.index >= to)
    return to
  }
}
