import { closeSync, openSync, writeFileSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { type Judgement, type JudgeName, judge } from '../check/check.ts'
import { formatLine, type HistoryLine, type LineType, parseHistory } from '../check/history.ts'
import type { Span, SpillFile } from './spill-file.ts'

/** Judges without anything to judge in a history of messages alone. */
export const onlyMessages: readonly JudgeName[] = [
  'presence',
  'sequences',
  'ownership',
  'epochs',
  'terms',
  'leaders'
]

export interface RecorderOptions {
  readonly linesToPiece?: number
  /** For runs of any length; without it, or where it is full, the lines stay in memory. The recorder closes it. */
  readonly spill?: SpillFile | undefined
}

/**
 * The history of a run, in the format that `ringset check` judges. All but the newest lines are held as they are written, and put aside if
 * they can be: millions of objects would have the collector stop this process, and so whoever is measured from it, for seconds.
 */
export class HistoryRecorder {
  readonly #pieces: (Buffer | Span)[] = []
  readonly #linesToPiece: number
  readonly #spill: SpillFile | undefined
  #newest: HistoryLine[] = []
  readonly #startMs = performance.now()

  constructor({ linesToPiece = 1_000, spill }: RecorderOptions = {}) {
    this.#linesToPiece = linesToPiece
    this.#spill = spill
  }

  add(process: string, type: LineType, f: string, key: string | null, value: unknown): void {
    const time = Math.floor((performance.now() - this.#startMs) * 1e6)
    this.#newest.push({ time, process, type, f, key, value })
    if (this.#newest.length >= this.#linesToPiece) this.#cut()
  }

  fault(what: string): void {
    this.add('nemesis', 'info', 'fault', null, { text: what })
  }

  /** Records an operation from its invocation to its end: `fail` when it certainly did not happen. */
  async operation<T>(
    process: string,
    f: string,
    key: string,
    request: unknown,
    work: () => Promise<T>,
    answerOf: (result: T) => unknown
  ): Promise<T> {
    this.add(process, 'invoke', f, key, request)
    try {
      const result = await work()
      this.add(process, 'ok', f, key, answerOf(result))
      return result
    } catch (error) {
      const certain = error instanceof RingsetError && error.outcome === 'not-done'
      this.add(process, certain ? 'fail' : 'info', f, key, null)
      throw error
    }
  }

  judge(without: readonly JudgeName[] = []): Judgement {
    return judge(parseHistory(this.#read()), { without })
  }

  writeTo(file: string): void {
    const descriptor = openSync(file, 'w')
    try {
      for (const piece of this.#read()) writeFileSync(descriptor, piece)
    } finally {
      closeSync(descriptor)
    }
  }

  /** Forgets what was put aside: the history can be neither judged nor written any more. */
  close(): void {
    this.#spill?.close()
  }

  *#read(): Generator<Buffer> {
    this.#cut()
    for (const piece of this.#pieces) {
      yield 'bytes' in piece ? this.#spill!.read(piece) : piece
    }
  }

  #cut(): void {
    if (this.#newest.length === 0) return
    const lines = this.#newest
    // First: a line that cannot be written must not be met again and again.
    this.#newest = []
    const bytes = Buffer.from(lines.map(formatLine).join(''))
    this.#pieces.push(this.#spill?.append(bytes) ?? bytes)
  }
}

/** One line per check that has judged something or has not passed. */
export function judgementText({ verdict, checks, lines }: Judgement): string {
  const shown = checks.filter(({ judged, ok }) => judged > 0 || ok !== true)
  const texts = shown.map(({ name, ok, detail, examples }) =>
    [`${name}: ${ok === true ? 'ok' : ok}, ${detail}`, ...examples].join('\n    ')
  )
  return [`${verdict}, ${lines} lines`, ...texts].join('\n  ')
}
