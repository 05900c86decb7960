import { writeFileSync } from 'node:fs'
import { setImmediate as breath } from 'node:timers/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import type { HistoryLine } from '../../src/check/history.ts'
import { type Mark, Marks } from '../../src/sim/marks.ts'
import { mutants } from '../../src/sim/mutants/registry.ts'
import { shrink } from '../../src/sim/shrink.ts'
import { type SimOptions, type SimVerdict, simulate } from '../../src/sim/simulate.ts'
import { drawSwarm, type Swarm } from '../../src/sim/swarm.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, seconds, wholeNumber, withExample, withJson } from '../options.ts'
import { print, printJson } from '../terminal.ts'
import { printFailure, printSummary, printVerdict, showProgress, storyOf } from './sim-output.ts'

export interface SimCommandOptions extends JsonOptions {
  readonly seed?: number
  readonly seeds?: readonly [number, number]
  readonly minutes?: number
  readonly seconds: number
  readonly faults?: readonly number[]
  readonly world?: Partial<Swarm>
  readonly trace?: true
  readonly history?: string
  readonly break?: string
  readonly shrink: boolean
}

/** A seed that broke a rule, and the command that shows it again. */
export interface SimFailureReport {
  readonly seed: number
  readonly check: string
  readonly text: string
  readonly replay: string
}

/** What all seeds of a call came to. */
export interface SimSummary {
  readonly seeds: number
  readonly failures: readonly SimFailureReport[]
  readonly virtualSeconds: number
  readonly realSeconds: number
  readonly events: number
  /** How often the runs came into rare situations. */
  readonly marks: Readonly<Partial<Record<Mark, number>>>
  /** Those that none of them came into. */
  readonly missing: readonly Mark[]
}

const seedMax = 1_000_000_000
const freshSeeds = 20
const shrinkRunsMax = 80

export function configureSim(command: Command): void {
  command
    .description(
      'Runs whole clusters with users in virtual time: every schedule, crash, cut and bad disk is drawn from the seed.\n' +
        'Equal seeds give equal runs. Without --seed or --seeds it takes fresh ones. A seed that breaks a rule is run again\n' +
        'with fewer faults and a plainer world until little is left that still breaks it.'
    )
    .addOption(new Option('--seed <n>', 'one seed').argParser(wholeNumber(0, seedMax)))
    .addOption(
      new Option('--seeds <a..b>', 'every seed from a to b').argParser(range).conflicts('seed')
    )
    .addOption(
      new Option('--minutes <m>', 'fresh seeds for so many minutes; Ctrl-C ends it earlier')
        .argParser(minutes)
        .conflicts(['seed', 'seeds'])
    )
    .addOption(
      new Option('--seconds <s>', 'virtual time under faults, for each seed')
        .argParser(seconds)
        .default(15)
    )
    .option('--trace', 'tell the story of the run')
    .option('--history <file>', 'write the history of the run, for ringset check; needs --seed')
    .addOption(
      new Option('--faults <numbers>', 'only these faults of the seed, as 3,17 or none').argParser(
        faultNumbers
      )
    )
    .addOption(
      new Option('--world <json>', 'in place of what the seed draws, as {"users":2}').argParser(
        world
      )
    )
    .addOption(
      new Option('--break <rule>', 'break a rule on purpose, to see that it is noticed').choices(
        mutants.map(({ name }) => name)
      )
    )
    .option('--no-shrink', 'do not look for a smaller run that fails too')
  withExample(
    withJson(command),
    'ringset sim --seeds 1..100',
    'ringset sim --minutes 60',
    'ringset sim --seed 42 --trace'
  )
  command.action((options: SimCommandOptions) => sim(options))
}

async function sim(options: SimCommandOptions): Promise<void> {
  if (options.history !== undefined && options.seed === undefined) {
    throw new RingsetError('USAGE', '--history needs --seed: one history is of one run')
  }
  let stopped = false
  process.once('SIGINT', () => {
    stopped = true
  })
  const startedMs = performance.now()
  const failures: SimFailureReport[] = []
  const total = { seeds: 0, virtualSeconds: 0, events: 0 }
  const marks = new Marks()
  const summaryOf = (): SimSummary => ({
    ...total,
    failures,
    realSeconds: (performance.now() - startedMs) / 1_000,
    marks: marks.counts,
    missing: marks.missing
  })
  for (const seed of seedsOf(options)) {
    const verdict = run(seed, options)
    total.seeds++
    total.virtualSeconds += verdict.virtualMs / 1_000
    total.events += verdict.events
    marks.add(verdict.marks)
    if (options.json !== true) printVerdict(verdict)
    if (!verdict.ok) failures.push(report(verdict, options))
    showProgress(summaryOf())
    await breath()
    if (stopped) break
  }
  const summary = summaryOf()
  if (failures.length > 0) process.exitCode = exitCodes.refused
  if (options.json) printJson(summary)
  else printSummary(summary)
}

