import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import { hostPort } from '../base/host-port.ts'
import { readConfig } from '../config/config.ts'
import { type DataFolder, dataFolder } from '../config/data-folder.ts'
import { withoutSet, withSet } from '../config/edit-config.ts'
import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import type { ClusterControl } from '../control/cluster-control.ts'
import type { NewSet, SetOperator } from '../control/set-operator.ts'
import { withLaunchLock } from './launch-lock.ts'
import { readiness } from './readiness.ts'
import type { RunningCluster, StopReport } from './running-cluster.ts'
import type { SetLayout } from './set-layout.ts'

export interface ServeOptions {
  readonly timeoutMs?: number
  readonly signal?: AbortSignal | undefined
  /** What is waited for, in words. */
  readonly onWait?: ((text: string) => void) | undefined
}

const serveTimeoutMs = 60_000
const pollMs = 200

/** A set of a configuration as the routing table gets it: replicas with `join` come in later, by an operator. Throws SET_UNKNOWN. */
export function newSetOf(config: ClusterConfig, setId: string): NewSet {
  const set = config.sets.find(({ id }) => id === setId)
  if (set === undefined) {
    throw new RingsetError('SET_UNKNOWN', `the configuration has no set ${setId}`, { set: setId })
  }
  const routers = config.nodes.flatMap(({ id: node, host, peerPort, roles }) =>
    roles.flatMap(role =>
      role.role === 'router' && role.set === setId && !role.join
        ? [{ replica: role.replica, node, address: hostPort(host, peerPort) }]
        : []
    )
  )
  return { id: setId, zone: set.zone, weight: set.weight, routers }
}

/** The nodes that do something for a set. */
export function nodesOf({ nodes }: ClusterConfig, setId: string): NodeConfig[] {
  return nodes.filter(({ roles }) =>
    roles.some(role => role.role !== 'arbiter' && role.set === setId)
  )
}

/** Has the table list a set whose nodes are starting, and waits until it serves. Throws as `SetOperator.add`, TIMEOUT, CANCELLED. */
export async function enlistSet(
  control: ClusterControl,
  config: ClusterConfig,
  setId: string,
  { operator, ...serve }: ServeOptions & { readonly operator: Pick<SetOperator, 'table' | 'add'> }
): Promise<void> {
  await waitServing(control, config, setId, { ...serve, listed: false })
  const listed = (await operator.table()).sets.find(({ id }) => id === setId)
  if (listed?.state !== 'active') await operator.add(newSetOf(config, setId))
  await waitServing(control, config, setId, { ...serve, listed: true })
}

/** Waits until the nodes of a set run, and, once the table lists it, until it serves. Throws TIMEOUT, CANCELLED. */
async function waitServing(
  control: ClusterControl,
  config: ClusterConfig,
  setId: string,
  options: ServeOptions & { readonly listed: boolean }
): Promise<void> {
  const { timeoutMs = serveTimeoutMs, signal, onWait, listed } = options
  const part = {
    ...config,
    sets: config.sets.filter(({ id }) => id === setId),
    nodes: nodesOf(config, setId)
  }
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const missing = readiness(part, await control.sample()).waitingFor.filter(
      text => listed || / runs$/.test(text)
    )
    if (missing.length === 0) return
    if (signal?.aborted)
      throw new RingsetError('CANCELLED', `stopped; set ${setId} is not ready yet`)
    if (performance.now() > endMs) {
      const text = `set ${setId} is not ready after ${timeoutMs / 1_000} s, missing: ${missing.slice(0, 3).join('; ')}`
      throw new RingsetError('TIMEOUT', text)
    }
    onWait?.(`waiting, ${missing[0]} not yet`)
    await sleep(pollMs, undefined, { signal }).catch(() => {})
  }
}

/** Writes a set into the configuration of the data folder, so that its nodes can be started, now and later. */
export async function placeSet(cluster: RunningCluster, layout: SetLayout): Promise<void> {
  const folder = dataFolder(cluster.dataDirectory)
  await withLaunchLock(folder, async () => {
    replaceFile(folder.configFile, withSet(readConfig(folder.configFile), layout.set, layout.nodes))
  })
  cluster.refresh()
}

/** Starts those nodes of a set that do not run, one after the other: each takes a processor for a second, and the cluster is at work. Throws NODE_FAILED, TIMEOUT. */
export async function startSet(cluster: RunningCluster, setId: string): Promise<void> {
  for (const { id } of nodesOf(cluster.config, setId)) {
    if (!cluster.isRunning(id)) await cluster.startNode(id)
  }
}

export interface RetiredSet {
  readonly stopped: readonly StopReport[]
  /** Nodes that work for other sets, too: they drop the roles of this one when they are restarted. */
  readonly shared: readonly string[]
}

/** Stops the nodes that work for this set alone and takes it out of the configuration of the data folder. Their folders stay. */
export async function retireSet(cluster: RunningCluster, setId: string): Promise<RetiredSet> {
  const folder = dataFolder(cluster.dataDirectory)
  const alone = ({ roles }: NodeConfig): boolean =>
    roles.every(role => role.role !== 'arbiter' && role.set === setId)
  const nodes = nodesOf(cluster.config, setId)
  const stopped = await cluster.retireNodes(nodes.filter(alone).map(({ id }) => id))
  await withLaunchLock(folder, async () => {
    replaceFile(folder.configFile, withoutSet(readConfig(folder.configFile), setId))
  })
  cluster.refresh()
  if (chosenSetId(folder) === setId) chooseSetId(folder, undefined)
  return { stopped, shared: nodes.filter(node => !alone(node)).map(({ id }) => id) }
}

/** The name that an interrupted `set add` had chosen. */
export function chosenSetId({ setAddFile }: DataFolder): string | undefined {
  return existsSync(setAddFile) ? readFileSync(setAddFile, 'utf8').trim() : undefined
}

/** Remembers the name that was chosen, until it is undefined. */
export function chooseSetId(folder: DataFolder, setId: string | undefined): void {
  if (setId === undefined) rmSync(folder.setAddFile, { force: true })
  else replaceFile(folder.setAddFile, `${setId}\n`)
}

/** Appears whole or not at all. */
function replaceFile(path: string, text: string): void {
  const draft = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  try {
    writeFileSync(draft, text, { mode: 0o600 })
    renameSync(draft, path)
  } finally {
    rmSync(draft, { force: true })
  }
}
