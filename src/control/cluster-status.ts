import type {
  ArbiterStatus,
  ReplicaStatus,
  RouterStatus
} from '../gen/ringset/control/v1/control.ts'
import { ownersOf } from '../table/runs.ts'
import type { ReplicaEntry, RouterEntry, RoutingTable, SetEntry } from '../table/table.ts'
import type { ClusterSample, NodeSample } from './cluster-control.ts'
import type { NodeStatus } from './control-source.ts'

export interface GroupView {
  /** Node id of the leader; null while there is none. */
  readonly leader: string | null
  readonly term: number
  readonly commit: number
  /** While two memberships hold together: the last change is not through yet. */
  readonly joint: boolean
  readonly replicas: readonly ReplicaView[]
}

export interface ReplicaView {
  readonly id: number
  readonly node: string
  /**
   * Raft's role, `learner` (has no vote yet), `quarantined` (distrusts its disk and does not vote), `waiting` (not added yet), `removed`,
   * or `unreachable`.
   */
  readonly role: string
  /** Whether it counts for majorities, as the leader knows; without a leader as it or the table says. */
  readonly voter: boolean
  /** Highest entry known to be in its log, as the leader knows; 0 without a leader. */
  readonly match: number
  readonly applied: number
}

export interface TransferView {
  readonly id: string
  readonly node: string
  readonly state: string
  readonly connections: number
  readonly addresses: readonly string[]
  readonly sends: number
  readonly acks: number
  readonly pushes: number
}

export interface LogicView {
  readonly id: string
  readonly node: string
  readonly state: string
  readonly requests: number
}

export interface OutboxView {
  readonly to: string
  readonly waiting: number
}

export interface SetView {
  readonly id: string
  /** `active`, `draining`, `lost` once it was given up, or `unavailable` while its router group has no leader. */
  readonly state: string
  readonly slots: number
  readonly users: number
  readonly sessions: number
  readonly appends: number
  /** Slots that have left, and what they left behind is not deleted yet. */
  readonly leaving: number
  /** Other sets for which messages wait here, and how many. */
  readonly outboxes: readonly OutboxView[]
  readonly router: GroupView
  readonly transfers: readonly TransferView[]
  readonly logics: readonly LogicView[]
}

export interface MoveView {
  readonly slot: number
  /** Owns it still. */
  readonly from: string
  readonly to: string
  /** Of the table that began the move. */
  readonly epoch: number
}

export interface NodeView {
  readonly id: string
  /** Its failure domain; empty while nobody who knows answers. */
  readonly zone: string
  /** `starting`, `running`, `stopping` or `unreachable`. */
  readonly state: string
  readonly pid: number
  readonly epoch: number
  readonly uptimeMs: number
  readonly rssBytes: number
  readonly cpuMicros: number
  readonly eventLoopP99Ms: number
  readonly roles: readonly string[]
  readonly controlAddress: string
}

/** The whole cluster as `ringset status --json` prints it; field names are stable. */
export interface ClusterStatus {
  readonly cluster: string
  readonly clusterId: string
  readonly epoch: number
  readonly arbiter: GroupView
  readonly sets: readonly SetView[]
  /** Slots on their way from one set to another, ascending. */
  readonly moves: readonly MoveView[]
  readonly nodes: readonly NodeView[]
}

/** Puts the nodes' own reports and the newest table into one picture. */
export function clusterStatus(sample: ClusterSample): ClusterStatus {
  const { table } = sample
  const answered = sample.nodes.flatMap(node => node.status ?? [])
  const zones = zonesOf(sample)
  const setIds = new Set<string>(table?.sets.map(set => set.id))
  for (const status of answered) {
    for (const { set } of [...status.routers, ...status.transfers, ...status.logics])
      setIds.add(set)
  }
  return {
    cluster: answered[0]?.cluster ?? '',
    clusterId: table?.clusterId ?? '',
    epoch: table?.epoch ?? 0,
    arbiter: groupView(
      answered.flatMap(status => status.arbiters.map(own => ({ status, own }))),
      table?.arbiters ?? []
    ),
    sets: [...setIds].sort().map(id => setView(id, answered, table)),
    moves: table === undefined ? [] : moveViews(table),
    nodes: sample.nodes.map(node => nodeView(node, zones))
  }
}

/** Node id → zone, as the nodes' configurations say. */
export function zonesOf(sample: ClusterSample): ReadonlyMap<string, string> {
  const answered = sample.nodes.flatMap(({ status }) => status?.nodes ?? [])
  return new Map(answered.map(({ id, zone }) => [id, zone]))
}

function moveViews({ moves, runs }: RoutingTable): MoveView[] {
  if (moves.length === 0) return []
  const owners = ownersOf(runs)
  return moves.map(({ slot, to, epoch }) => ({ slot, from: owners[slot] ?? '', to, epoch }))
}

interface Placed<T> {
  readonly status: NodeStatus
  readonly own: T
}

function setView(
  id: string,
  answered: readonly NodeStatus[],
  table: RoutingTable | undefined
): SetView {
  const entry = table?.sets.find(set => set.id === id)
  const ofSet = <T extends { set: string }>(pick: (status: NodeStatus) => T[]): Placed<T>[] =>
    answered.flatMap(status =>
      pick(status)
        .filter(own => own.set === id)
        .map(own => ({ status, own }))
    )
  const replicas = ofSet(status => status.routers)
  const router = groupView(replicas, entry?.routers ?? [])
  const leading = leaderOf(replicas)
  const runs = table?.runs.filter(run => run.setId === id) ?? []
  return {
    id,
    state: stateOf(entry, router),
    slots: runs.reduce((sum, run) => sum + run.count, 0),
    users: leading?.own.users ?? 0,
    sessions: leading?.own.sessions ?? 0,
    appends: leading?.own.appends ?? 0,
    leaving: leading?.own.leaving ?? 0,
    outboxes: (leading?.own.channels ?? [])
      .filter(({ waiting }) => waiting > 0)
      .map(({ targetSet, waiting }) => ({ to: targetSet, waiting })),
    router,
    transfers: transferViews(
      entry,
      ofSet(status => status.transfers)
    ),
    logics: logicViews(
      entry,
      ofSet(status => status.logics)
    )
  }
}

