import type { Judgement, JudgeName } from '../../src/check/check.ts'
import type { HistoryLine } from '../../src/check/history.ts'

/** The checks that failed. */
export function red(judgement: Judgement): JudgeName[] {
  return judgement.checks.filter(check => check.ok === false).map(check => check.name)
}

/** The checks that say unknown. */
export function undecided(judgement: Judgement): JudgeName[] {
  return judgement.checks.filter(check => check.ok === 'unknown').map(check => check.name)
}

/** Lines one nanosecond apart. */
export function at(
  ...lines: (Omit<HistoryLine, 'time' | 'key'> & { key?: string })[]
): HistoryLine[] {
  return lines.map((line, index) => ({ key: null, ...line, time: index }))
}

/** An observation. */
export function seen(f: string, value: unknown, process = 'n1') {
  return { process, type: 'ok', f, value } as const
}
