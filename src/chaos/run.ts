import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import { readSecrets } from '../config/secrets.ts'
import { startCluster } from '../launch/launch.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { wholeClusterConfig } from '../launch/whole-cluster.ts'
import { compileTable } from '../table/compile-table.ts'
import { ClusterWatch } from './cluster-watch.ts'
import { FaultHand } from './fault-hand.ts'
import { HistoryRecorder } from './history-recorder.ts'
import type { FaultRecord } from './recovery.ts'
import { buildReport, type ChaosReport, type RunFacts } from './report.ts'
import { reportPage } from './report-page.ts'
import type { Scenario, ScenarioFault } from './scenario.ts'
import { nodesOf, parseTarget, setsOn, type Target } from './targets.ts'
import { Workload } from './workload.ts'

export interface ChaosOptions {
  readonly scenario: Scenario
  readonly seed: number
  /** Overrides the scenario's. */
  readonly seconds?: number | undefined
  /** Made if missing; gets report.html, report.json, history.jsonl and the nodes' logs. */
  readonly reportDirectory?: string | undefined
  readonly onProgress: (progress: ChaosProgress) => void
  /** Raised: heal, clean up and reject with CANCELLED. */
  readonly signal: AbortSignal
}

export interface ChaosProgress {
  readonly phase: 'starting' | 'connecting' | 'load' | 'healing' | 'settling' | 'judging'
  readonly secondsLeft: number
  readonly acked: number
  readonly delivered: number
  readonly ackedPerSecond: number
  /** Nodes under a fault. */
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
    const setIds = Array.from({ length: options.scenario.sets }, (_, i) => `s${i + 1}`)
    const config = { ...(await wholeClusterConfig(setIds)), cluster: { name: 'chaos' } }
    cluster = await startCluster({
      config,
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
  readonly #random: Prng
  readonly #hand: FaultHand
  readonly #watch: ClusterWatch
  readonly #faults: FaultRecord[] = []
  readonly #ended = new AbortController()
  readonly #strokes = new Set<Promise<void>>()
  #alone: Promise<void> = Promise.resolve()
  #workload: Workload | undefined
  #phase: ChaosProgress['phase'] = 'connecting'
  #loadEndMs = 0

  constructor(options: ChaosOptions, cluster: RunningCluster, directory: string) {
    this.#options = options
    this.#cluster = cluster
    this.#directory = directory
    this.#random = new Prng(options.seed, 'faults')
    this.#hand = new FaultHand(cluster, this.#random)
    this.#watch = new ClusterWatch(cluster, this.#history)
  }

  async whole(): Promise<ChaosReport> {
    const { scenario, seed } = this.#options
    const targets = scenario.faults.map(({ target }) => parseTarget(target, this.#cluster.config))
    const table = await this.#cluster.control.any(node => node.table())
    const workload = new Workload({
      config: this.#cluster.config,
      secret: readSecrets(this.#directory).secret,
      table: compileTable(table),
      history: this.#history,
      seed,
      plan: scenario.workload
    })
    this.#workload = workload
    await workload.connect(() => this.#mustGoOn())
    this.#mustGoOn()
    const startMs = await this.#load(workload, targets)
    this.#phase = 'healing'
    await workload.end()
    this.#phase = 'settling'
    const missing = await workload.settle(settleMs)
    this.#mustGoOn()
    await this.#watch.end()
    this.#phase = 'judging'
    return this.#report(startMs, missing)
  }

  async close(): Promise<void> {
    this.#ended.abort()
    // A node that is being started would be waited for.
    if (this.#options.signal.aborted) await endNodes(this.#cluster)
    await Promise.allSettled([...this.#strokes])
    await this.#watch.end()
    await this.#workload?.close()
  }

  async #load(workload: Workload, targets: readonly Target[]): Promise<number> {
    const { scenario, seconds = scenario.seconds } = this.#options
    this.#phase = 'load'
    const startMs = performance.now()
    this.#loadEndMs = startMs + (quietSeconds + seconds) * 1_000
    workload.start()
    const timers = scenario.faults.map((fault, i) => this.#timeline(fault, targets[i]!))
    const ticker = setInterval(() => this.#progress(), progressMs)
    try {
      await this.#wait((quietSeconds + seconds) * 1_000)
      this.#ended.abort()
      await Promise.all(timers)
      await Promise.all(this.#strokes)
      await this.#hand.undoAll()
    } finally {
      clearInterval(ticker)
    }
    this.#mustGoOn()
    return startMs
  }

  /** One line of the scenario: its strokes, one after the other, until the load ends. */
  async #timeline(fault: ScenarioFault, target: Target): Promise<void> {
    const { at, every, times = every === undefined ? 1 : Number.POSITIVE_INFINITY } = fault
    const { signal } = this.#ended
    const wait = (s: number) => pause(s * 1_000, undefined, { signal }).catch(() => {})
    await wait(quietSeconds + (at ?? every ?? 0))
    for (let stroke = 0; stroke < times && !signal.aborted; stroke++) {
      const work = fault.alone ? this.#strokeAlone(fault, target) : this.#stroke(fault, target)
      this.#strokes.add(work)
      void work.finally(() => this.#strokes.delete(work)).catch(() => {})
      if (every === undefined) return
      await wait(every)
    }
  }

  /** As an operator would: one after the other, each only once the one before is whole again. */
  #strokeAlone(fault: ScenarioFault, target: Target): Promise<void> {
    const mine = this.#alone.then(async () => {
      if (this.#ended.signal.aborted) return
      await this.#stroke(fault, target)
      await this.#cluster.waitReady({ signal: this.#options.signal })
    })
    this.#alone = mine.catch(() => {})
    return mine
  }

  async #stroke(fault: ScenarioFault, target: Target): Promise<void> {
    const { config } = this.#cluster
    const leaders = this.#watch.leaders
    const free = (node: string): boolean => this.#hand.free(fault.do, node)
    const nodes = nodesOf(target, config, leaders, this.#random, free)
    if (nodes.length === 0) return
    const record: FaultRecord = {
      action: fault.do,
      target: fault.target,
      nodes,
      sets: setsOn(nodes, config),
      ledGroups: [...leaders].filter(([, node]) => nodes.includes(node)).map(([group]) => group),
      atMs: performance.now(),
      undoneMs: 0
    }
    this.#faults.push(record)
    this.#tell(`${fault.do} ${nodes.join(', ')} (${fault.target})`)
    await this.#hand.do(fault.do, nodes)
    await pause(fault.seconds * 1_000, undefined, { signal: this.#ended.signal }).catch(() => {})
    record.undoneMs = performance.now()
    // The whole cluster is about to be ended.
    if (this.#options.signal.aborted) return
    this.#tell(`${fault.do} of ${nodes.join(', ')} is undone`)
    await this.#hand.undo(nodes)
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
      disturbed: this.#hand.disturbed,
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
    const workload = this.#workload!
    const facts: RunFacts = {
      scenario,
      seed,
      startMs,
      endMs: performance.now(),
      samples: workload.samples,
      errors: workload.errors,
      faults: this.#faults,
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