function stateOf(entry: SetEntry | undefined, { leader }: GroupView): string {
  if (entry?.state === 'lost') return entry.state
  return leader === null ? 'unavailable' : (entry?.state ?? 'active')
}

function transferViews(
  entry: SetEntry | undefined,
  live: Placed<NodeStatus['transfers'][number]>[]
): TransferView[] {
  const views = live.map(({ status, own }) => ({
    id: own.id,
    node: status.nodeId,
    state: own.state,
    connections: own.connections,
    addresses: own.clientAddresses,
    sends: own.sends,
    acks: own.acks,
    pushes: own.pushes
  }))
  const silent = (entry?.transfers ?? []).filter(({ id }) => !views.some(view => view.id === id))
  const none = { connections: 0, sends: 0, acks: 0, pushes: 0 }
  for (const { id, nodeId, clientAddresses } of silent) {
    views.push({ id, node: nodeId, state: 'unreachable', addresses: [...clientAddresses], ...none })
  }
  return views.sort(byId)
}

function logicViews(
  entry: SetEntry | undefined,
  live: Placed<NodeStatus['logics'][number]>[]
): LogicView[] {
  const views = live.map(({ status, own }) => ({
    id: own.id,
    node: status.nodeId,
    state: 'up',
    requests: own.requests
  }))
  const silent = (entry?.logics ?? []).filter(({ id }) => !views.some(view => view.id === id))
  for (const { id, nodeId } of silent) {
    views.push({ id, node: nodeId, state: 'unreachable', requests: 0 })
  }
  return views.sort(byId)
}

const byId = (a: { id: string }, b: { id: string }): number => (a.id < b.id ? -1 : 1)

type GroupMember = Placed<RouterStatus | ArbiterStatus>

function groupView(members: readonly GroupMember[], known: readonly ReplicaEntry[]): GroupView {
  const leading = leaderOf(members)
  const raft = leading?.own.raft
  const matchOf = (own: ReplicaStatus): number => {
    if (own.replica === raft?.replica) return own.lastIndex
    return raft?.peers.find(peer => peer.replica === own.replica)?.match ?? 0
  }
  const votes = (id: number, otherwise: boolean): boolean =>
    raft === undefined ? otherwise : raft.voters.includes(id) || raft.outgoing.includes(id)
  const replicas: ReplicaView[] = members.flatMap(({ status, own: { raft: own } }) => {
    if (own === undefined) return []
    const { replica: id, applied, membership } = own
    const voter = votes(id, membership === 'voter')
    return [{ id, node: status.nodeId, role: roleOf(own), voter, match: matchOf(own), applied }]
  })
  for (const entry of known) {
    const { replicaId: id, nodeId: node } = entry
    if (replicas.some(replica => replica.id === id)) continue
    const match = raft?.peers.find(peer => peer.replica === id)?.match ?? 0
    const voter = votes(id, (entry as Partial<RouterEntry>).role !== 'learner')
    replicas.push({ id, node, role: 'unreachable', voter, match, applied: 0 })
  }
  return {
    leader: leading?.status.nodeId ?? null,
    term: raft?.term ?? Math.max(0, ...members.map(({ own }) => own.raft?.term ?? 0)),
    commit: raft?.commit ?? 0,
    joint: (raft?.outgoing.length ?? 0) > 0,
    replicas: replicas.sort((a, b) => a.id - b.id)
  }
}

function roleOf({ role, membership, quarantined }: ReplicaStatus): string {
  if (membership === 'waiting' || membership === 'removed') return membership
  if (quarantined) return 'quarantined'
  return membership === 'learner' ? 'learner' : role
}

/** Of two that believe they lead, the one of the newer term does. */
function leaderOf<T extends RouterStatus | ArbiterStatus>(
  members: readonly Placed<T>[]
): Placed<T> | undefined {
  let best: Placed<T> | undefined
  for (const member of members) {
    if (member.own.raft?.role !== 'leader') continue
    if (member.own.raft.term > (best?.own.raft?.term ?? 0)) best = member
  }
  return best
}

function nodeView(
  { id, controlAddress, status }: NodeSample,
  zones: ReadonlyMap<string, string>
): NodeView {
  return {
    id,
    zone: zones.get(id) ?? '',
    state: status?.state ?? 'unreachable',
    pid: status?.pid ?? 0,
    epoch: status?.epoch ?? 0,
    uptimeMs: status?.uptimeMs ?? 0,
    rssBytes: status?.process?.rssBytes ?? 0,
    cpuMicros: status?.process?.cpuMicros ?? 0,
    eventLoopP99Ms: status?.process?.eventLoopDelayMs?.p99 ?? 0,
    roles: status === undefined ? [] : roleNames(status),
    controlAddress
  }
}

function roleNames(status: NodeStatus): string[] {
  return [
    ...status.arbiters.map(({ raft }) => `arbiter/${raft?.replica ?? 0}`),
    ...status.routers.map(({ set, raft }) => `router/${set}/${raft?.replica ?? 0}`),
    ...status.transfers.map(({ id }) => `transfer/${id}`),
    ...status.logics.map(({ id }) => `logic/${id}`)
  ]
}
