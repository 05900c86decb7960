import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { RingsetError } from '../base/errors.ts'
import type { DataFolder } from '../config/data-folder.ts'
import type { NodeProcess } from './node-process.ts'

/** What `up` leaves behind for the commands after it: cluster.json. */
export interface ClusterRecord {
  readonly version: 1
  readonly cluster: string
  /** One per node that was ever started and not forgotten by `down`. */
  readonly nodes: readonly NodeProcess[]
}

/** Undefined when no cluster was started from the folder. Throws DATA_DAMAGED when the file is not what `writeRecord` wrote. */
export function readRecord(folder: DataFolder): ClusterRecord | undefined {
  let text: string
  try {
    text = readFileSync(folder.clusterFile, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  const record = parseRecord(text)
  if (record !== undefined) return record
  throw new RingsetError('DATA_DAMAGED', `${folder.clusterFile} is malformed`, {
    file: folder.clusterFile
  })
}

function parseRecord(text: string): ClusterRecord | undefined {
  try {
    const record = JSON.parse(text) as ClusterRecord
    const whole =
      record.version === 1 &&
      record.nodes.every(({ id, pid }) => typeof id === 'string' && Number.isSafeInteger(pid))
    return whole ? record : undefined
  } catch {
    return undefined
  }
}

/** Appears whole or not at all. */
export function writeRecord(folder: DataFolder, record: ClusterRecord): void {
  const draft = `${folder.clusterFile}.${process.pid}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 })
  renameSync(draft, folder.clusterFile)
}

export function removeRecord(folder: DataFolder): void {
  rmSync(folder.clusterFile, { force: true })
}
