import type { ClusterSample } from '../control/cluster-control.ts'

/** What the processes of one kind used during a measured window. */
export interface RoleUsage {
  /** What the processes host, e.g. `router + transfer + logic`. */
  readonly roles: string
  readonly processes: number
  /** Of one core, all processes of the kind together. */
  readonly cpuPercent: number
  readonly rssMiB: number
}

export interface WindowUsage {
  readonly usage: readonly RoleUsage[]
  /** Synced disk writes, all processes together. */
  readonly syncs: number
  /** Commands per log entry, mean since the processes started; 0 when there were none. */
  readonly meanBatch: number
}

/** Compares two samples of a cluster: who used what between them. */
export function usageBetween(before: ClusterSample, after: ClusterSample): WindowUsage {
  const seconds = (after.atMs - before.atMs) / 1_000
  const kinds = new Map<string, { processes: number; cpuMicros: number; rssBytes: number }>()
  let syncs = 0
  let entries = 0
  let commands = 0
  for (const [at, { status }] of after.nodes.entries()) {
    const first = before.nodes[at]?.status?.process
    const last = status?.process
    if (status === undefined || first === undefined || last === undefined) continue
    const roles = rolesOf(status)
    const kind = kinds.get(roles) ?? { processes: 0, cpuMicros: 0, rssBytes: 0 }
    kind.processes += 1
    kind.cpuMicros += last.cpuMicros - first.cpuMicros
    kind.rssBytes += last.rssBytes
    kinds.set(roles, kind)
    syncs += last.syncs - first.syncs
    entries += last.batchSize?.count ?? 0
    commands += (last.batchSize?.count ?? 0) * (last.batchSize?.mean ?? 0)
  }
  const usage = [...kinds].map(([roles, { processes, cpuMicros, rssBytes }]) => ({
    roles,
    processes,
    cpuPercent: cpuMicros / 10_000 / seconds,
    rssMiB: rssBytes / 2 ** 20
  }))
  return { usage, syncs, meanBatch: entries === 0 ? 0 : commands / entries }
}

function rolesOf(status: NonNullable<ClusterSample['nodes'][number]['status']>): string {
  const kinds: [string, number][] = [
    ['router', status.routers.length],
    ['transfer', status.transfers.length],
    ['logic', status.logics.length],
    ['arbiter', status.arbiters.length]
  ]
  return kinds.flatMap(([kind, count]) => (count > 0 ? [kind] : [])).join(' + ')
}
