import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { type Disturbances, nodeDisturbances } from './disturbances.ts'
import type { DisturbingHand } from './leased-faults.ts'
import type { ProcessAction, ScenarioFault } from './scenario.ts'

/** The most that may be configured: any disk counts as nearly full below it. */
const reserveBytes = 2 ** 40
/** A process under load writes many times meanwhile. */
const failStopMs = 5_000
const pollMs = 20

/** Whether a process whose disk failed has stopped itself. */
export interface FailStop {
  readonly action: ProcessAction
  readonly node: string
  readonly stopped: boolean
}

/** Does faults to the processes of a cluster and mends them again. */
export class FaultHand {
  readonly #cluster: RunningCluster
  readonly #random: Prng
  readonly #paused = new Set<string>()
  readonly #down = new Set<string>()
  /** Nodes whose folder lies in the past as a copy. */
  readonly #copied = new Set<string>()
  readonly #nearlyFull = new Set<string>()
  readonly #failing = new Map<string, Disturbances>()
  readonly #leased: DisturbingHand
  readonly failStops: FailStop[] = []
  /** Nodes read the configuration as they start: nobody else may while it is another one. */
  #starts: Promise<unknown> = Promise.resolve()

  /** @param leased has nodes disturb themselves. */
  constructor(cluster: RunningCluster, random: Prng, leased: DisturbingHand) {
    this.#cluster = cluster
    this.#leased = leased
    this.#random = random
  }

