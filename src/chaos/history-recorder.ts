import { closeSync, openSync, writeFileSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { type Judgement, type JudgeName, judge } from '../check/check.ts'
import { formatLine, type HistoryLine, type LineType, parseHistory } from '../check/history.ts'

/** Judges without anything to judge in a history of messages alone. */
export const onlyMessages: readonly JudgeName[] = [
  'presence',
  'sequences',
  'ownership',
  'epochs',
  'terms',
  'leaders'
]

/**
 * The history of a run, in the format that `ringset check` judges. All but the newest lines are held as they are written: millions of
 * objects would have the collector stop this process, and so whoever is measured from it, for seconds.
 */
export class HistoryRecorder {
  readonly #pieces: Buffer[] = []
  readonly #linesToPiece: number
  #newest: HistoryLine[] = []
  readonly #startMs = performance.now()

  constructor(linesToPiece = 1_000) {
    this.#linesToPiece = linesToPiece
  }

  add(process: string, type: LineType, f: string, key: string | null, value: unknown): void {
    const time = Math.floor((performance.now() - this.#startMs) * 1e6)
    this.#newest.push({ time, process, type, f, key, value })
    if (this.#newest.length >= this.#linesToPiece) this.#close()
  }

  fault(what: string): void {
    this.add('nemesis', 'info', what, null, null)
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
    this.#close()
    return judge(parseHistory(this.#pieces), { without })
  }

  writeTo(file: string): void {
    this.#close()
    const descriptor = openSync(file, 'w')
    try {
      for (const piece of this.#pieces) writeFileSync(descriptor, piece)
    } finally {
      closeSync(descriptor)
    }
  }

  #close(): void {
    if (this.#newest.length === 0) return
    this.#pieces.push(Buffer.from(this.#newest.map(formatLine).join('')))
    this.#newest = []
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
