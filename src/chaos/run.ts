import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { Prng } from '../base/prng.ts'
import { clusterStatus } from '../control/cluster-status.ts'
import { compileTable } from '../table/compile-table.ts'
import { routerAddresses } from './addresses.ts'
import type { Arena } from './arena.ts'
import { type AttachOptions, withRunningCluster } from './attach.ts'
import { ClusterWatch } from './cluster-watch.ts'
import { HistoryRecorder } from './history-recorder.ts'
import { commitsOf, unlevel } from './level-replicas.ts'
import type { RollWork } from './operations.ts'
import { withOwnCluster } from './own-cluster.ts'
import { PresenceLog } from './presence-log.ts'
import { PresenceWatch } from './presence-watch.ts'
import { RecentRate } from './recent-rate.ts'
import { buildReport, type ChaosReport } from './report.ts'
import type { RunFacts } from './report-checks.ts'
import { clearReport, historyFile, writeReport } from './report-folder.ts'
import type { Scenario } from './scenario.ts'
import { sealedTimes, takings } from './sealed-times.ts'
import { SpillFile } from './spill-file.ts'
import { failureText, Strokes } from './strokes.ts'
import { gatewaysOn } from './targets.ts'
import { usersBack } from './users-back.ts'
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
  /** A cluster that runs already; undefined: one of its own, which is thrown away. */
  readonly attach?: AttachOptions | undefined
  /** Nodes of a cluster of its own have a network namespace each, in which links are disturbed. */
  readonly netns?: boolean | undefined
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
/** Of a cluster that could not be mended little is to be expected. */
const brokenSettleMs = 5_000
/** Load on the cluster that is whole again, to see that it serves everybody. */
const mendedMs = 2_000
const progressMs = 500

/**
 * Runs a scenario against a cluster and judges it. Whatever happens, a cluster of its own is gone afterwards, and one that runs already is
 * mended. Rejects with CANCELLED, with what kept the cluster from starting, and as `withRunningCluster`.
 */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const { scenario, seconds = scenario.seconds, attach, reportDirectory } = options
  const work = async (arena: Arena): Promise<ChaosReport> => {
    if (reportDirectory !== undefined) clearReport(reportDirectory)
    const run = new ChaosRun(options, arena)
    try {
      return await run.whole()
    } finally {
      await run.close()
    }
  }
  if (attach === undefined) {
    options.onProgress(idle('starting'))
    return withOwnCluster(options, work)
  }
  return withRunningCluster({ ...options, attach, seconds: quietSeconds + seconds }, work)
}

function idle(phase: ChaosProgress['phase']): ChaosProgress {
  return { phase, secondsLeft: 0, acked: 0, delivered: 0, ackedPerSecond: 0, disturbed: [] }
}

class ChaosRun {
  readonly #options: ChaosOptions
  readonly #arena: Arena
  readonly #history = new HistoryRecorder({ spill: SpillFile.open() })
  readonly #watch: ClusterWatch
  readonly #strokes: Strokes
  #presence: PresenceWatch | undefined
  readonly #whereabouts = new PresenceLog()
  readonly #ackRate = new RecentRate()
  #workload: Workload | undefined
  #phase: ChaosProgress['phase'] = 'connecting'
  /** In words: what kept the cluster from being whole again. */
  readonly #failures: string[] = []
  #loadEndMs = 0
  #healedMs = 0
  #tableAsked = false
  #tableEpoch = 0

