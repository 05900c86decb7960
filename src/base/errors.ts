import { type ErrorCode, errorCodes } from './error-codes.ts'

/** Facts of an error, for programs; never parsed out of the text. */
export type ErrorFacts = Readonly<Record<string, string | number | boolean | undefined>>

/** The one error class of ringset. Compare `code`, never the text. */
export class RingsetError extends Error {
  readonly code: ErrorCode
  readonly facts: ErrorFacts

  constructor(code: ErrorCode, text?: string, facts: ErrorFacts = {}, cause?: unknown) {
    super(text ?? errorCodes[code].summary, cause === undefined ? undefined : { cause })
    this.name = 'RingsetError'
    this.code = code
    this.facts = facts
  }

  /** `not-done` when the request certainly had no effect, else `unknown`. */
  get outcome(): 'not-done' | 'unknown' {
    return errorCodes[this.code].outcome
  }

  /** What the reader can do about it. */
  get remedy(): string {
    return errorCodes[this.code].remedy
  }
}

/** A broken invariant: crash beats lying, so this stays on in production. */
export function assert(
  condition: unknown,
  text: string,
  facts: ErrorFacts = {}
): asserts condition {
  if (!condition) throw new RingsetError('INTERNAL', `invariant broken: ${text}`, facts)
}
