import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { hostPort } from '../base/host-port.ts'
import { checkConfigText, loadConfig, readConfig } from '../config/config.ts'
import { type DataFolder, dataFolder } from '../config/data-folder.ts'
import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import { readSecrets } from '../config/secrets.ts'
import { ClusterControl, type NodePlace } from '../control/cluster-control.ts'
import { type ClusterStatus, clusterStatus } from '../control/cluster-status.ts'
import type { ControlClient } from '../control/control-client.ts'
import { type ClusterRecord, readRecord, removeRecord, writeRecord } from './cluster-record.ts'
import { programArguments } from './entry.ts'
import { withLaunchLock } from './launch-lock.ts'
import {
  type Ending,
  isRunning,
  logTail,
  type NodeProcess,
  signalNode,
  spawnNode,
  waitGone
} from './node-process.ts'
import { nodeRuns, type Readiness, readiness } from './readiness.ts'
import { standBack } from './stand-back.ts'

/** How one node came to its end. */
export interface StopReport {
  readonly id: string
  readonly pid: number
  /** `stopped`: by itself after SIGTERM · `killed`: SIGKILL was needed · `gone`: it did not run any more · `stuck`: it outlived SIGKILL. */
  readonly how: 'stopped' | 'killed' | 'gone' | 'stuck'
  readonly ms: number
}

export interface WaitOptions {
  /** Bound of the whole wait. */
  readonly timeoutMs?: number
  readonly onProgress?: (progress: Readiness) => void
  readonly signal?: AbortSignal
}

export interface StopOptions {
  /** How long each phase may take before its processes are killed. */
  readonly timeoutMs?: number
  readonly onStopped?: (report: StopReport) => void
  /** Raised: kill what is left at once. */
  readonly hurry?: AbortSignal
}

/** How the processes of nodes are started. */
export interface SpawnOptions {
  /** What `process.execPath` is given before `node run ID …`; by default the program that runs now. */
  readonly program?: readonly string[]
  /** What the command of a node is preceded by, such as `ip netns exec NAME`; it has to become the node by exec. */
  readonly enter?: (id: string) => readonly string[]
  /** By how much nodes stand back where processors are short; see `standBack`. Default: not at all. */
  readonly niceness?: number
}

const readyTimeoutMs = 60_000
const stopTimeoutMs = 15_000
const killTimeoutMs = 5_000
const endingMs = 1_000
const pollMs = 100

/** A cluster that was started from a data folder: its processes, and the way to them. All state is on disk, so several may look at one. */
export class RunningCluster {
  #config: ClusterConfig
  #configText: string
  readonly control: ClusterControl
  readonly #folder: DataFolder
  readonly #spawning: SpawnOptions
  /** How the processes that this one started end, by process id. */
  readonly #endings = new Map<number, Promise<Ending>>()

