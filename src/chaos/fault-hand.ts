import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import { dataFolder } from '../config/data-folder.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import type { FaultAction } from './scenario.ts'

/** Does faults to the processes of a cluster and mends them again. */
export class FaultHand {
  readonly #cluster: RunningCluster
  readonly #random: Prng
  readonly #paused = new Set<string>()
  readonly #down = new Set<string>()

  constructor(cluster: RunningCluster, random: Prng) {
    this.#cluster = cluster
    this.#random = random
  }

  /** Nodes under a fault right now. */
  get disturbed(): string[] {
    return [...this.#paused, ...this.#down]
  }

  /** Whether nothing is done to the node yet. Data is destroyed at one node at a time: its peers are all that is left of it. */
  free(action: FaultAction, node: string): boolean {
    const destroys = action === 'wipe' || action === 'bitRot'
    if (destroys && this.#down.size > 0) return false
    return !this.#paused.has(node) && !this.#down.has(node)
  }

  async do(action: FaultAction, nodes: readonly string[]): Promise<void> {
    if (action === 'pause') {
      for (const id of nodes) {
        this.#paused.add(id)
        this.#cluster.pauseNode(id)
      }
      return
    }
    for (const id of nodes) this.#down.add(id)
    const end = (id: string) =>
      action === 'terminate' ? this.#cluster.stopNode(id) : this.#cluster.killNode(id)
    await Promise.all(nodes.map(end))
    if (action === 'wipe') for (const id of nodes) this.#wipe(id)
    if (action === 'bitRot') for (const id of nodes) this.#turnBit(id)
  }

  async undo(nodes: readonly string[]): Promise<void> {
    for (const id of nodes) {
      if (!this.#paused.delete(id)) continue
      if (this.#cluster.isRunning(id)) this.#cluster.resumeNode(id)
    }
    const down = nodes.filter(id => this.#down.has(id))
    await Promise.all(
      down.map(async id => {
        if (!this.#cluster.isRunning(id)) await this.#cluster.startNode(id)
        this.#down.delete(id)
      })
    )
  }

  /** Everything is mended: all nodes run, and the cluster is ready. */
  async undoAll(): Promise<void> {
    await this.undo(this.disturbed)
    await this.#cluster.waitReady()
  }

  /** The database goes, the small file that tells of its loss stays: as a disk that was replaced. */
  #wipe(id: string): void {
    rmSync(this.#levelFolder(id), { recursive: true, force: true })
  }

  #turnBit(id: string): void {
    const folder = this.#levelFolder(id)
    const logs = readdirSync(folder)
      .filter(file => file.endsWith('.log'))
      .sort()
    const newest = logs.at(-1)
    if (newest === undefined) throw new RingsetError('INTERNAL', `${id} has no log file to damage`)
    const path = join(folder, newest)
    const { size } = statSync(path)
    if (size === 0) return
    const bytes = readFileSync(path)
    const at = this.#random.below(size)
    bytes[at] = bytes[at]! ^ (1 << this.#random.below(8))
    writeFileSync(path, bytes)
  }

  #levelFolder(id: string): string {
    const folder = dataFolder(this.#cluster.dataDirectory).nodeFolder(id)
    return join(folder, 'db', 'level')
  }
}
