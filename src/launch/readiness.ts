import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { type ClusterStatus, clusterStatus } from '../control/cluster-status.ts'
import type { NodeStatus } from '../control/control-source.ts'

export interface Readiness {
  readonly ready: boolean
  /** Things that are as they should be, of `total`. */
  readonly done: number
  readonly total: number
  /** What is missing, in words. */
  readonly waitingFor: readonly string[]
  readonly status: ClusterStatus
}

/** A cluster is ready when every node runs, every group that is not given up has a leader, and the table lists every process with its present boot id. */
export function readiness(config: ClusterConfig, sample: ClusterSample): Readiness {
  const status = clusterStatus(sample)
  const checks: [string, boolean][] = []
  for (const node of config.nodes) {
    const live = sample.nodes.find(({ id }) => id === node.id)?.status
    const runs = live?.state === 'running' && live.nodeId === node.id
    checks.push([`node ${node.id} runs`, runs])
    for (const [process, bootId] of tableEntries(node, sample, live)) {
      checks.push([`${process} is in the table`, runs && bootId === live.bootId])
    }
  }
  checks.push(['the arbiter has a leader', status.arbiter.leader !== null])
  for (const { id } of config.sets) {
    const set = status.sets.find(one => one.id === id)
    if (set?.state === 'lost') continue
    const leader = set?.router.leader ?? null
    checks.push([`set ${id} has a leader`, leader !== null])
  }
  const waitingFor = checks.filter(([, ok]) => !ok).map(([what]) => what)
  const done = checks.length - waitingFor.length
  return { ready: waitingFor.length === 0, done, total: checks.length, waitingFor, status }
}

/** The processes that the table should list for a node, with the boot id it lists (0 when it does not list them as up). */
function tableEntries(
  node: NodeConfig,
  { table }: ClusterSample,
  live: NodeStatus | undefined
): [string, number][] {
  return node.roles.flatMap((role): [string, number][] => {
    if (role.role === 'arbiter') return []
    const set = table?.sets.find(({ id }) => id === role.set)
    if (role.role === 'router') {
      if (isOutside(live, role.set)) return []
      const entry = set?.routers.find(({ replicaId }) => replicaId === role.replica)
      return [[`router ${role.set}/${role.replica}`, upBootId(entry)]]
    }
    const list = role.role === 'transfer' ? set?.transfers : set?.logics
    return [[`${role.role} ${role.id}`, upBootId(list?.find(({ id }) => id === role.id))]]
  })
}

/** Does the node's replica of a set wait to be added, or was it removed? */
function isOutside(live: NodeStatus | undefined, setId: string): boolean {
  const membership = live?.routers.find(({ set }) => set === setId)?.raft?.membership
  return membership === 'waiting' || membership === 'removed'
}

function upBootId(entry: { readonly state: string; readonly bootId: number } | undefined): number {
  return entry === undefined || entry.state === 'down' ? 0 : entry.bootId
}

/** Whether one node runs in its present process. */
export function nodeRuns(status: NodeStatus | undefined, pid: number): boolean {
  return status?.state === 'running' && status.pid === pid
}
