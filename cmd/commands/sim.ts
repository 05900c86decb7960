import { type Command, InvalidArgumentError, Option } from 'commander'
import { type Mutant, mutants } from '../../src/sim/mutants.ts'
import { type SimVerdict, simulate } from '../../src/sim/simulate.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, wholeNumber, withExample, withJson } from '../options.ts'
import { clean, grouped, paint, print, printJsonLine } from '../terminal.ts'

interface SimCommandOptions extends JsonOptions {
  readonly seed?: number
  readonly seeds?: readonly [number, number]
  readonly minutes: number
  readonly trace?: true
  readonly break?: Mutant
}

const seedMax = 1_000_000_000
const freshSeeds = 20
const minuteMs = 60_000

export function configureSim(command: Command): void {
  command
    .description(
      'Runs whole clusters with users in virtual time: every schedule, crash, cut and slow disk is drawn from the seed.\n' +
        'Equal seeds give equal runs. Without --seed or --seeds it takes fresh ones.'
    )
    .addOption(new Option('--seed <n>', 'one seed').argParser(wholeNumber(0, seedMax)))
    .addOption(
      new Option('--seeds <a..b>', 'every seed from a to b').argParser(range).conflicts('seed')
    )
    .addOption(
      new Option('--minutes <m>', 'virtual time under faults, for each seed')
        .argParser(minutes)
        .default(0.25)
    )
    .option('--trace', 'tell the story of the run')
    .addOption(
      new Option('--break <rule>', 'break a rule on purpose, to see that it is noticed').choices(
        mutants
      )
    )
  withExample(
    withJson(command),
    'ringset sim --seeds 1..100',
    'ringset sim --seed 42 --minutes 1 --trace'
  )
  command.action((options: SimCommandOptions) => sim(options))
}

function sim(options: SimCommandOptions): void {
  const [first, last] = seedsOf(options)
  const startedMs = performance.now()
  let failed = 0
  let virtualMs = 0
  for (let seed = first; seed <= last; seed++) {
    const verdict = simulate({
      seed,
      faultMs: options.minutes * minuteMs,
      mutant: options.break,
      story: options.trace === true && options.json !== true ? line => print(line) : undefined
    })
    virtualMs += verdict.virtualMs
    if (!verdict.ok) failed++
    const replay = replayOf(verdict, options)
    if (options.json) printJsonLine({ ...verdict, ...(verdict.ok ? {} : { replay }) })
    else printVerdict(verdict, replay)
  }
  if (failed > 0) process.exitCode = exitCodes.refused
  if (options.json) return
  const realMs = performance.now() - startedMs
  const runs = last - first + 1
  const times = `${grouped(Math.round(virtualMs / 1_000))} virtual seconds in ${grouped(Math.round(realMs / 1_000))}`
  const result = failed === 0 ? paint('ok', 'green') : paint(`${failed} FAILED`, 'red')
  print(`${result}: ${runs} seeds, ${times} (${Math.round(virtualMs / realMs)} times as fast)`)
}

function seedsOf({ seed, seeds }: SimCommandOptions): readonly [number, number] {
  if (seeds !== undefined) return seeds
  if (seed !== undefined) return [seed, seed]
  const first = Math.floor(Math.random() * (seedMax - freshSeeds))
  return [first, first + freshSeeds - 1]
}

function replayOf({ seed }: SimVerdict, options: SimCommandOptions): string {
  const broken = options.break === undefined ? '' : ` --break ${options.break}`
  return `ringset sim --seed ${seed} --minutes ${options.minutes}${broken} --trace`
}

function printVerdict(verdict: SimVerdict, replay: string): void {
  const { seed, ok, hash, events, virtualMs, acked, received, elections, counts } = verdict
  const mark = ok ? paint('ok    ', 'green') : paint('FAILED', 'red')
  const faults = Object.entries(counts)
    .filter(([name]) => name.startsWith('fault_'))
    .map(([name, count]) => `${name.slice('fault_'.length)} ${count}`)
  const numbers = [
    `${grouped(events)} events`,
    `${(virtualMs / 1_000).toFixed(1)} s`,
    `${grouped(acked)} acked`,
    `${grouped(received)} received`,
    `${elections} elections`
  ]
  print(`${mark}  seed ${seed}  ${hash}  ${numbers.join(', ')}`)
  print(`        ${paint(faults.join(', '), 'dim')}`)
  if (ok) return
  for (const line of (verdict.text ?? '').split('\n')) {
    print(`        ${paint(`${verdict.check}: ${clean(line)}`, 'red')}`)
  }
  print(`        replay: ${replay}`)
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