  constructor(dataDirectory: string, spawning: SpawnOptions = {}) {
    this.#spawning = spawning
    this.#folder = dataFolder(dataDirectory)
    this.#configText = readConfig(this.#folder.configFile)
    this.#config = loadConfig(this.#folder.configFile)
    const { credential } = readSecrets(dataDirectory)
    const nodes = placesOf(this.#config)
    this.control = new ClusterControl({ nodes, credential, timeoutMs: 2000 })
  }

  /** As of the last `refresh`. */
  get config(): ClusterConfig {
    return this.#config
  }

  /** Reads the configuration anew: sets may have been added or removed. One that somebody has only half edited is not taken. */
  refresh(): void {
    const text = readConfig(this.#folder.configFile)
    if (text === this.#configText) return
    const { config } = checkConfigText(text)
    if (config === undefined) return
    this.#config = config
    this.#configText = text
    this.control.setNodes(placesOf(this.#config))
  }

  get dataDirectory(): string {
    return this.#folder.root
  }

  /** The control client of one node. Throws NODE_UNKNOWN. */
  node(id: string): ControlClient {
    return this.control.node(id)
  }

  /** Processes as recorded, alive or not. */
  processes(): readonly NodeProcess[] {
    return this.#record().nodes
  }

  isRunning(id: string): boolean {
    const known = this.#process(id)
    return known !== undefined && isRunning(known, this.#folder)
  }

  async status(): Promise<ClusterStatus> {
    return clusterStatus(await this.control.sample())
  }

  /** Waits until every node runs, every group has a leader and every process is in the table. Throws TIMEOUT or NODE_FAILED. */
  async waitReady(options: WaitOptions = {}): Promise<Readiness> {
    const { timeoutMs = readyTimeoutMs, onProgress, signal } = options
    const endMs = performance.now() + timeoutMs
    for (;;) {
      const progress = readiness(this.config, await this.control.sample())
      onProgress?.(progress)
      if (progress.ready) return progress
      for (const { id } of this.config.nodes) await this.#mustLive(id)
      if (signal?.aborted) throw new RingsetError('CANCELLED', 'stopped while starting')
      if (performance.now() > endMs) {
        const missing = progress.waitingFor.slice(0, 3).join('; ')
        const text = `not ready after ${timeoutMs} ms, missing ${progress.waitingFor.length}: ${missing}`
        throw new RingsetError('TIMEOUT', text)
      }
      await sleep(pollMs)
    }
  }

  /** Starts all nodes that do not run; the caller holds the launch lock. Their readiness is another matter: `waitReady`. */
  spawnAll(): void {
    for (const { id } of this.config.nodes) if (!this.isRunning(id)) this.#spawn(id)
  }

  /** Starts one node and waits until it answers as running. Throws ALREADY_RUNNING, TIMEOUT, NODE_FAILED. */
  async startNode(id: string, { timeoutMs = readyTimeoutMs }: WaitOptions = {}): Promise<void> {
    this.#nodeConfig(id)
    const started = await withLaunchLock(this.#folder, async () => {
      // Whoever stopped all of it meanwhile believes that nothing is left.
      if (readRecord(this.#folder) === undefined) {
        throw new RingsetError('NOT_RUNNING', `the cluster of ${this.#folder.root} was stopped`)
      }
      if (this.isRunning(id)) throw new RingsetError('ALREADY_RUNNING', `node ${id} runs already`)
      return this.#spawn(id)
    })
    const endMs = performance.now() + timeoutMs
    for (;;) {
      const status = await this.node(id)
        .status()
        .catch(() => undefined)
      if (nodeRuns(status, started.pid)) return
      await this.#mustLive(id)
      if (performance.now() > endMs) {
        throw new RingsetError('TIMEOUT', `node ${id} is not running after ${timeoutMs} ms`)
      }
      await sleep(pollMs)
    }
  }

  /** Stops nodes that do not come back, and forgets them. */
  async retireNodes(ids: readonly string[]): Promise<StopReport[]> {
    return withLaunchLock(this.#folder, async () => {
      const due = this.#record().nodes.filter(({ id }) => ids.includes(id))
      const reports = await Promise.all(due.map(node => this.#end(node, stopTimeoutMs)))
      const record = this.#record()
      writeRecord(this.#folder, {
        ...record,
        nodes: record.nodes.filter(({ id }) => {
          return !ids.includes(id) || reports.some(one => one.id === id && one.how === 'stuck')
        })
      })
      return reports
    })
  }

  /** SIGTERM, and SIGKILL when that does not help in time. */
  async stopNode(id: string, timeoutMs = stopTimeoutMs): Promise<StopReport> {
    return this.#end(this.#alive(id), timeoutMs)
  }

  /** SIGKILL; returns once the process is gone. */
  async killNode(id: string): Promise<StopReport> {
    return this.#end(this.#alive(id), 0)
  }

  /** SIGSTOP: the process lives and does nothing, like one on a stalled machine. */
  pauseNode(id: string): void {
    signalNode(this.#alive(id), this.#folder, 'SIGSTOP')
  }

  resumeNode(id: string): void {
    signalNode(this.#alive(id), this.#folder, 'SIGCONT')
  }

  /**
   * Stops everything: gateways and logics first, then routers, then arbiters, so that the last thing a process hears is still true.
   * Whoever does not stop in time is killed.
   */
  async stopAll(options: StopOptions = {}): Promise<StopReport[]> {
    const { timeoutMs = stopTimeoutMs, onStopped, hurry } = options
    const reports: StopReport[] = []
    await withLaunchLock(this.#folder, async () => {
      this.refresh()
      const running = this.#record().nodes
      for (const phase of [0, 1, 2]) {
        const due = running.filter(({ id }) => this.#phase(id) === phase)
        const ended = due.map(async node => {
          const report = await this.#end(node, timeoutMs, hurry)
          onStopped?.(report)
          return report
        })
        reports.push(...(await Promise.all(ended)))
      }
      if (!reports.some(({ how }) => how === 'stuck')) removeRecord(this.#folder)
    })
    return reports
  }

  /** Closes the control connections; the processes stay. */
  close(): void {
    this.control.close()
  }

  #phase(id: string): number {
    const roles =
      this.config.nodes.find(node => node.id === id)?.roles.map(({ role }) => role) ?? []
    if (roles.includes('arbiter')) return 2
    return roles.includes('router') ? 1 : 0
  }

  async #end(node: NodeProcess, gracefulMs: number, hurry?: AbortSignal): Promise<StopReport> {
    const startMs = performance.now()
    const report = (how: StopReport['how']): StopReport => {
      return { id: node.id, pid: node.pid, how, ms: Math.round(performance.now() - startMs) }
    }
    if (!isRunning(node, this.#folder)) return report('gone')
    if (gracefulMs > 0) {
      signalNode(node, this.#folder, 'SIGTERM')
      // A paused process hears SIGTERM only once it goes on.
      signalNode(node, this.#folder, 'SIGCONT')
      if (await waitGone(node, this.#folder, gracefulMs, hurry)) return report('stopped')
    }
    signalNode(node, this.#folder, 'SIGKILL')
    return report((await waitGone(node, this.#folder, killTimeoutMs)) ? 'killed' : 'stuck')
  }

  #spawn(id: string): NodeProcess {
    let ended!: (ending: Ending) => void
    const ending = new Promise<Ending>(resolve => {
      ended = resolve
    })
    const { program = programArguments(), enter, niceness } = this.#spawning
    const spawned = spawnNode(id, this.#folder, program, ended, enter?.(id))
    if (niceness !== undefined) void standBack(spawned.pid, niceness)
    this.#endings.set(spawned.pid, ending)
    const record = this.#record()
    const others = record.nodes.filter(node => node.id !== id)
    writeRecord(this.#folder, { ...record, nodes: [...others, spawned] })
    return spawned
  }

  #record(): ClusterRecord {
    const { name } = this.config.cluster
    return readRecord(this.#folder) ?? { version: 1, cluster: name, nodes: [] }
  }

  #process(id: string): NodeProcess | undefined {
    return this.#record().nodes.find(node => node.id === id)
  }

  #nodeConfig(id: string): NodeConfig {
    const found = this.config.nodes.find(node => node.id === id)
    if (found !== undefined) return found
    const known = this.config.nodes.map(node => node.id).join(', ')
    throw new RingsetError('NODE_UNKNOWN', `no node is called ${id}; there are ${known}`, { id })
  }

  #alive(id: string): NodeProcess {
    this.#nodeConfig(id)
    const known = this.#process(id)
    if (known !== undefined && isRunning(known, this.#folder)) return known
    throw new RingsetError('NOT_RUNNING', `node ${id} does not run`, { id })
  }

  async #mustLive(id: string): Promise<void> {
    const known = this.#process(id)
    if (known !== undefined && isRunning(known, this.#folder)) return
    // The system shows that a process is gone a moment before this one is told how.
    const told = known === undefined ? undefined : this.#endings.get(known.pid)
    const ending = await Promise.race([told, sleep(endingMs)])
    const how = ending === undefined ? '' : ` (${ending.signal ?? `exit code ${ending.code}`})`
    const last = logTail(id, this.#folder).at(-1)?.slice(0, 300) ?? 'its log is empty'
    throw new RingsetError('NODE_FAILED', `node ${id} has ended${how}: ${last}`, { id })
  }
}

function placesOf({ nodes }: ClusterConfig): NodePlace[] {
  return nodes.map(({ id, host, controlPort }) => ({
    id,
    controlAddress: hostPort(host, controlPort)
  }))
}
