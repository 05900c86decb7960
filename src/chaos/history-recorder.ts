import { closeSync, openSync, writeFileSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import { type Judgement, type JudgeName, judge } from '../check/check.ts'
import { formatLine, type HistoryLine, type LineType } from '../check/history.ts'

/** Judges without anything to judge in a history of messages alone. */
export const onlyMessages: readonly JudgeName[] = [
  'presence',
  'sequences',
  'ownership',
  'epochs',
  'terms',
  'leaders'
]

/** The history of a run, in the format that `ringset check` judges. */
export class HistoryRecorder {
  readonly lines: HistoryLine[] = []
  readonly #startMs = performance.now()

  add(process: string, type: LineType, f: string, key: string | null, value: unknown): void {
    const time = Math.floor((performance.now() - this.#startMs) * 1e6)
    this.lines.push({ time, process, type, f, key, value })
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
    return judge(this.lines, { without })
  }

  /** Writes all of it, in pieces: a long run has more than a string can hold. @param atOnce lines to a piece. */
  writeTo(file: string, atOnce = 20_000): void {
    const descriptor = openSync(file, 'w')
    try {
      for (let first = 0; first < this.lines.length; first += atOnce) {
        const piece = this.lines.slice(first, first + atOnce)
        writeFileSync(descriptor, piece.map(formatLine).join(''))
      }
    } finally {
      closeSync(descriptor)
    }
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
