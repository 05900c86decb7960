import type { Command } from 'commander'
import { InvalidArgumentError, Option } from 'commander'
import { RingsetError } from '../../src/base/errors.ts'
import type { AttachOptions } from '../../src/chaos/attach.ts'
import { compareRuns, readRuns } from '../../src/chaos/compare.ts'
import type { RollWork } from '../../src/chaos/operations.ts'
import { runChaos } from '../../src/chaos/run.ts'
import { findScenario, firstFaultSeconds, shippedScenarios } from '../../src/chaos/scenario.ts'
import { runSuite, seedMax } from '../../src/chaos/suite.ts'
import { type LoggedRun, readSuiteLog } from '../../src/chaos/suite-log.ts'
import { setsOn } from '../../src/chaos/targets.ts'
import { Roll } from '../../src/roll/roll.ts'
import {
  contractOf,
  eraseLine,
  printComparison,
  printReport,
  printSuite,
  showProgress
} from '../chaos-output.ts'
import { exitCodes } from '../failure.ts'
import {
  type JsonOptions,
  seconds,
  type TargetOptions,
  wholeNumber,
  withExample,
  withJson,
  withTarget
} from '../options.ts'
import { makeReportFolder } from '../report-folder.ts'
import { StopSignals } from '../stop-signals.ts'
import { note, print, printJson, tableLines } from '../terminal.ts'

interface SeedOptions extends JsonOptions {
  readonly seed?: number
  readonly report?: string
}

interface RunOptions extends SeedOptions, TargetOptions {
  readonly duration?: number
  readonly netns?: true
  readonly attach?: true
  readonly acceptOutages?: true
  readonly acceptDamagedData?: true
}

interface SuiteCommandOptions extends SeedOptions {
  readonly minutes?: number
  readonly runs: number
  readonly only?: readonly string[]
  readonly resume?: true
}

const runsMax = 1_000

export function configureChaos(command: Command): void {
  command.description(
    'Failure drills on real processes: a cluster of its own, users and backends that load it, faults, and a verdict.'
  )
  const list = command.command('list').description('name the scenarios that come with the program')
  withExample(withJson(list), 'ringset chaos list')
  list.action(({ json }: JsonOptions) => listScenarios(json === true))
  configureRun(command.command('run'))
  configureSuite(command.command('suite'))
  const compare = command
    .command('compare')
    .description(
      'Puts two reports side by side and says what got worse. Exit code 1 when a scenario that passed in the first does not in the second.'
    )
    .argument('<before>', 'report folder of a drill or a suite, or its JSON file')
    .argument('<after>', 'another one')
  withExample(withJson(compare), 'ringset chaos compare ./yesterday ./today')
  compare.action((before: string, after: string, { json }: JsonOptions) =>
    compareReports(before, after, json === true)
  )
}

function configureRun(command: Command): void {
  command
    .description(
      'Runs a scenario on a throw-away cluster and judges it. The processes and their folder are gone afterwards, also when it is interrupted. With --attach it hurts a cluster that runs already, and mends it.'
    )
    .argument('<scenario>', 'a name of chaos list, or a YAML file')
    .addOption(seedOption())
    .addOption(new Option('--duration <s>', 'seconds of load with faults').argParser(seconds))
    .option('--report <dir>', 'write report.html, report.json, history.jsonl and logs there')
    .option(
      '--netns',
      'a network namespace for each node, in which links are cut and shaped by the system (Linux, root)'
    )
    .option('--attach', 'on the cluster that --data or --connect name; its users will notice')
    .option('--accept-outages', 'with --attach: yes, hurt it')
    .option(
      '--accept-damaged-data',
      'with --attach: yes, also damage data folders where the scenario says so'
    )
  withExample(
    withJson(withTarget(command)),
    'ringset chaos run leader-kill',
    'ringset chaos run leader-kill --seed 7 --report ./report',
    'ringset chaos run leader-kill --attach --data .ringset --accept-outages'
  )
  command.action((scenario: string, options: RunOptions) => runScenario(scenario, options))
}

function configureSuite(command: Command): void {
  command
    .description(
      'Runs scenarios one after the other and prints one table. Exit code 0 only if all of them ran and passed.'
    )
    .addOption(
      new Option(
        '--minutes <m>',
        'for all of them together; they are shortened to fit (default: each as long as it is written)'
      ).argParser(minutes)
    )
    .addOption(
      new Option('--only <names>', 'these only, with commas between them').argParser(names)
    )
    .addOption(
      new Option('--runs <n>', 'so often each, with the next seed every time')
        .argParser(wholeNumber(1, runsMax))
        .default(1)
    )
    .addOption(seedOption())
    .option(
      '--report <dir>',
      'write suite.json and runs.jsonl there, and the report of each in a folder of its own; with --runs of those that did not pass'
    )
    .option(
      '--resume',
      'go on with the suite of the report folder: what it has run is not run again'
    )
  withExample(
    withJson(command),
    'ringset chaos suite --minutes 15 --report ./today',
    'ringset chaos suite --only leader-kill,zone-down',
    'ringset chaos suite --runs 20 --seed 1 --report ./soak',
    'ringset chaos suite --runs 20 --report ./soak --resume'
  )
  command.action(suite)
}

function seedOption(): Option {
  const about = 'who is hit and who writes to whom; drawn when not given'
  return new Option('--seed <n>', about).argParser(wholeNumber(0, seedMax))
}

function minutes(text: string): number {
  const value = /^\d{1,5}(\.\d{1,2})?$/.test(text) ? Number(text) : Number.NaN
  if (value > 0) return value
  throw new InvalidArgumentError('It must be a number of minutes above 0.')
}

