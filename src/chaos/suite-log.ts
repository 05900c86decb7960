import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { crc32OfString } from '../base/crc32.ts'
import { RingsetError } from '../base/errors.ts'
import type { Scenario } from './scenario.ts'
import { type SuiteRun, withElection } from './suite-rows.ts'

const fileName = 'runs.jsonl'
const count = z.int().min(0)
const times = z.array(z.number())
const percentiles = z.object({
  count,
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number()
})
const runSchema = z.object({
  scenario: z.string(),
  scenarioCrc32: count,
  seed: count,
  verdict: z.enum(['pass', 'fail', 'unknown', 'failed']),
  failures: z.array(z.string()),
  faults: count,
  seconds: count,
  seen: z
    .object({
      ack: percentiles,
      delivery: percentiles,
      detection: times,
      election: times.optional(),
      convergence: times.optional(),
      firstAck: times,
      firstDelivery: times,
      fullRate: times,
      wrongOnline: times,
      usersBack: times
    })
    .transform(seen => ({ ...seen, ...withElection<number[]>(seen, []) }))
    .optional()
})

/** A run, and what ran: a scenario that is another by now has not run yet. */
export interface LoggedRun extends SuiteRun {
  readonly scenarioCrc32: number
}

/** Tells a scenario, as it is run, from one that was changed or shortened. */
export function crc32OfScenario(scenario: Scenario): number {
  return crc32OfString(JSON.stringify(scenario))
}

/**
 * The runs that a suite has written down in its folder, one JSON line each. A last line that was not written to its end is left out.
 * Throws USAGE where there are none, or others than a suite writes.
 */
export function readSuiteLog(directory: string): LoggedRun[] {
  const file = join(directory, fileName)
  if (!existsSync(file)) {
    throw new RingsetError('USAGE', `${file}: there is no such file, so no suite to go on with`)
  }
  const lines = readFileSync(file, 'utf8').split('\n').slice(0, -1)
  return lines.map((line, i) => {
    const run = runSchema.safeParse(parsed(line))
    if (run.success) return { ...run.data, seen: run.data.seen }
    throw new RingsetError('USAGE', `${file}:${i + 1}: is no run of a suite of this version`)
  })
}

/** Whether a suite has left runs there. */
export function hasSuiteLog(directory: string): boolean {
  return existsSync(join(directory, fileName))
}

/** Begins, or goes on with these. */
export function startSuiteLog(directory: string, runs: readonly LoggedRun[]): void {
  mkdirSync(directory, { recursive: true })
  writeWhole(join(directory, fileName), runs.map(lineOf).join(''))
}

/** The file is as it was or as it is to be, whatever happens meanwhile. */
export function writeWhole(file: string, text: string): void {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

export function appendToSuiteLog(directory: string, run: LoggedRun): void {
  writeFileSync(join(directory, fileName), lineOf(run), { flag: 'a' })
}

function lineOf(run: LoggedRun): string {
  return `${JSON.stringify(run)}\n`
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
