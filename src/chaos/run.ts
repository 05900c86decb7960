import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { ClusterConfig } from '../config/schema.ts'
import { readSecrets } from '../config/secrets.ts'
import { startCluster } from '../launch/launch.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { compileTable } from '../table/compile-table.ts'
import { clusterPlan } from './cluster-plan.ts'
import { ClusterWatch } from './cluster-watch.ts'
import { HistoryRecorder } from './history-recorder.ts'
import type { RollWork } from './operations.ts'
import { PresenceWatch } from './presence-watch.ts'
import { buildReport, type ChaosReport } from './report.ts'
import type { RunFacts } from './report-checks.ts'
import { reportPage } from './report-page.ts'
import type { Scenario } from './scenario.ts'
import { Strokes } from './strokes.ts'
import { gatewaysOn } from './targets.ts'
import { Workload } from './workload.ts'

export interface ChaosOptions {
  readonly scenario: Scenario
  readonly seed: number
  /** Overrides the scenario's. */
  readonly seconds?: number | undefined
  /** Made if missing; gets report.html, report.json, history.jsonl and the nodes' logs. */
  readonly reportDirectory?: string | undefined
  readonly onProgress: (progress: ChaosProgress) => void
  /** How nodes are rolled; the program's own way. */
  readonly roll: RollWork
  /** Raised: heal, clean up and reject with CANCELLED. */
  readonly signal: AbortSignal
}

export interface ChaosProgress {
  readonly phase: 'starting' | 'connecting' | 'load' | 'healing' | 'settling' | 'judging'
  readonly secondsLeft: number
  readonly acked: number
  readonly delivered: number
  readonly ackedPerSecond: number
  /** Nodes and links under a fault. */
  readonly disturbed: readonly string[]
  /** A fault that just began or ended, in words. */
  readonly event?: string
}

/** Load alone, to compare with, before the first fault may fall. */
const quietSeconds = 3
const settleMs = 60_000
const progressMs = 500

