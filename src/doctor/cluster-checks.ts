import type { ClusterConfig } from '../config/schema.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { clusterStatus, type GroupView } from '../control/cluster-status.ts'
import { type Finding, fail, ok, orOk, warn } from './finding.ts'
import { spaceFinding } from './machine-checks.ts'

const behindEntriesMax = 1_000
const loopLateMs = 50
const skewWarnMs = 1_000
const skewFailMs = 60_000

/** Metrics that count broken invariants. */
const mustBeZero = [
  'table_conflicts_total',
  'arbiter_state_lost_total',
  'router_misrouted_total'
] as const

/** A node's clock beside that of this machine. */
export interface ClockReading {
  readonly id: string
  /** How far it is ahead; negative: behind. */
  readonly aheadMs: number
  /** How far off that may be. */
  readonly uncertainMs: number
}

/** What is known of the cluster beside what its nodes tell. */
export interface Surroundings {
  readonly config: ClusterConfig | undefined
  /** Nodes whose processes live on this machine, answering or not. */
  readonly living: ReadonlySet<string>
  readonly clocks: readonly ClockReading[]
}

/** Everything that the nodes themselves tell. At least one has answered. */
export function clusterChecks(
  sample: ClusterSample,
  { config, living, clocks }: Surroundings
): Finding[] {
  return [
    ...nodes(sample, living),
    ...leaders(sample),
    ...lostSets(sample),
    ...replicas(sample),
    ...tables(sample),
    ...processes(sample),
    ...disks(sample, config),
    clockSkew(clocks),
    eventLoops(sample),
    ...invariants(sample),
    ...versions(sample)
  ]
}

function nodes({ nodes: all }: ClusterSample, living: ReadonlySet<string>): Finding[] {
  const found = all.flatMap(({ id, controlAddress, status, error }) => {
    if (status === undefined) {
      const lives = living.has(id)
      const text = `node ${id} ${lives ? 'lives and ' : ''}does not answer at ${controlAddress} (${error})`
      const remedy = lives
        ? `if it is paused: ringset node resume ${id}`
        : `ringset node start ${id}`
      return [fail('nodes', text, `see its log; ${remedy}`)]
    }
    if (status.state === 'running') return []
    return [warn('nodes', `node ${id} is ${status.state}`, 'wait, and look again')]
  })
  return orOk(found, 'nodes', `${all.length} run`)
}

/** All but the groups of lost sets, which are none any more. */
function groupsOf(sample: ClusterSample): { name: string; view: GroupView }[] {
  const { arbiter, sets } = clusterStatus(sample)
  const alive = sets.filter(({ state }) => state !== 'lost')
  return [
    { name: 'the arbiters', view: arbiter },
    ...alive.map(({ id, router }) => ({ name: `set ${id}`, view: router }))
  ]
}

function leaders(sample: ClusterSample): Finding[] {
  const groups = groupsOf(sample)
  const found = groups.flatMap(({ name, view }) => {
    if (view.leader !== null) return []
    const down = view.replicas.filter(({ role }) => role === 'unreachable').map(({ node }) => node)
    const remedy =
      down.length === 0 ? 'wait a moment, and look again' : `start ${down.join(', ')} again`
    return [fail('leaders', `${name}: nobody leads`, remedy)]
  })
  return orOk(found, 'leaders', `${groups.length} groups have one`)
}

/** Nothing unless somebody has given a set up. */
function lostSets(sample: ClusterSample): Finding[] {
  return clusterStatus(sample).sets.flatMap(({ id, state, slots, router }) => {
    if (state !== 'lost') return []
    const again = `ringset set recover ${id} --accept-loss`
    const silent = router.replicas.find(({ role }) => role === 'unreachable')
    if (silent !== undefined && slots > 0) {
      const text = `set ${id} is given up, and node ${silent.node}, which its last ${slots} slots are read from, does not answer`
      return [fail('lost-sets', text, `start ${silent.node} again, then ${again}`)]
    }
    const text = `set ${id} is given up, with ${slots} slots left in it`
    return [warn('lost-sets', text, `${again} goes on with them, then takes the set out`)]
  })
}

function replicas(sample: ClusterSample): Finding[] {
  const groups = groupsOf(sample)
  const found = groups.flatMap(({ name, view }) =>
    view.replicas.flatMap(({ id, node, role, match }): Finding[] => {
      const who = `${name}: replica ${id} on ${node}`
      if (role === 'quarantined') {
        const remedy =
          'it heals by itself; until then the group has one spare less; look for a bad disk'
        return [fail('replicas', `${who} is in quarantine`, remedy)]
      }
      if (role === 'removed') {
        return [warn('replicas', `${who} is removed`, 'take its role out of the configuration')]
      }
      if (role === 'waiting') {
        return [warn('replicas', `${who} waits`, 'ringset router add, or ringset set add')]
      }
      const behind = view.commit - match
      if (role === 'unreachable' || view.leader === null || behind <= behindEntriesMax) return []
      return [warn('replicas', `${who} is ${behind} entries behind`, 'wait until it has caught up')]
    })
  )
  return orOk(found, 'replicas', 'sound, and level with their leaders')
}

