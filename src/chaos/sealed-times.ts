import { closeSync, openSync, readSync, statSync } from 'node:fs'
import { dataFolder } from '../config/data-folder.ts'
import type { NodeConfig } from '../config/schema.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { slotStepIn } from './step-lines.ts'

const blockBytes = 1024 * 1024
/** What is logged of a slot that has come is one line, and short. */
const lineMaxBytes = 64 * 1024

/** Where to read. */
export interface LogsOfRun {
  readonly cluster: Pick<RunningCluster, 'dataDirectory'>
  /** Those included that are gone. */
  readonly nodes: readonly NodeConfig[]
  /** Wall clock: not what was logged before. */
  readonly sinceMs: number
}

/** How long each slot that has moved was served by nobody, in milliseconds, as its new leader logged it. */
export function sealedTimes({ cluster, nodes, sinceMs }: LogsOfRun): number[] {
  const folder = dataFolder(cluster.dataDirectory)
  return nodes.flatMap(({ id }) => {
    const found: number[] = []
    eachLine(folder.nodeLogFile(id), line => {
      const sealedMs = sealedIn(line, sinceMs)
      if (sealedMs !== undefined) found.push(sealedMs)
    })
    return found
  })
}

/** A set has taken a slot over, under an epoch of its own. */
export interface Taking {
  readonly node: string
  readonly set: string
  readonly slot: number
  readonly epoch: number
}

/** All that the leaders of sets have logged, in the order of time. */
export function takings({ cluster, nodes, sinceMs }: LogsOfRun): Taking[] {
  const folder = dataFolder(cluster.dataDirectory)
  const found: (Taking & { readonly atMs: number })[] = []
  for (const { id: node, roles } of nodes) {
    const set = roles.flatMap(role => (role.role === 'router' ? [role.set] : []))[0]
    if (set === undefined) continue
    eachLine(folder.nodeLogFile(node), line => {
      const seen = slotStepIn(line)
      if (seen?.step !== 'take' || seen.atMs < sinceMs) return
      const { atMs, slot, epoch } = seen
      found.push({ atMs, node, set, slot, epoch })
    })
  }
  return found
    .sort((a, b) => a.atMs - b.atMs || a.epoch - b.epoch)
    .map(({ node, set, slot, epoch }) => ({ node, set, slot, epoch }))
}

/** Undefined for any line but that of a slot which has come. */
export function sealedIn(line: string, sinceMs: number): number | undefined {
  if (!line.includes('"slot_taken"')) return undefined
  try {
    const { event, time, sealedMs } = JSON.parse(line) as Record<string, unknown>
    const wallMs = typeof time === 'string' ? Date.parse(time) : Number(time)
    if (event !== 'slot_taken' || !(wallMs >= sinceMs)) return undefined
    return typeof sealedMs === 'number' ? sealedMs : undefined
  } catch {
    // The last line of a process that was killed.
    return undefined
  }
}

function eachLine(file: string, take: (line: string) => void): void {
  const sizeBytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0
  if (sizeBytes === 0) return
  const descriptor = openSync(file, 'r')
  try {
    const block = Buffer.alloc(blockBytes)
    let rest = ''
    for (let at = 0; at < sizeBytes; ) {
      const read = readSync(descriptor, block, 0, blockBytes, at)
      if (read === 0) break
      at += read
      const lines = (rest + block.toString('latin1', 0, read)).split('\n')
      rest = lines.pop()!
      if (rest.length > lineMaxBytes) rest = ''
      for (const line of lines) take(line)
    }
    take(rest)
  } finally {
    closeSync(descriptor)
  }
}