function names(text: string): string[] {
  const found = text.split(',').map(name => name.trim())
  if (found.every(name => name !== '')) return [...new Set(found)]
  throw new InvalidArgumentError('It must be names with commas between them.')
}

function listScenarios(json: boolean): void {
  const scenarios = shippedScenarios()
  if (json) {
    printJson(scenarios)
    return
  }
  const rows = scenarios.map(({ name, seconds: length, proves }) => [name, `${length} s`, proves])
  for (const line of tableLines(['scenario', 'load', 'proves'], rows)) print(line)
  print()
  print('Run one with: ringset chaos run NAME, all of them with: ringset chaos suite')
}

async function runScenario(nameOrFile: string, options: RunOptions): Promise<void> {
  const scenario = findScenario(nameOrFile)
  const { seed = drawnSeed(), duration = scenario.seconds, report, json } = options
  const firstSeconds = firstFaultSeconds(scenario)
  if (duration <= firstSeconds) {
    const text = `--duration ${duration} is over before the first fault, which comes after ${firstSeconds} s`
    throw new RingsetError('USAGE', text)
  }
  const attach = attachOptions(options)
  if (report !== undefined) makeReportFolder(report)
  note(`${scenario.name}, seed ${seed}: ${scenario.proves}`)
  const done = await stoppable(signal =>
    runChaos({
      scenario,
      seed,
      seconds: duration,
      reportDirectory: report,
      onProgress: showProgress,
      roll: rollNodes,
      attach,
      netns: options.netns,
      signal
    })
  )
  if (done.verdict !== 'pass') process.exitCode = exitCodes.refused
  if (json) printJson(contractOf(done))
  else printReport(done)
  if (report !== undefined) note(`report: ${report}/report.html`)
}

/** Undefined without --attach. Throws USAGE for options that would say nothing. */
function attachOptions(options: RunOptions): AttachOptions | undefined {
  const { attach, data, connect, credential } = options
  const acceptOutages = options.acceptOutages === true
  const acceptDamage = options.acceptDamagedData === true
  if (attach && options.netns) {
    throw new RingsetError('USAGE', '--netns is for a cluster of the drill: leave --attach away')
  }
  if (attach) return { data, connect, credential, acceptOutages, acceptDamage }
  if (acceptOutages || acceptDamage) {
    throw new RingsetError('USAGE', 'consent is for --attach: a drill on its own hurts nobody')
  }
  return undefined
}

async function suite(options: SuiteCommandOptions): Promise<void> {
  const { minutes: budget, runs, only, report, json } = options
  const known = knownRuns(options)
  const { seed = known?.[0]?.seed ?? drawnSeed() } = options
  const scenarios =
    only?.map(findScenario) ?? shippedScenarios().filter(({ byNameOnly }) => !byNameOnly)
  const twice = scenarios.find(({ name }, i) => scenarios.findIndex(one => one.name === name) < i)
  if (twice !== undefined) {
    throw new RingsetError('USAGE', `two of the scenarios are called ${twice.name}`)
  }
  if (report !== undefined) makeReportFolder(report)
  const count = scenarios.length * runs
  const done = await stoppable(signal =>
    runSuite({
      scenarios,
      runs,
      seed,
      budgetSeconds: budget === undefined ? undefined : budget * 60,
      known,
      reportDirectory: report,
      onScenario: ({ name, proves }, own, i) =>
        note(`[${i + 1}/${count}] ${name}, seed ${own}: ${proves}`),
      onRun: ({ scenario, verdict, failures }) =>
        note(`  ${scenario}: ${[verdict, ...failures].join(', ')}`),
      onProgress: showProgress,
      roll: rollNodes,
      signal
    })
  )
  if (done.verdict !== 'pass') process.exitCode = exitCodes.refused
  if (json) printJson(done)
  else printSuite(done)
  if (report !== undefined) note(`report: ${report}/suite.json`)
}

/** Of the suite to go on with; undefined without --resume. Throws USAGE. */
function knownRuns({
  resume,
  report,
  minutes: budget
}: SuiteCommandOptions): LoggedRun[] | undefined {
  if (!resume) return undefined
  if (report === undefined) {
    throw new RingsetError('USAGE', '--resume goes on with the suite of a --report folder')
  }
  if (budget !== undefined) {
    throw new RingsetError('USAGE', '--resume takes the time it needs: leave --minutes away')
  }
  const known = readSuiteLog(report)
  note(`${report} has ${known.length} ${known.length === 1 ? 'run' : 'runs'}`)
  return known
}

function compareReports(before: string, after: string, json: boolean): void {
  const comparison = compareRuns(readRuns(before), readRuns(after))
  if (comparison.broken.length > 0) process.exitCode = exitCodes.refused
  if (json) printJson(comparison)
  else printComparison(comparison)
}

function drawnSeed(): number {
  return Math.floor(Math.random() * seedMax)
}

/** Ctrl-C, however often, stops the work and lets it clean up after itself. */
async function stoppable<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signals = new StopSignals()
  signals.stop.addEventListener('abort', () => {
    eraseLine()
    note('stopping: healing and cleaning up')
  })
  try {
    return await work(signals.stop)
  } finally {
    eraseLine()
    signals.release()
  }
}

/** The sets that have a role on the nodes, as `ringset roll --sets` does; with all nodes, everything. */
const rollNodes: RollWork = async (cluster, nodes, signal) => {
  const { config } = cluster
  const sets = setsOn(nodes, config)
  const all = nodes.length === config.nodes.length
  const work = new Roll(cluster, {
    sets: all ? undefined : sets,
    signal,
    onProgress: () => {},
    onNode: () => {}
  })
  await work.check()
  await work.run()
}
