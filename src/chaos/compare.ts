import { existsSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { RingsetError } from '../base/errors.ts'
import { measuresOf, type SuiteMeasures, timesSeenIn, withElection } from './suite-rows.ts'

/** What a report says of one scenario. */
export interface ComparedRun {
  readonly scenario: string
  readonly verdict: string
  readonly measures: SuiteMeasures
}

/** One figure of a scenario in two reports. */
export interface ComparedFigure {
  readonly scenario: string
  /** `first-ack p99` and the like, in milliseconds. */
  readonly measure: string
  readonly before: number
  readonly after: number
  /** `after` as a multiple of `before`; null when that was 0. */
  readonly ratio: number | null
  readonly change: 'better' | 'worse' | 'same'
}

export interface Comparison {
  readonly figures: readonly ComparedFigure[]
  readonly verdicts: readonly {
    readonly scenario: string
    readonly before: string
    readonly after: string
  }[]
  /** Scenarios that only one of the two has. */
  readonly onlyBefore: readonly string[]
  readonly onlyAfter: readonly string[]
  /** Scenarios that passed before and do not now. */
  readonly broken: readonly string[]
}

/** Drills on one machine differ so much from run to run without any cause. */
const noiseTimes = 1.3
const noiseMs = 30
const notRunVerdict = 'not run'
const maxFileBytes = 512 * 1024 * 1024

const measureNames: readonly (readonly [keyof SuiteMeasures, string])[] = [
  ['ack', 'ack'],
  ['delivery', 'delivery'],
  ['detection', 'detection'],
  ['election', 'election'],
  ['convergence', 'convergence'],
  ['firstAck', 'first-ack'],
  ['firstDelivery', 'first-delivery'],
  ['fullRate', 'full-rate'],
  ['wrongOnline', 'wrong-online'],
  ['usersBack', 'users-back']
]

const figures = z.object({
  count: z.number(),
  p50Ms: z.number(),
  p99Ms: z.number(),
  maxMs: z.number()
})
/** What is not in reports of older versions. */
const none = { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0 }
const suiteSchema = z.object({
  format: z.literal(1),
  notRun: z.array(z.string()).default([]),
  rows: z.array(
    z.object({
      scenario: z.string(),
      verdict: z.string(),
      measures: z
        .object({
          ack: figures,
          delivery: figures,
          detection: figures,
          election: figures.optional(),
          convergence: figures.optional(),
          firstAck: figures,
          firstDelivery: figures,
          fullRate: figures,
          wrongOnline: figures,
          usersBack: figures.default(none)
        })
        .transform(seen => ({ ...seen, ...withElection(seen, none) }))
    })
  )
})
const known = z.number().nullable()
const reportSchema = z.object({
  format: z.literal(2),
  scenario: z.string(),
  verdict: z.string(),
  messages: z.object({ ack: figures, delivery: figures }),
  recoveries: z.array(
    z.object({
      detectedMs: known.default(null),
      electedMs: known,
      convergedMs: known.default(null),
      firstAckMs: known,
      firstDeliveryMs: known,
      fullRateMs: known
    })
  ),
  wrongOnline: z.array(z.object({ ms: z.number() })),
  usersBack: z.array(z.object({ ms: z.array(z.number()) })).default([])
})

/** @param path a report's folder, of one drill or of a suite, or its JSON file. Throws USAGE. */
export function readRuns(path: string): ComparedRun[] {
  const file = jsonFileOf(path)
  const fail = (why: string): never => {
    throw new RingsetError('USAGE', `${file}: ${why}`, { file })
  }
  let content: unknown
  try {
    if (statSync(file).size > maxFileBytes) fail('is too large for a report')
    content = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    if (error instanceof RingsetError) throw error
    return fail('is not JSON')
  }
  const suite = suiteSchema.safeParse(content)
  if (suite.success) return suiteRuns(suite.data)
  const report = reportSchema.safeParse(content)
  if (!report.success) return fail('is no report of a drill or a suite of this version')
  const { scenario, verdict } = report.data
  return [{ scenario, verdict, measures: measuresOf([timesSeenIn(report.data)]) }]
}

/** A scenario of which runs were left out, or all, has not passed. */
function suiteRuns({ rows, notRun }: z.infer<typeof suiteSchema>): ComparedRun[] {
  const ran = rows.map(row => {
    const cutOff = row.verdict === 'pass' && notRun.includes(row.scenario)
    return cutOff ? { ...row, verdict: notRunVerdict } : row
  })
  const names = rows.map(({ scenario }) => scenario)
  const others = notRun.filter(name => !names.includes(name))
  const measures = measuresOf([])
  return [...ran, ...others.map(scenario => ({ scenario, verdict: notRunVerdict, measures }))]
}

function jsonFileOf(path: string): string {
  if (!existsSync(path)) throw new RingsetError('USAGE', `${path}: there is no such file or folder`)
  if (!statSync(path).isDirectory()) return path
  const found = ['suite.json', 'report.json'].map(name => join(path, name)).find(existsSync)
  if (found !== undefined) return found
  throw new RingsetError('USAGE', `${path}: has neither report.json nor suite.json`)
}

export function compareRuns(
  before: readonly ComparedRun[],
  after: readonly ComparedRun[]
): Comparison {
  const pairs = before.flatMap(one => {
    const other = after.find(({ scenario }) => scenario === one.scenario)
    return other === undefined ? [] : [{ scenario: one.scenario, before: one, after: other }]
  })
  const names = (runs: readonly ComparedRun[]) => runs.map(({ scenario }) => scenario)
  const without = (some: readonly string[], others: readonly string[]) =>
    some.filter(name => !others.includes(name))
  const verdicts = pairs.map(pair => {
    return { scenario: pair.scenario, before: pair.before.verdict, after: pair.after.verdict }
  })
  const broken = verdicts.filter(pair => pair.before === 'pass' && pair.after !== 'pass')
  return {
    figures: pairs.flatMap(pair => figuresOf(pair.scenario, pair.before, pair.after)),
    verdicts,
    onlyBefore: without(names(before), names(after)),
    onlyAfter: without(names(after), names(before)),
    broken: broken.map(({ scenario }) => scenario)
  }
}

function figuresOf(scenario: string, before: ComparedRun, after: ComparedRun): ComparedFigure[] {
  return measureNames.flatMap(([field, name]) => {
    const [old, now] = [before.measures[field], after.measures[field]]
    if (old.count === 0 || now.count === 0) return []
    return (['p50Ms', 'p99Ms'] as const).map(percentile => {
      const measure = `${name} ${percentile.slice(0, 3)}`
      return figure(scenario, measure, old[percentile], now[percentile])
    })
  })
}

function figure(scenario: string, measure: string, before: number, after: number): ComparedFigure {
  const grew = after > before * noiseTimes && after - before > noiseMs
  const fell = before > after * noiseTimes && before - after > noiseMs
  const ratio = before === 0 ? null : after / before
  return {
    scenario,
    measure,
    before,
    after,
    ratio,
    change: grew ? 'worse' : fell ? 'better' : 'same'
  }
}
