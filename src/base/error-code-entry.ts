/**
 * Every error a ringset process or SDK can report. The name is the stable contract (`ringset explain NAME`), the number is
 * what travels in packets and is never re-used; text may change.
 *
 * `outcome` tells a caller what it may conclude: `not-done` = the request certainly had no effect, `unknown` = it may have
 * taken effect and must be retried with the same idempotency id.
 */
export interface ErrorCodeEntry {
  readonly number: number
  readonly outcome: 'not-done' | 'unknown'
  /** Whether the same request, unchanged, may succeed later. */
  readonly retry: boolean
  readonly summary: string
  readonly remedy: string
}

export function entry(
  number: number,
  outcome: ErrorCodeEntry['outcome'],
  retry: boolean,
  summary: string,
  remedy: string
): ErrorCodeEntry {
  return { number, outcome, retry, summary, remedy }
}