  constructor(options: ChaosOptions, arena: Arena) {
    const { scenario, seed, roll, signal } = options
    this.#options = options
    this.#arena = arena
    const leaders = new Map<string, string>()
    this.#strokes = new Strokes({
      arena,
      scenario,
      random: new Prng(seed, 'faults'),
      leaders,
      roll,
      signal,
      onEvent: event => this.#tell(event)
    })
    // Last: it looks at the cluster until it is told to end.
    this.#watch = new ClusterWatch(arena.cluster, this.#history, leaders)
  }

  async whole(): Promise<ChaosReport> {
    const workload = await this.#connect()
    this.#mustGoOn()
    const startMs = await this.#load(workload)
    this.#phase = 'healing'
    this.#progress()
    await this.#unlessStopped(workload.end())
    this.#phase = 'settling'
    this.#progress()
    const missing = await workload.settle(this.#patienceMs, this.#options.signal)
    missing.push(...(await this.#unmoved()), ...(await this.#unlevel()))
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
    try {
      await this.#leave()
    } finally {
      await this.#watch.end()
      await this.#presence?.end()
      await this.#workload?.close()
      this.#history.close()
    }
  }

  async #leave(): Promise<void> {
    if (this.#arena.lasting) {
      try {
        await this.#strokes.end()
      } catch (error) {
        // Of one that could not be mended the report tells.
        if (this.#failures.length === 0) throw error
      } finally {
        await this.#strokes.putBack()
      }
      return
    }
    // A node that is being started would be waited for.
    if (this.#options.signal.aborted) await this.#arena.giveUp()
    await this.#strokes.abandon()
  }

  async #connect(): Promise<Workload> {
    const { scenario, seed, signal } = this.#options
    const { cluster, secret, prefix, token } = this.#arena
    const { config, control } = cluster
    const workload = new Workload({
      config,
      secret,
      prefix,
      token,
      table: compileTable(await control.any(node => node.table())),
      history: this.#history,
      seed,
      plan: scenario.workload
    })
    this.#workload = workload
    await workload.connect(() => this.#mustGoOn())
    if (!signal.aborted && secret !== undefined) {
      const users = workload.usersBySet()
      const name = `${prefix}watch`
      const routers = routerAddresses(config)
      this.#presence = new PresenceWatch(routers, secret, users, name, this.#whereabouts)
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
    const ticker = setInterval(() => {
      this.#progress()
      void this.#followTable(workload)
    }, progressMs)
    try {
      const over = new AbortController()
      if (scenario.untilDone) void this.#strokes.over().then(() => over.abort())
      await this.#wait((quietSeconds + seconds) * 1_000, over.signal)
      this.#phase = 'healing'
      this.#progress()
      await this.#heal()
      this.#healedMs = performance.now()
      await this.#wait(mendedMs)
    } finally {
      clearInterval(ticker)
    }
    return startMs
  }

  /** A cluster that does not come back is what a drill is to find, and no reason to end it without a verdict. */
  async #heal(): Promise<void> {
    try {
      await this.#strokes.end()
    } catch (error) {
      this.#mustGoOn()
      this.#failures.push(`it is not whole again: ${failureText(error)}`)
    }
  }

  get #patienceMs(): number {
    return this.#failures.length === 0 ? settleMs : brokenSettleMs
  }

  /** Whoever wants to stop waits for nobody else. */
  async #unlessStopped(work: Promise<unknown>): Promise<void> {
    const { signal } = this.#options
    const stopped = new AbortController()
    await Promise.race([work, once(signal, 'abort', { signal: stopped.signal })]).finally(() => {
      stopped.abort()
    })
    this.#mustGoOn()
  }

  /** Slots move: which set a message belongs to is as the newest table says that anybody was seen to have. */
  async #followTable(workload: Workload): Promise<void> {
    if (this.#tableAsked || this.#watch.epoch <= this.#tableEpoch) return
    this.#tableAsked = true
    try {
      const view = compileTable(await this.#arena.cluster.control.any(node => node.table()))
      this.#tableEpoch = view.epoch
      workload.adopt(view)
    } catch {
      // Whoever cannot be asked now can be in a moment.
    } finally {
      this.#tableAsked = false
    }
  }

  /** Waits for the moves of slots that are still under way; returns those that do not end. */
  #unmoved(): Promise<string[]> {
    return this.#remaining(async () => {
      const { moves } = await this.#arena.cluster.control.any(node => node.table())
      return moves.map(({ slot, to }) => `slot ${slot} is still on its way to ${to}`)
    })
  }

  /** Waits for replicas that distrust their disk or are behind; returns those of which that stays so. */
  async #unlevel(): Promise<string[]> {
    const { control } = this.#arena.cluster
    const wanted = commitsOf(clusterStatus(await control.sample()))
    return this.#remaining(async () => unlevel(clusterStatus(await control.sample()), wanted))
  }

  /** Asks until nothing is left, but not for longer than a minute; returns what is. */
  async #remaining(find: () => Promise<string[]>): Promise<string[]> {
    const untilMs = performance.now() + this.#patienceMs
    for (;;) {
      const left = await find().catch((error: unknown) => [failureText(error)])
      this.#mustGoOn()
      if (left.length === 0 || performance.now() > untilMs) return left
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
    const acked = workload?.acked ?? 0
    this.#options.onProgress({
      phase: this.#phase,
      secondsLeft: Math.max(0, (this.#loadEndMs - nowMs) / 1_000),
      acked,
      delivered: workload?.delivered ?? 0,
      ackedPerSecond: this.#ackRate.perSecond(acked, nowMs),
      disturbed: this.#strokes.disturbed,
      ...(event === undefined ? {} : { event })
    })
  }

  /** @param over raised: no longer. */
  async #wait(ms: number, over?: AbortSignal): Promise<void> {
    const { signal: stopped } = this.#options
    const signal = over === undefined ? stopped : AbortSignal.any([stopped, over])
    await pause(ms, undefined, { signal }).catch(() => {})
    this.#mustGoOn()
  }

  #mustGoOn(): void {
    if (this.#options.signal.aborted) throw new RingsetError('CANCELLED', 'stopped before its end')
  }

  #report(startMs: number, missing: readonly string[]): ChaosReport {
    const { scenario, seed, reportDirectory } = this.#options
    const { cluster, processes } = this.#arena
    const { config } = cluster
    const endMs = performance.now()
    const { faults, outcomes, failStops, failures } = this.#strokes
    const workload = this.#workload!
    const sinceMs = Date.now() - endMs + startMs
    const logs = processes && { cluster: processes, nodes: this.#watch.nodes, sinceMs }
    const taken = logs === undefined ? [] : takings(logs)
    for (const { node, ...owner } of taken) this.#history.add(node, 'ok', 'owner', null, owner)
    // Before it is judged: what cannot be judged is wanted all the more.
    if (reportDirectory !== undefined) this.#history.writeTo(historyFile(reportDirectory))
    // First: it needs most of the memory that the run ever needs, and gives it back.
    const judgement = this.#history.judge(
      taken.length > 0 ? ['presence'] : ['presence', 'ownership']
    )
    const facts: RunFacts = {
      scenario,
      seed,
      startMs,
      endMs,
      healedMs: this.#healedMs,
      samples: workload.samples(),
      errors: workload.errors,
      faults,
      outcomes,
      failStops,
      failures: [...failures, ...this.#failures],
      wrongOnline: this.#whereabouts.after(faults, node => gatewaysOn(node, config), endMs),
      usersBack: usersBack(faults, workload.outages, node => gatewaysOn(node, config), endMs),
      gatewaysOf: (uid, atMs) => this.#whereabouts.gatewaysOf(uid, atMs),
      leaderChanges: this.#watch.leaderChanges,
      followings: this.#watch.followings,
      epochChanges: this.#watch.epochChanges,
      sights: this.#watch.sights,
      missing,
      judgement,
      ...(logs && { sealedMs: sealedTimes(logs) })
    }
    const report = buildReport(facts)
    if (reportDirectory !== undefined) writeReport(reportDirectory, report)
    return report
  }
}