function run(seed: number, options: SimCommandOptions): SimVerdict {
  const { history } = options
  return simulate({
    ...simOptions(seed, options),
    story: options.trace && !options.json ? line => print(line) : undefined,
    history: history === undefined ? undefined : lines => writeHistory(history, lines)
  })
}

function simOptions(seed: number, options: SimCommandOptions): SimOptions {
  const { faults, world: swarm, break: mutant } = options
  return { seed, faultMs: options.seconds * 1_000, mutant, swarm, faults }
}

function report(verdict: SimVerdict, options: SimCommandOptions): SimFailureReport {
  const whole = simOptions(verdict.seed, options)
  const { options: smallest, verdict: last } = options.shrink
    ? shrink(whole, verdict, simulate, shrinkRunsMax)
    : { options: whole, verdict }
  const failure = {
    seed: verdict.seed,
    check: last.check ?? '',
    text: last.text ?? '',
    replay: replayOf(smallest)
  }
  if (options.json !== true) printFailure(failure, last, storyOf(smallest))
  return failure
}

function replayOf({ seed, faultMs, faults, swarm, mutant }: SimOptions): string {
  const words = [`ringset sim --seed ${seed} --seconds ${faultMs / 1_000}`]
  if (faults !== undefined) words.push(`--faults ${faults.join(',') || 'none'}`)
  if (swarm !== undefined) words.push(`--world '${JSON.stringify(swarm)}'`)
  if (mutant !== undefined) words.push(`--break ${mutant}`)
  return `${words.join(' ')} --no-shrink --trace`
}

function* seedsOf({ seed, seeds, minutes }: SimCommandOptions): Generator<number> {
  if (seed !== undefined) {
    yield seed
    return
  }
  const fresh = Math.floor(Math.random() * (seedMax / 2))
  const [first, last] = seeds ?? [fresh, minutes === undefined ? fresh + freshSeeds - 1 : seedMax]
  const untilMs =
    minutes === undefined ? Number.POSITIVE_INFINITY : performance.now() + minutes * 60_000
  for (let next = first; next <= last && performance.now() < untilMs; next++) yield next
}

function writeHistory(file: string, lines: readonly HistoryLine[]): void {
  try {
    writeFileSync(file, lines.map(line => `${JSON.stringify(line)}\n`).join(''))
  } catch (cause) {
    throw new RingsetError('USAGE', `${file} cannot be written`, { file }, cause)
  }
}

function range(text: string): readonly [number, number] {
  const [, first, last] = /^(\d{1,9})\.\.(\d{1,9})$/.exec(text) ?? []
  if (first !== undefined && Number(first) <= Number(last)) return [Number(first), Number(last)]
  throw new InvalidArgumentError('It must be two numbers like 1..100, the lower first.')
}

function minutes(text: string): number {
  const value = /^\d{1,6}(\.\d{1,3})?$/.test(text) ? Number(text) : Number.NaN
  if (value > 0) return value
  throw new InvalidArgumentError('It must be a number of minutes above 0.')
}

function faultNumbers(text: string): readonly number[] {
  if (text === 'none') return []
  const numbers = text.split(',').map(Number)
  if (numbers.every(number => Number.isInteger(number) && number > 0)) return numbers
  throw new InvalidArgumentError('It must be numbers like 3,17, or none.')
}

/** Values of the right kind for names that exist; what they mean together nobody checks. */
function world(text: string): Partial<Swarm> {
  const known: object = drawSwarm(0)
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    given = undefined
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new InvalidArgumentError('It must be a JSON object like {"users":2}.')
  }
  const kinds = new Map(Object.entries(known).map(([name, value]) => [name, typeof value]))
  for (const [name, value] of Object.entries(given)) {
    if (kinds.get(name) === typeof value) continue
    const names = [...kinds.keys()].join(', ')
    throw new InvalidArgumentError(`"${name}" does not fit. There are ${names}.`)
  }
  return given
}
