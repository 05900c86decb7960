import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { join } from 'node:path'
import { type DataFolder, dataFolder } from '../config/data-folder.ts'
import { logFolder } from './report-folder.ts'

/** The newest part of each log: one that nobody has ever cut may be larger than all memory. */
const keptBytes = 64 * 1024 * 1024

/** Keeps what the nodes log, those included that were there for a while only. */
export class LogKeeper {
  readonly #folder: DataFolder
  /** Node id → where its log ended at the beginning. */
  readonly #starts = new Map<string, number>()

  /** @param fromNow what was logged before is left out. */
  constructor(dataDirectory: string, fromNow = false) {
    this.#folder = dataFolder(dataDirectory)
    if (!fromNow) return
    for (const id of this.#nodes()) this.#starts.set(id, sizeOf(this.#folder.nodeLogFile(id)))
  }

  /** Copies it to the folder `logs` of a report. */
  keep(reportDirectory: string): void {
    const logs = logFolder(reportDirectory)
    mkdirSync(logs, { recursive: true })
    for (const id of this.#nodes()) {
      const file = this.#folder.nodeLogFile(id)
      const sizeBytes = sizeOf(file)
      const first = Math.max(this.#starts.get(id) ?? 0, sizeBytes - keptBytes)
      if (sizeBytes > first) copyFrom(file, first, join(logs, `${id}.log`))
    }
  }

  #nodes(): string[] {
    const { nodesFolder } = this.#folder
    return existsSync(nodesFolder) ? readdirSync(nodesFolder) : []
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
