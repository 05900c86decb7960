import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { ChaosReport } from '../src/chaos/report.ts'
import { type BrokenBuild, brokenBuilds } from './broken-build/builds.ts'

/**
 * Drills against real processes of builds that each break one rule, and demands that an expected check fails within the seeds, and that the
 * same drill passes with whole nodes: `npm run test:broken-builds [-- NAME …]`. RINGSET_BROKEN_SEEDS is the budget,
 * RINGSET_BROKEN_SECONDS the length of a drill. See docs/testing.md.
 */
const budget = Number(process.env.RINGSET_BROKEN_SEEDS ?? 3)
const seconds = Number(process.env.RINGSET_BROKEN_SECONDS ?? 12)
const patienceMs = 300_000
const names = process.argv.slice(2)
const root = fileURLToPath(new URL('..', import.meta.url))
const built = join(root, '.ringset-broken')
const folder = join(root, 'test/broken-build')
/** Raised by Ctrl-C: the drill clears up what it started, then this what it built. */
const stop = new AbortController()

interface Drill {
  /** Undefined: it could not be carried out. */
  readonly report: ChaosReport | undefined
  /** What it said last, for whoever wants to know why. */
  readonly said: string
  readonly seconds: number
}

/** @param name of a broken build; empty: the same program with every rule intact. */
async function drill(scenario: string, seed: number, name: string): Promise<Drill> {
  const startedMs = performance.now()
  const directory = mkdtempSync(join(tmpdir(), 'ringset-broken-'))
  const own = join(folder, scenario)
  const named = existsSync(own) ? own : scenario
  const words = ['chaos', 'run', named, '--seed', `${seed}`, '--duration', `${seconds}`]
  const preload = pathToFileURL(join(built, 'test/broken-build/preload.js')).href
  try {
    const child = spawn(
      process.execPath,
      [join(built, 'cmd/ringset.js'), ...words, '--report', directory, '--json'],
      {
        env: {
          ...process.env,
          NODE_OPTIONS: `--import ${preload}`,
          RINGSET_BROKEN_BUILD: name
        },
        stdio: ['ignore', 'ignore', 'pipe'],
        timeout: patienceMs,
        signal: stop.signal,
        killSignal: 'SIGINT'
      }
    )
    let said = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-2_000)
    })
    // What it was aborted for; it is waited for all the same.
    child.on('error', () => {})
    await new Promise(resolve => child.once('close', resolve))
    stop.signal.throwIfAborted()
    const file = join(directory, 'report.json')
    const report = existsSync(file)
      ? (JSON.parse(readFileSync(file, 'utf8')) as ChaosReport)
      : undefined
    if (report !== undefined) mustHaveRun(join(directory, 'logs'), name)
    return { report, said, seconds: (performance.now() - startedMs) / 1_000 }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A build that was not in force proves nothing. */
function mustHaveRun(logs: string, name: string): void {
  const mark = `{"level":"warn","event":"broken_build","name":${JSON.stringify(name)}}`
  for (const file of readdirSync(logs)) {
    const text = readFileSync(join(logs, file), 'utf8')
    if (!text.includes(mark)) throw new Error(`${file} does not say that it ran ${mark}`)
  }
}

/** Names of checks, or the error that kept the drill from its end: nodes that would rather stop than lie end it with NODE_FAILED. */
function failedChecks({ report, said }: Drill): string[] {
  if (report !== undefined) {
    return report.checks.filter(({ ok }) => ok === false).map(({ name }) => name)
  }
  const [, code = 'no report'] = /"code":"([A-Z_]+)"/.exec(said) ?? []
  return [code]
}

function row(cells: readonly [string, string, string, string, string]): void {
  const [name, scenario, seed, took, noticed] = cells
  const figures = `${seed.padStart(4)} ${took.padStart(7)}`
  console.log(`${name.padEnd(22)} ${scenario.padEnd(28)} ${figures}  ${noticed}`)
}

/** Whether some seed is noticed by an expected check. */
async function judge({ name, scenario, noticedBy }: BrokenBuild): Promise<boolean> {
  for (let seed = 1; seed <= budget; seed++) {
    const done = await drill(scenario, seed, name)
    const failed = failedChecks(done)
    const caught = failed.some(check => noticedBy.includes(check))
    const others = failed.length === 0 ? 'nothing' : failed.join(', ')
    const noticed = caught || failed.length === 0 ? others : `${others} (unexpected)`
    row([name, scenario, `${seed}`, done.seconds.toFixed(0), noticed])
    if (caught) return true
  }
  row([name, scenario, '-', '-', 'SURVIVED'])
  return false
}

/** With every rule intact none of the checks that are to notice may fail; how long things take on this machine is no matter. */
async function passes(scenario: string, builds: readonly BrokenBuild[]): Promise<boolean> {
  const done = await drill(scenario, 1, '')
  const failed = failedChecks(done)
  const alarms = failed.filter(check => builds.some(one => one.noticedBy.includes(check)))
  const { verdict = 'no report' } = done.report ?? {}
  row(['(none)', scenario, '1', done.seconds.toFixed(0), [verdict, ...failed].join(', ')])
  return done.report !== undefined && alarms.length === 0
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => stop.abort())

const unknown = names.filter(name => !brokenBuilds.some(build => build.name === name))
if (unknown.length > 0) throw new Error(`no such broken build: ${unknown.join(', ')}`)
const chosen = brokenBuilds.filter(({ name }) => names.length === 0 || names.includes(name))

try {
  execFileSync(process.execPath, [
    join(root, 'node_modules/typescript/bin/tsc'),
    '-p',
    join(folder, 'tsconfig.json')
  ])
  row(['broken rule', 'drill', 'seed', 'seconds', 'checks that failed'])
  let bad = 0
  for (const scenario of new Set(chosen.map(one => one.scenario))) {
    const builds = chosen.filter(one => one.scenario === scenario)
    if (!(await passes(scenario, builds))) bad++
    for (const build of builds) if (!(await judge(build))) bad++
  }
  if (bad > 0) {
    console.log(`${bad} FAILED`)
    process.exitCode = 1
  }
} catch (error) {
  if (!stop.signal.aborted) throw error
  console.log('stopped')
  process.exitCode = 1
} finally {
  rmSync(built, { recursive: true, force: true })
}
