import { closeSync, mkdirSync, openSync, readSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { dataFolder } from '../config/data-folder.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'

/** The newest part of each log: one that nobody has ever cut may be larger than all memory. */
const keptBytes = 64 * 1024 * 1024

/** Keeps what the nodes log. */
export class LogKeeper {
  readonly #cluster: RunningCluster
  /** Node id → where its log ended at the beginning. */
  readonly #starts = new Map<string, number>()

  /** @param fromNow what was logged before is left out. */
  constructor(cluster: RunningCluster, fromNow = false) {
    this.#cluster = cluster
    if (!fromNow) return
    for (const { id } of cluster.config.nodes) this.#starts.set(id, sizeOf(this.#file(id)))
  }

  /** Copies it to the folder `logs` of a report. */
  keep(reportDirectory: string): void {
    const logs = join(reportDirectory, 'logs')
    mkdirSync(logs, { recursive: true })
    for (const { id } of this.#cluster.config.nodes) {
      const sizeBytes = sizeOf(this.#file(id))
      const first = Math.max(this.#starts.get(id) ?? 0, sizeBytes - keptBytes)
      if (sizeBytes > first) copyFrom(this.#file(id), first, join(logs, `${id}.log`))
    }
  }

  #file(id: string): string {
    return dataFolder(this.#cluster.dataDirectory).nodeLogFile(id)
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function copyFrom(file: string, first: number, copy: string): void {
  const bytes = Buffer.alloc(sizeOf(file) - first)
  const descriptor = openSync(file, 'r')
  try {
    writeFileSync(copy, bytes.subarray(0, readSync(descriptor, bytes, 0, bytes.length, first)))
  } finally {
    closeSync(descriptor)
  }
}
