import { type Command, Option } from 'commander'
import type { BenchReport, BenchRun } from '../../src/bench/bench.ts'
import { exitCodes } from '../failure.ts'
import { type JsonOptions, seconds, wholeNumber, withExample, withJson } from '../options.ts'
import { StopSignals } from '../stop-signals.ts'
import { grouped, note, paint, print, printJson, tableLines } from '../terminal.ts'

type BenchCommandOptions = JsonOptions & {
  readonly seconds: number
  readonly users: number
  readonly links: number
}

const suites = ['router', 'messages', 'idle', 'table'] as const
type Suite = (typeof suites)[number]

export function configureBench(command: Command): void {
  command
    .description(
      'Measures a cluster of its own on this machine, in a temporary folder.\n\n' +
        '  router    committed appends to one three-replica group, 1, 8, 64 and 512 in flight\n' +
        '  messages  chat messages between users of two sets: throughput, and latency at a fixed rate\n' +
        '  idle      memory of idle connections\n' +
        '  table     how a new routing table reaches all links, and what it costs a packet'
    )
    .argument('<suite>', suites.join(', '))
    .addOption(
      new Option('--seconds <seconds>', 'measured time of each row').argParser(seconds).default(10)
    )
    .addOption(
      new Option('--users <count>', 'users of messages and idle')
        .argParser(wholeNumber(2, 20_000))
        .default(500)
    )
    .addOption(
      new Option('--links <count>', 'links of table')
        .argParser(wholeNumber(1, 5_000))
        .default(1_000)
    )
  withExample(
    withJson(command),
    'ringset bench router',
    'ringset bench messages --seconds 20 --users 2000 --json'
  )
  command.action((suite: string, options: BenchCommandOptions) => {
    if (!isSuite(suite)) {
      command.error(`error: unknown suite ${suite}; there are ${suites.join(', ')}`)
    }
    return bench(suite, options)
  })
}

function isSuite(text: string): text is Suite {
  return suites.some(suite => suite === text)
}

async function bench(suite: Suite, options: BenchCommandOptions): Promise<void> {
  const startedMs = performance.now()
  const onProgress = (text: string): void => {
    const at = `${Math.round((performance.now() - startedMs) / 1_000)} s`.padStart(6)
    note(paint(`${at}  ${text}`, 'dim', process.stderr.isTTY === true))
  }
  const signals = new StopSignals()
  signals.stop.addEventListener('abort', () => {
    note('stopping')
    void interrupt().finally(() => process.exit(exitCodes.unreachable))
  })
  signals.hurry.addEventListener('abort', () => process.exit(exitCodes.unreachable))
  const report = await run(suite, { ...options, onProgress }).finally(() => signals.release())
  if (options.json) printJson(toJson(report))
  else printReport(report)
}

async function interrupt(): Promise<void> {
  await (await import('../../src/bench/bench-cluster.ts')).closeBenchClusters()
}

async function run(
  suite: Suite,
  options: BenchCommandOptions & { onProgress(text: string): void }
): Promise<BenchReport> {
  switch (suite) {
    case 'router':
      return (await import('../../src/bench/router-bench.ts')).benchRouter(options)
    case 'messages':
      return (await import('../../src/bench/messages-bench.ts')).benchMessages(options)
    case 'idle':
      return (await import('../../src/bench/idle-bench.ts')).benchIdle(options)
    case 'table':
      return (await import('../../src/bench/table-bench.ts')).benchTable(options)
  }
}

function toJson({ suite, acked, runs, environment }: BenchReport): unknown {
  return {
    suite,
    acked,
    results: runs.flatMap(({ rows, usage, driverCpuPercent, facts }) =>
      rows.length === 0
        ? [{ name: suite, ...facts }]
        : rows.map((row, i) => (i === 0 ? { ...row, usage, driverCpuPercent, ...facts } : row))
    ),
    environment
  }
}

function printReport({ suite, acked, runs, environment }: BenchReport): void {
  const { node, ringset, cpu, cores, memoryGiB, system } = environment
  print(paint(`bench ${suite}`, 'bold'))
  print(`counted: ${acked}`)
  print(`on: ringset ${ringset}, Node ${node}, ${cores} × ${cpu}, ${memoryGiB} GiB, ${system}`)
  print('load generator and all processes share this machine')
  print()
  const rows = runs.flatMap(({ rows }) => rows)
  if (rows.length > 0) {
    const head = ['', 'per second', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms', 'failed']
    const cells = rows.map(row => [
      row.name,
      grouped(row.perSecond),
      ms(row.p50Ms),
      ms(row.p99Ms),
      ms(row.p999Ms),
      ms(row.maxMs),
      row.failed
    ])
    for (const line of tableLines(head, cells)) print(line)
  }
  for (const run of runs) printUsage(run)
}

function printUsage({ rows, usage, driverCpuPercent, facts }: BenchRun): void {
  print()
  if (rows[0] !== undefined) print(paint(rows[0].name.trim(), 'bold'))
  for (const [name, value] of Object.entries(facts ?? {})) print(`  ${words(name)}: ${value}`)
  for (const { roles, processes, cpuPercent, rssMiB } of usage?.usage ?? []) {
    const cpu = `${Math.round(cpuPercent)} % of a core`
    print(`  ${processes} × ${roles}: ${cpu}, ${Math.round(rssMiB)} MiB`)
  }
  if (driverCpuPercent !== undefined) {
    print(`  load generator: ${Math.round(driverCpuPercent)} % of a core`)
  }
}

function ms(value: number): string {
  return value.toFixed(value < 10 ? 2 : 1)
}

/** syncsPerOperation → syncs per operation, connectedMiB → connected MiB */
function words(name: string): string {
  return name
    .replace(/MiB$/, ' MiB')
    .replaceAll(/(?<=[a-z])[A-Z](?=[a-z])/g, letter => ` ${letter.toLowerCase()}`)
}
