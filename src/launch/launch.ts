import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { isDeepStrictEqual } from 'node:util'
import { RingsetError } from '../base/errors.ts'
import { checkConfigText, loadConfig, parseConfig, readConfig } from '../config/config.ts'
import { type DataFolder, dataFolder, defaultDataDirectory } from '../config/data-folder.ts'
import type { ClusterConfig, ClusterConfigInput } from '../config/schema.ts'
import { ensureSecrets } from '../config/secrets.ts'
import { readRecord, removeRecord } from './cluster-record.ts'
import { withLaunchLock } from './launch-lock.ts'
import { isRunning } from './node-process.ts'
import { RunningCluster, type SpawnOptions, type WaitOptions } from './running-cluster.ts'
import { nodesOf } from './set-change.ts'

export interface StartOptions extends WaitOptions, SpawnOptions {
  /** A file, or the configuration itself. Either is copied into the data folder. */
  readonly config: string | ClusterConfigInput
  readonly dataDirectory?: string
  /** Runs once the processes are started, before the wait for readiness. */
  readonly onStarted?: (cluster: RunningCluster) => void
  /** Raised while a failed start is being undone: kill what is left at once. */
  readonly hurry?: AbortSignal
}

/**
 * Starts every node of a configuration as a process of its own and waits until the cluster is ready. What was started is stopped
 * again when it does not become so. Throws CONFIG_INVALID, ALREADY_RUNNING (nodes of this data folder live), NODE_FAILED, TIMEOUT.
 */
export async function startCluster(options: StartOptions): Promise<RunningCluster> {
  const folder = dataFolder(options.dataDirectory ?? defaultDataDirectory)
  const text = configText(options.config)
  mkdirSync(folder.root, { recursive: true, mode: 0o700 })
  const cluster = await withLaunchLock(folder, async () => {
    refuseIfRunning(folder)
    refuseToForget(folder, text)
    ensureSecrets(folder.root)
    writeFileSync(folder.configFile, text)
    removeRecord(folder)
    const made = new RunningCluster(folder.root, options)
    made.spawnAll()
    return made
  })
  try {
    options.onStarted?.(cluster)
    await cluster.waitReady(options)
    return cluster
  } catch (error) {
    await cluster.stopAll(options.hurry === undefined ? {} : { hurry: options.hurry })
    cluster.close()
    throw error
  }
}

/** The cluster that was started from a data folder. Throws NOT_RUNNING when there is none or all its processes are gone. */
export function openCluster(dataDirectory = defaultDataDirectory): RunningCluster {
  const folder = dataFolder(dataDirectory)
  if (livingNodes(folder).length > 0) return new RunningCluster(folder.root)
  const facts = { folder: folder.root }
  throw new RingsetError('NOT_RUNNING', `no cluster runs from ${folder.root}`, facts)
}

/** What the record says may be long past: the machine may have restarted since. */
function livingNodes(folder: DataFolder): string[] {
  const nodes = readRecord(folder)?.nodes ?? []
  return nodes.filter(node => isRunning(node, folder)).map(({ id }) => id)
}

function refuseIfRunning(folder: DataFolder): void {
  const living = livingNodes(folder)
  if (living.length === 0) return
  const text = `${living.length} nodes run from ${folder.root}: ${living.join(', ')}`
  throw new RingsetError('ALREADY_RUNNING', text, { folder: folder.root })
}

/** A set that was added since stands in the folder's own copy alone, and may hold all that its users have. */
function refuseToForget(folder: DataFolder, text: string): void {
  if (!existsSync(folder.configFile)) return
  const before = checkConfigText(readConfig(folder.configFile)).config
  const after = checkConfigText(text).config
  if (before === undefined || before.cluster.name !== after?.cluster.name) {
    if (!existsSync(folder.nodesFolder)) return
    if (before === undefined) {
      const text = `${folder.configFile}, which may know of sets that were added, is not valid: mend it or take it away`
      throw new RingsetError('CONFIG_INVALID', text)
    }
    const text = `${folder.root} holds cluster ${before.cluster.name}: choose another folder with --data`
    throw new RingsetError('WRONG_CLUSTER', text)
  }
  refuseToRedivide(folder, before, after)
  const lost = before.sets.find(({ id }) => {
    const kept = after.sets.some(set => set.id === id)
    return !kept && nodesOf(before, id).some(node => existsSync(folder.nodeFolder(node.id)))
  })
  if (lost === undefined) return
  const own = folder.configFile
  const known = `which ${own} has with data: leave out -c, or bring your file up to date from that one`
  throw new RingsetError('CONFIG_INVALID', `the configuration lacks set ${lost.id}, ${known}`)
}

/** Slots are what everything on disk is sorted by. */
function refuseToRedivide(folder: DataFolder, before: ClusterConfig, after: ClusterConfig): void {
  if (before.nodes.every(({ id }) => !existsSync(folder.nodeFolder(id)))) return
  for (const field of ['slotCount', 'tenants'] as const) {
    if (isDeepStrictEqual(sorted(before.cluster[field]), sorted(after.cluster[field]))) continue
    const text = `cluster.${field} is fixed by the first start; ${folder.configFile} has what it was then`
    throw new RingsetError('CONFIG_INVALID', text)
  }
}

function sorted(value: number | ClusterConfig['cluster']['tenants']): unknown {
  return typeof value === 'number' ? value : [...value].sort((a, b) => (a.id < b.id ? -1 : 1))
}

/** The nodes read a copy in the data folder, so that all of them, and whoever stops them, see the same. */
function configText(config: string | ClusterConfigInput): string {
  if (typeof config === 'string') {
    loadConfig(config)
    return readConfig(config)
  }
  parseConfig(config)
  return `${JSON.stringify(config, null, 2)}\n`
}
