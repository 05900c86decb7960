export type Level = 'ok' | 'warn' | 'fail'

/** What one check found; field names are stable. */
export interface Finding {
  /** Name of the check. */
  readonly check: string
  readonly level: Level
  readonly text: string
  /** What to do; empty when all is well. */
  readonly remedy: string
}

export const ok = (check: string, text: string): Finding => ({
  check,
  level: 'ok',
  text,
  remedy: ''
})

export const warn = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: 'warn',
  text,
  remedy
})

export const fail = (check: string, text: string, remedy: string): Finding => ({
  check,
  level: 'fail',
  text,
  remedy
})

/** Those that were found, or that all is well. */
export function orOk(findings: readonly Finding[], check: string, text: string): Finding[] {
  return findings.length > 0 ? [...findings] : [ok(check, text)]
}
