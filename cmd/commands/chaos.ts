import type { Command } from 'commander'
import { Option } from 'commander'
import type { ChaosReport } from '../../src/chaos/report.ts'
import type { ChaosProgress } from '../../src/chaos/run.ts'
import { runChaos } from '../../src/chaos/run.ts'
import { findScenario, shippedScenarios } from '../../src/chaos/scenario.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, seconds, wholeNumber, withExample, withJson } from '../options.ts'
import { clean, grouped, note, paint, print, printJson, tableLines } from '../terminal.ts'

interface RunOptions extends JsonOptions {
  readonly seed?: number
  readonly duration?: number
  readonly report?: string
}

const seedMax = 1_000_000_000

export function configureChaos(command: Command): void {
  command.description(
    'Failure drills on real processes: a cluster of its own, users and backends that load it, faults, and a verdict.'
  )
  const list = command.command('list').description('name the scenarios that come with the program')
  withExample(withJson(list), 'ringset chaos list')
  list.action(({ json }: JsonOptions) => listScenarios(json === true))

  const run = command
    .command('run')
    .description(
      'Runs a scenario and judges it. The processes and their folder are gone afterwards, also when it is interrupted.'
    )
    .argument('<scenario>', 'a name of chaos list, or a YAML file')
    .addOption(
      new Option('--seed <n>', 'who is hit and who writes to whom; drawn when not given').argParser(
        wholeNumber(0, seedMax)
      )
    )
    .addOption(new Option('--duration <s>', 'seconds of load with faults').argParser(seconds))
    .option('--report <dir>', 'write report.html, report.json, history.jsonl and logs there')
  withExample(
    withJson(run),
    'ringset chaos run leader-kill',
    'ringset chaos run leader-kill --seed 7 --report ./report'
  )
  run.action((scenario: string, options: RunOptions) => runScenario(scenario, options))
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
  print('Run one with: ringset chaos run NAME')
}

async function runScenario(nameOrFile: string, options: RunOptions): Promise<void> {
  const scenario = findScenario(nameOrFile)
  const { seed = Math.floor(Math.random() * seedMax), duration, report, json } = options
  const stop = new AbortController()
  const onSignal = (): void => {
    eraseLine()
    note('stopping: healing and cleaning up')
    stop.abort()
  }
  process.once('SIGINT', onSignal)
  process.once('SIGTERM', onSignal)
  note(`${scenario.name}, seed ${seed}: ${scenario.proves}`)
  const done = await runChaos({
    scenario,
    seed,
    seconds: duration,
    reportDirectory: report,
    onProgress: show,
    signal: stop.signal
  }).finally(eraseLine)
  process.off('SIGINT', onSignal)
  process.off('SIGTERM', onSignal)
  if (done.verdict !== 'pass') process.exitCode = exitCodes.refused
  if (json) printJson(contractOf(done))
  else printReport(done)
  if (report !== undefined) note(`report: ${report}/report.html`)
}

/** The fields that the command line promises, and the rest of the report but for its series. */
function contractOf(report: ChaosReport): object {
  const { scenario, seed, verdict, checks, messages, recoveryMs, faults, durationSeconds } = report
  const { acked, lost, duplicated } = messages
  return {
    scenario,
    seed,
    verdict,
    checks: checks.map(({ name, ok, detail }) => ({ name, ok, detail })),
    acked,
    lost,
    duplicated,
    recoveryMs,
    faults: faults.length,
    durationSeconds
  }
}

function show(progress: ChaosProgress): void {
  const { phase, secondsLeft, acked, delivered, ackedPerSecond, disturbed, event } = progress
  if (event !== undefined) {
    eraseLine()
    note(`  ${clean(event)}`)
  }
  if (!process.stderr.isTTY) return
  const words = [
    phase === 'load' ? `${Math.ceil(secondsLeft)} s left` : phase,
    `${grouped(acked)} acked`,
    `${grouped(delivered)} delivered`,
    `${grouped(ackedPerSecond)}/s`,
    ...(disturbed.length === 0 ? [] : [`hit: ${disturbed.join(', ')}`])
  ]
  process.stderr.write(`\r\u001b[K${words.join(' · ')}`)
}

function eraseLine(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

function printReport(report: ChaosReport): void {
  const { checks, messages, recoveryMs, verdict, seed, faults } = report
  const wide = Math.max(...checks.map(({ name }) => name.length))
  for (const { name, ok, detail, examples } of checks) {
    const mark =
      ok === true
        ? paint('ok     ', 'green')
        : ok === false
          ? paint('FAILED ', 'red')
          : paint('unknown', 'yellow')
    print(`${mark}  ${name.padEnd(wide)}  ${detail}`)
    for (const example of examples) print(`         ${paint(clean(example), 'dim')}`)
  }
  print()
  const rows = Object.entries(recoveryMs).map(([action, { elected, firstAck, firstDelivery }]) => {
    return [
      action,
      firstAck.count,
      ...[elected, firstAck, firstDelivery].flatMap(({ count, p50Ms, p99Ms }) =>
        count === 0 ? ['–', '–'] : [`${Math.round(p50Ms)} ms`, `${Math.round(p99Ms)} ms`]
      )
    ]
  })
  if (rows.length > 0) {
    const head = [
      'after',
      'seen',
      'leader p50',
      'p99',
      'first ack p50',
      'p99',
      'first delivery p50',
      'p99'
    ]
    for (const line of tableLines(head, rows)) print(line)
    print()
  }
  const { sent, acked, delivered, lost, duplicated, ack } = messages
  print(
    `${grouped(acked)} of ${grouped(sent)} messages acknowledged (p50 ${ack.p50Ms.toFixed(1)} ms, p99 ${ack.p99Ms.toFixed(1)} ms), ${grouped(delivered)} delivered, ${lost} lost, ${duplicated} duplicated`
  )
  const colour = verdict === 'pass' ? 'green' : verdict === 'fail' ? 'red' : 'yellow'
  print(`${paint(verdict, colour)}: ${faults.length} faults, seed ${seed}`)
}