function tables({ nodes: all, table }: ClusterSample): Finding[] {
  const found: Finding[] = []
  const clusters = new Set(all.flatMap(({ status }) => status?.clusterId || []))
  if (clusters.size > 1) {
    const text = `nodes belong to several clusters: ${[...clusters].join(', ')}`
    found.push(fail('tables', text, 'give each cluster folders, ports and secrets of its own'))
  }
  const epoch = table?.epoch ?? 0
  for (const { id, status } of all) {
    if (status === undefined || status.epoch >= epoch) continue
    const text = `node ${id} has the table of epoch ${status.epoch}, the newest is ${epoch}`
    found.push(warn('tables', text, 'look again; if it stays so, see its log for `link_failed`'))
  }
  return orOk(found, 'tables', `all nodes have epoch ${epoch}`)
}

/** Those that answer here and that the table has as down. */
function processes({ nodes: all, table }: ClusterSample): Finding[] {
  const answering = new Set(all.filter(({ status }) => status !== undefined).map(({ id }) => id))
  const down = (table?.sets ?? [])
    .flatMap(({ transfers, logics, routers }) => [...transfers, ...logics, ...routers])
    .filter(({ nodeId, state }) => state === 'down' && answering.has(nodeId))
  const ids = [...new Set(down.map(({ nodeId }) => nodeId))]
  const found = ids.map(id => {
    const text = `node ${id} runs, and the routing table has processes of it as down`
    return warn('processes', text, 'look at the links between it and the arbiters')
  })
  return orOk(found, 'processes', 'those that run are up in the routing table')
}

function disks({ nodes: all }: ClusterSample, config: ClusterConfig | undefined): Finding[] {
  const reserveBytes = config?.storage.reserveBytes ?? 0
  const found = all.flatMap(({ id, status }) => {
    const freeBytes = status?.metrics.disk_free_bytes
    if (freeBytes === undefined) return []
    return [spaceFinding('node-disks', `node ${id}`, freeBytes, reserveBytes)]
  })
  const bad = found.filter(({ level }) => level !== 'ok')
  return orOk(bad, 'node-disks', `${found.length} have room`)
}

export function clockSkew(clocks: readonly ClockReading[]): Finding {
  if (clocks.length === 0) return ok('clocks', 'nobody tells')
  const least = clocks.reduce((a, b) =>
    b.aheadMs + b.uncertainMs < a.aheadMs + a.uncertainMs ? b : a
  )
  const most = clocks.reduce((a, b) =>
    b.aheadMs - b.uncertainMs > a.aheadMs - a.uncertainMs ? b : a
  )
  const apartMs = most.aheadMs - most.uncertainMs - (least.aheadMs + least.uncertainMs)
  if (apartMs < skewWarnMs) return ok('clocks', 'less than a second apart')
  const text = `that of node ${most.id} is at least ${(apartMs / 1_000).toFixed(1)} s ahead of node ${least.id}`
  const remedy = 'run NTP: messages and tokens carry the wall time'
  return apartMs < skewFailMs ? warn('clocks', text, remedy) : fail('clocks', text, remedy)
}

function eventLoops({ nodes: all }: ClusterSample): Finding {
  const late = all.flatMap(({ id, status }) => {
    const lateMs = status?.process?.eventLoopDelayMs?.p99 ?? 0
    return lateMs > loopLateMs ? [`${id} ${lateMs.toFixed(0)} ms`] : []
  })
  if (late.length === 0) return ok('event-loops', `p99 within ${loopLateMs} ms`)
  const remedy = 'give the processes more processor time, or less to do'
  return warn('event-loops', `p99 of what they are late: ${late.join(', ')}`, remedy)
}

function invariants({ nodes: all }: ClusterSample): Finding[] {
  const found = all.flatMap(({ id, status }) =>
    mustBeZero.flatMap(name => {
      const count = status?.metrics[name] ?? 0
      if (count === 0) return []
      const remedy = 'keep the data and the logs; docs/operations.md tells what it means'
      return [fail('invariants', `node ${id}: ${name} is ${count}`, remedy)]
    })
  )
  return orOk(found, 'invariants', 'nothing was counted that must be 0')
}

function versions({ nodes: all }: ClusterSample): Finding[] {
  const known = new Set(all.flatMap(({ status }) => status?.version || []))
  if (known.size <= 1) return [ok('versions', [...known].join())]
  const text = `nodes run ${[...known].sort().join(' and ')}`
  return [warn('versions', text, 'bring the upgrade to its end: ringset roll')]
}
