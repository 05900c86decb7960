import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import type { HistoryLine, LineType } from '../check/history.ts'
import { SimFailure } from './invariants.ts'

/** Answers that nobody here has deserved: all ids are fresh, all requests well-formed, all users members. */
const undeserved: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'MESSAGE_ID_REUSED',
  'DUPLICATE_EXPIRED',
  'BAD_PACKET',
  'FORBIDDEN',
  'INTERNAL'
])

/** The history of a run, as `ringset check` judges it. */
export class SimHistory {
  readonly lines: HistoryLine[] = []
  readonly #nowMs: () => number

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  add(process: string, type: LineType, f: string, key: string | null, value: unknown): void {
    this.lines.push({ time: Math.floor(this.#nowMs() * 1e6), process, type, f, key, value })
  }

  /** The end of an operation that failed: `fail` when it certainly did not happen. */
  failed(process: string, f: string, key: string, error: RingsetError): void {
    if (undeserved.has(error.code)) {
      throw new SimFailure('errors', `${f} of ${process} in ${key} ends with ${error.code}`)
    }
    this.lines.push({
      time: Math.floor(this.#nowMs() * 1e6),
      process,
      type: error.outcome === 'not-done' ? 'fail' : 'info',
      f,
      key,
      value: null,
      error: error.code
    })
  }
}

export function isFailure<T>(result: T | RingsetError): result is RingsetError {
  return result instanceof RingsetError
}