/**
 * Runs a scenario against a throw-away cluster of its own and judges it. Whatever happens, all processes are gone and the folder is
 * deleted afterwards. Rejects with CANCELLED, or with what kept the cluster from starting or healing.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const directory = mkdtempSync(join(tmpdir(), 'ringset-chaos-'))
  let cluster: RunningCluster | undefined
  try {
    options.onProgress(idle('starting'))
    cluster = await startCluster({
      config: await clusterPlan(options.scenario),
      dataDirectory: directory,
      signal: options.signal,
      onStarted: started => {
        cluster = started
      }
    })
    const run = new ChaosRun(options, cluster, directory)
    try {
      return await run.whole()
    } finally {
      await run.close()
    }
  } finally {
    if (cluster !== undefined) {
      await endCluster(cluster)
      if (options.reportDirectory !== undefined) keepLogs(cluster, options.reportDirectory)
    }
    rmSync(directory, { recursive: true, force: true })
  }
}

async function endNodes(cluster: RunningCluster): Promise<void> {
  for (const { id } of cluster.config.nodes) if (cluster.isRunning(id)) cluster.resumeNode(id)
  await cluster.stopAll({ timeoutMs: 0 })
}

async function endCluster(cluster: RunningCluster): Promise<void> {
  await endNodes(cluster)
  cluster.close()
}

function idle(phase: ChaosProgress['phase']): ChaosProgress {
  return { phase, secondsLeft: 0, acked: 0, delivered: 0, ackedPerSecond: 0, disturbed: [] }
}

function keepLogs(cluster: RunningCluster, reportDirectory: string): void {
  const logs = join(reportDirectory, 'logs')
  mkdirSync(logs, { recursive: true })
  const folder = dataFolder(cluster.dataDirectory)
  for (const { id } of cluster.config.nodes) {
    const file = folder.nodeLogFile(id)
    if (existsSync(file)) copyFileSync(file, join(logs, `${id}.log`))
  }
}

class ChaosRun {
  readonly #options: ChaosOptions
  readonly #cluster: RunningCluster
  readonly #directory: string
  readonly #history = new HistoryRecorder()
  readonly #watch: ClusterWatch
  readonly #strokes: Strokes
  #presence: PresenceWatch | undefined
  #workload: Workload | undefined
  #phase: ChaosProgress['phase'] = 'connecting'
  #loadEndMs = 0

  constructor(options: ChaosOptions, cluster: RunningCluster, directory: string) {
    const { scenario, seed, roll, signal } = options
    this.#options = options
    this.#cluster = cluster
    this.#directory = directory
    this.#watch = new ClusterWatch(cluster, this.#history)
    this.#strokes = new Strokes({
      cluster,
      scenario,
      random: new Prng(seed, 'faults'),
      leaders: this.#watch.leaders,
      roll,
      signal,
      onEvent: event => this.#tell(event)
    })
  }

  async whole(): Promise<ChaosReport> {
    const workload = await this.#connect()
    this.#mustGoOn()
    const startMs = await this.#load(workload)
    this.#phase = 'healing'
    this.#progress()
    await workload.end()
    this.#mustGoOn()
    this.#phase = 'settling'
    this.#progress()
    const missing = [...(await workload.settle(settleMs)), ...(await this.#unmoved())]
    this.#mustGoOn()
    await this.#watch.end()
    await this.#presence?.end()
    this.#phase = 'judging'
    this.#progress()
    // Somebody who wants to stop is heard before the work that hears nobody.
    await pause(0)
    this.#mustGoOn()
    return this.#report(startMs, missing)
  }

  async close(): Promise<void> {
    // A node that is being started would be waited for.
    if (this.#options.signal.aborted) await endNodes(this.#cluster)
    await this.#strokes.abandon()
    await this.#watch.end()
    await this.#presence?.end()
    await this.#workload?.close()
  }

  async #connect(): Promise<Workload> {
    const { scenario, seed, signal } = this.#options
    const { config, control } = this.#cluster
    const { secret } = readSecrets(this.#directory)
    const workload = new Workload({
      config,
      secret,
      table: compileTable(await control.any(node => node.table())),
      history: this.#history,
      seed,
      plan: scenario.workload
    })
    this.#workload = workload
    await workload.connect(() => this.#mustGoOn())
    if (!signal.aborted) {
      this.#presence = new PresenceWatch(routersOf(config), secret, workload.usersBySet())
      await this.#presence.start()
    }
    return workload
  }

  async #load(workload: Workload): Promise<number> {
    const { scenario, seconds = scenario.seconds } = this.#options
    this.#phase = 'load'
    const startMs = performance.now()
    this.#loadEndMs = startMs + (quietSeconds + seconds) * 1_000
    workload.start()
    this.#strokes.start(quietSeconds)
    const ticker = setInterval(() => this.#progress(), progressMs)
    try {
      await this.#wait((quietSeconds + seconds) * 1_000)
      this.#phase = 'healing'
      this.#progress()
      await this.#strokes.end()
    } finally {
      clearInterval(ticker)
    }
    this.#mustGoOn()
    return startMs
  }

  /** Waits for the moves of slots that are still under way; returns those that do not end. */
  async #unmoved(): Promise<string[]> {
    const untilMs = performance.now() + settleMs
    for (;;) {
      const { moves } = await this.#cluster.control.any(node => node.table())
      if (moves.length === 0) return []
      this.#mustGoOn()
      if (performance.now() > untilMs) {
        return moves.map(({ slot, to }) => `slot ${slot} is still on its way to ${to}`)
      }
      await pause(progressMs)
    }
  }

  #tell(event: string): void {
    this.#history.fault(event)
    this.#progress(event)
  }

  #progress(event?: string): void {
    const workload = this.#workload
    const nowMs = performance.now()
    const recent = workload?.samples.filter(({ ackedMs }) => ackedMs > nowMs - 1_000).length ?? 0
    this.#options.onProgress({
      phase: this.#phase,
      secondsLeft: Math.max(0, (this.#loadEndMs - nowMs) / 1_000),
      acked: workload?.acked ?? 0,
      delivered: workload?.delivered ?? 0,
      ackedPerSecond: recent,
      disturbed: this.#strokes.disturbed,
      ...(event === undefined ? {} : { event })
    })
  }

  async #wait(ms: number): Promise<void> {
    await pause(ms, undefined, { signal: this.#options.signal }).catch(() => {})
    this.#mustGoOn()
  }

  #mustGoOn(): void {
    if (this.#options.signal.aborted) throw new RingsetError('CANCELLED', 'stopped before its end')
  }

  #report(startMs: number, missing: readonly string[]): ChaosReport {
    const { scenario, seed, reportDirectory } = this.#options
    const { faults, outcomes } = this.#strokes
    const workload = this.#workload!
    const facts: RunFacts = {
      scenario,
      seed,
      startMs,
      endMs: performance.now(),
      samples: workload.samples,
      errors: workload.errors,
      faults,
      outcomes,
      wrongOnline: this.#presence!.after(faults, node => gatewaysOn(node, this.#cluster.config)),
      leaderChanges: this.#watch.leaderChanges,
      epochChanges: this.#watch.epochChanges,
      missing,
      judgement: this.#history.judge(['presence', 'ownership'])
    }
    const report = buildReport(facts)
    if (reportDirectory !== undefined) {
      mkdirSync(reportDirectory, { recursive: true })
      writeFileSync(join(reportDirectory, 'history.jsonl'), this.#history.text())
      writeFileSync(join(reportDirectory, 'report.json'), `${JSON.stringify(report, null, 2)}\n`)
      writeFileSync(join(reportDirectory, 'report.html'), reportPage(report))
    }
    return report
  }
}

function routersOf({ nodes }: ClusterConfig): string[] {
  return nodes
    .filter(({ roles }) => roles.some(({ role }) => role === 'router'))
    .map(({ host, peerPort }) => `${host}:${peerPort}`)
}