  /** Nodes under a fault right now. */
  get disturbed(): string[] {
    return [...this.#paused, ...this.#down]
  }

  /** Whether nothing is done to the node yet. Data is destroyed at one node at a time: its peers are all that is left of it. */
  free(action: ProcessAction, node: string): boolean {
    const destroys = action === 'wipe' || action === 'bitRot' || action === 'oldDirectory'
    if (destroys && this.#down.size > 0) return false
    return !this.#paused.has(node) && !this.#down.has(node)
  }

  /** Resolves with when it was known to be in force; undefined: at once. Throws when it could not be done to all of them, or as it should. */
  async do(
    fault: ScenarioFault,
    action: ProcessAction,
    nodes: readonly string[]
  ): Promise<number | undefined> {
    if (action === 'pause') {
      for (const id of nodes) {
        this.#paused.add(id)
        this.#cluster.pauseNode(id)
      }
      return
    }
    for (const id of nodes) this.#down.add(id)
    if (action === 'diskFull' || action === 'syncError') {
      return Math.max(...(await all(nodes, id => this.#failDisk(fault, action, id))))
    }
    const ended = await all(nodes, id =>
      action === 'terminate' ? this.#cluster.stopNode(id) : this.#cluster.killNode(id)
    )
    for (const id of nodes) await this.#damage(action, id)
    const late = ended.filter(({ how }) => how !== (action === 'terminate' ? 'stopped' : 'killed'))
    if (late.length === 0) return
    const texts = late.map(({ id, how, ms }) => `${id} was ${how} after ${ms} ms`)
    throw new RingsetError('NODE_FAILED', texts.join(', '))
  }

  /** A process that does not write lives on, and is killed when the fault is undone. */
  async #failDisk(
    fault: ScenarioFault,
    action: 'diskFull' | 'syncError',
    node: string
  ): Promise<number> {
    const disturbances = nodeDisturbances(action, fault, [node])
    this.#failing.set(node, disturbances)
    const inForceMs = await this.#leased.do(disturbances)
    const askedMs = performance.now()
    const untilMs = askedMs + failStopMs
    while (this.#cluster.isRunning(node) && performance.now() < untilMs) await pause(pollMs)
    const stopped = !this.#cluster.isRunning(node)
    this.failStops.push({ action, node, stopped })
    // It may write, and stop itself, before it has said that its disk fails by now.
    return inForceMs === 0 && stopped ? askedMs : inForceMs
  }

  async #damage(action: ProcessAction, id: string): Promise<void> {
    if (action === 'wipe') this.#wipe(id)
    if (action === 'bitRot') this.#turnBit(id)
    if (action === 'oldDirectory') {
      this.#copy(id)
      await this.#start(id)
    }
    if (action === 'nearlyFullDisk') {
      this.#nearlyFull.add(id)
      await this.#start(id)
    }
  }

  /** Whole or not at all: it is all that the node gets back. */
  #copy(id: string): void {
    const copy = this.#copyOf(id)
    // A drill that was killed may have left one.
    rmSync(copy, { recursive: true, force: true })
    try {
      cpSync(this.#folder(id), copy, { recursive: true, filter: isData })
    } catch (error) {
      rmSync(copy, { recursive: true, force: true })
      throw error
    }
    this.#copied.add(id)
  }

  async undo(nodes: readonly string[]): Promise<void> {
    for (const id of nodes) {
      if (!this.#paused.delete(id)) continue
      if (this.#cluster.isRunning(id)) this.#cluster.resumeNode(id)
    }
    const down = nodes.filter(id => this.#down.has(id))
    const mended = await Promise.allSettled(
      down.map(async id => {
        await this.#mend(id)
        if (!this.#cluster.isRunning(id)) await this.#start(id)
        this.#down.delete(id)
      })
    )
    // One that does not come back keeps no other from it.
    for (const one of mended) if (one.status === 'rejected') throw one.reason
  }

  async #mend(id: string): Promise<void> {
    const failing = this.#failing.get(id)
    if (failing !== undefined) await this.#leased.undo(failing)
    const ends = this.#failing.delete(id) || this.#nearlyFull.delete(id) || this.#copied.has(id)
    if (ends && this.#cluster.isRunning(id)) await this.#cluster.killNode(id)
    if (!this.#copied.delete(id)) return
    for (const name of readdirSync(this.#folder(id))) {
      const path = join(this.#folder(id), name)
      if (isData(path)) rmSync(path, { recursive: true, force: true })
    }
    cpSync(this.#copyOf(id), this.#folder(id), { recursive: true })
    rmSync(this.#copyOf(id), { recursive: true, force: true })
    if (this.#copied.size > 0) return
    rmSync(dirname(this.#copyOf(id)), { recursive: true, force: true })
  }

  /** Everything is mended: all nodes run. */
  async undoAll(): Promise<void> {
    await this.undo(this.disturbed)
  }

  #start(id: string): Promise<void> {
    const start = async (): Promise<void> => {
      if (!this.#nearlyFull.has(id)) return this.#cluster.startNode(id)
      const { configFile } = dataFolder(this.#cluster.dataDirectory)
      const text = readFileSync(configFile, 'utf8')
      const config = JSON.parse(text) as { storage?: object }
      const storage = { ...config.storage, reserveBytes }
      writeFileSync(configFile, JSON.stringify({ ...config, storage }))
      try {
        await this.#cluster.startNode(id)
      } finally {
        writeFileSync(configFile, text)
      }
    }
    const started = this.#nearlyFull.size === 0 ? start() : this.#starts.then(start)
    this.#starts = Promise.allSettled([this.#starts, started])
    return started
  }

  /** The database goes, the small file that tells of its loss stays: as a disk that was replaced. */
  #wipe(id: string): void {
    rmSync(this.#levelFolder(id), { recursive: true, force: true })
  }

  #turnBit(id: string): void {
    const folder = this.#levelFolder(id)
    const logs = readdirSync(folder)
      .filter(file => file.endsWith('.log') && statSync(join(folder, file)).size > 0)
      .sort()
    const newest = logs.at(-1)
    if (newest === undefined) throw new RingsetError('INTERNAL', `${id} has no log file to damage`)
    const path = join(folder, newest)
    const { size } = statSync(path)
    const bytes = readFileSync(path)
    const at = this.#random.below(size)
    bytes[at] = bytes[at]! ^ (1 << this.#random.below(8))
    writeFileSync(path, bytes)
  }

  #folder(id: string): string {
    return dataFolder(this.#cluster.dataDirectory).nodeFolder(id)
  }

  #copyOf(id: string): string {
    return join(this.#cluster.dataDirectory, 'copies', id)
  }

  #levelFolder(id: string): string {
    return join(this.#folder(id), 'db', 'level')
  }
}

/** All of a node's folder but its log, which tells the story of the drill. */
function isData(path: string): boolean {
  return basename(path) !== 'node.log'
}

/** What is done to one is done to all before anything that went wrong is thrown. */
async function all<T>(nodes: readonly string[], work: (id: string) => Promise<T>): Promise<T[]> {
  const done = await Promise.allSettled(nodes.map(async id => work(id)))
  return done.map(one => {
    if (one.status === 'rejected') throw one.reason
    return one.value
  })
}
