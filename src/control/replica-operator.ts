import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { decisiveZone } from '../table/zones.ts'
import type { ClusterSample } from './cluster-control.ts'
import { clusterStatus, type GroupView, zonesOf } from './cluster-status.ts'
import type { ControlClient } from './control-client.ts'
import type { MemberChange, Members, NodeStatus } from './control-source.ts'
import { atLeader } from './leader-calls.ts'

/** The part of a cluster's control that changes of replicas need. */
export interface OperatedCluster {
  sample(): Promise<ClusterSample>
  /** Throws NODE_UNKNOWN. */
  node(id: string): Pick<ControlClient, OperatedCall>
}
type OperatedCall = 'status' | 'transferLeadership' | 'changeReplica' | 'placeReplica'
type OperatedNode = ReturnType<OperatedCluster['node']>

/** A replica and where it runs; the node is empty when nobody knows. */
export interface PlacedReplica {
  readonly replica: number
  readonly node: string
}

export interface TransferReport {
  readonly set: string
  readonly from: PlacedReplica
  readonly to: PlacedReplica
  readonly term: number
  /** How long the group took no requests; 0 when `to` led already. */
  readonly gapMs: number
}

export interface ChangeReport extends PlacedReplica, Members {
  readonly set: string
  /** False when the group was like that before. */
  readonly changed: boolean
  /** How a replica that led handed over first; null when it did not lead. */
  readonly handOver: TransferReport | null
}

/** Names the arbiter group where the name of a set stands. */
export const arbiterGroup = ''

const patienceMs = 5_000
/** What passes by itself while a group has just changed its leader or its members. */
const passing: readonly ErrorCode[] = ['NOT_LEADER', 'NO_LEADER', 'UNREACHABLE', 'CHANGE_PENDING']

/**
 * Changes the replicas of router groups in a running cluster. Each step goes to the node that leads
 * the group it is about. A method that failed half-way may simply be called again.
 */
export class ReplicaOperator {
  readonly #cluster: OperatedCluster
  readonly #patienceMs: number
  readonly #over: AbortSignal | undefined

  /**
   * @param patience how long to look for a leader, and for the end of another change.
   * @param over raised: not any longer
   */
  constructor(cluster: OperatedCluster, patience = patienceMs, over?: AbortSignal) {
    this.#cluster = cluster
    this.#patienceMs = patience
    this.#over = over
  }

  /** @param set or `arbiterGroup`. @param to undefined lets the leader choose. Throws what the leader refuses with. */
  transfer(set: string, to: number | undefined): Promise<TransferReport> {
    return this.#atLeader(set, async (node, view) => {
      const done = await node.transferLeadership(set, to)
      return {
        set: set === arbiterGroup ? 'arbiter' : set,
        from: placeOf(view, done.from),
        to: placeOf(view, done.to),
        term: done.term,
        gapMs: done.gapMs
      }
    })
  }

  /**
   * Makes the replica that waits on a node a learner of the set. The table comes first: by it the
   * leader finds the replica. Throws NODE_UNKNOWN, SET_UNKNOWN, NOT_JOINING, REPLICA_USED,
   * ZONE_DECIDES, and what the leader refuses with.
   *
   * @param force also where its vote would make a zone decisive
   */
  async add(set: string, nodeId: string, force = false): Promise<ChangeReport> {
    const seen = await this.#look(set)
    const status = await this.#cluster.node(nodeId).status()
    const replica = newcomer(status, set, seen.groups)
    if (!force) mustSpread(seen, set, { replica, node: nodeId })
    const place = { set, replica, node: nodeId, address: status.peerAddress }
    await this.#place({ ...place, role: 'learner' })
    const members = await this.#change(set, replica, 'add')
    return { set, replica, node: nodeId, ...members, handOver: null }
  }

  /** Gives a learner its vote. Throws ZONE_DECIDES unless forced, and what the leader refuses with. */
  async promote(set: string, replica: number, force = false): Promise<ChangeReport> {
    const seen = await this.#look(set)
    const { view } = seen
    if (!force) mustSpread(seen, set, placeOf(view, replica))
    const members = await this.#change(set, replica, 'promote')
    await this.#place({ set, replica, role: 'voter', node: '', address: '' })
    return { set, ...placeOf(view, replica), ...members, handOver: null }
  }

  /** Takes a replica out of the group, then out of the table. A leader hands over first. Throws what the leader refuses with. */
  async remove(set: string, replica: number): Promise<ChangeReport> {
    const { view, listed } = await this.#look(set)
    let handOver: TransferReport | null = null
    let members: Members & { changed: boolean }
    try {
      members = await this.#change(set, replica, 'remove')
    } catch (error) {
      if (!isCode(error, 'REPLICA_LEADS')) throw error
      handOver = await this.transfer(set, undefined)
      members = await this.#change(set, replica, 'remove')
    }
    if (!members.changed && !listed.includes(replica)) {
      const known = listed.join(', ')
      throw new RingsetError(
        'REPLICA_UNKNOWN',
        `set ${set} has no replica ${replica}, only ${known}`
      )
    }
    await this.#place({ set, replica, role: 'none', node: '', address: '' })
    return { set, ...placeOf(view, replica), ...members, handOver }
  }

  #change(set: string, replica: number, change: MemberChange) {
    return this.#atLeader(set, node => node.changeReplica(set, replica, change))
  }

  async #place(place: Parameters<OperatedNode['placeReplica']>[0]): Promise<void> {
    await this.#atLeader(arbiterGroup, node => node.placeReplica(place)).catch(error => {
      if (!isCode(error, 'NO_LEADER') && !isCode(error, 'TIMEOUT')) throw error
      const text = `the arbiters did not take the change into the routing table: ${error.message}; repeat the command when they have a leader`
      throw new RingsetError(error.code, text)
    })
  }

  /** Throws SET_UNKNOWN, NO_TABLE, and NO_LEADER while the arbiters could not follow a change. */
  async #look(set: string): Promise<Seen> {
    const sample = await this.#cluster.sample()
    const seen = see(sample, set)
    if (clusterStatus(sample).arbiter.leader === null) {
      throw new RingsetError(
        'NO_LEADER',
        'the arbiter group has no leader, so nobody may change the routing table'
      )
    }
    return seen
  }

  #atLeader<T>(set: string, ask: (node: OperatedNode, view: GroupView) => Promise<T>): Promise<T> {
    const look = async () => see(await this.#cluster.sample(), set).view
    const group = set === arbiterGroup ? 'the arbiter group' : `set ${set}`
    const led = { look, group, passing, patienceMs: this.#patienceMs, over: this.#over }
    return atLeader(led, (leader, view) => ask(this.#cluster.node(leader), view))
  }
}

interface Seen {
  readonly view: GroupView
  /** What the nodes with replicas of the group say. */
  readonly groups: readonly NodeStatus['routers'][number][]
  /** Numbers of the replicas in the routing table. */
  readonly listed: readonly number[]
  /** Node id → zone. */
  readonly zones: ReadonlyMap<string, string>
}

function see(sample: ClusterSample, set: string): Seen {
  const answered = sample.nodes.flatMap(({ status }) => status ?? [])
  if (answered.length === 0) {
    const code = sample.nodes[0]?.error ?? 'UNREACHABLE'
    throw new RingsetError(code, 'no node of the cluster answers')
  }
  const { arbiter, sets } = clusterStatus(sample)
  const zones = zonesOf(sample)
  if (set === arbiterGroup) return { view: arbiter, groups: [], listed: [], zones }
  const { table } = sample
  if (table === undefined) throw new RingsetError('NO_TABLE')
  const entry = table.sets.find(({ id }) => id === set)
  const view = sets.find(({ id }) => id === set)?.router
  if (entry === undefined || view === undefined) {
    const known = table.sets.map(({ id }) => id).join(', ')
    throw new RingsetError('SET_UNKNOWN', `no set is called ${set}; there are ${known}`, { set })
  }
  return {
    view,
    groups: answered.flatMap(({ routers }) => routers.filter(router => router.set === set)),
    listed: entry.routers.map(({ replicaId }) => replicaId),
    zones
  }
}

/**
 * Throws ZONE_DECIDES when a new voter would make its zone decisive among those voters that are
 * there: whoever is unreachable is about to be replaced.
 */
function mustSpread({ view, zones }: Seen, set: string, { replica, node }: PlacedReplica): void {
  const zone = zones.get(node)
  const there = view.replicas.filter(({ voter, role }) => voter && role !== 'unreachable')
  if (there.some(({ id }) => id === replica)) return
  const voters = [...there.map(other => zones.get(other.node)), zone]
  // Somebody whose zone nobody knows: there is nothing to judge.
  if (voters.includes(undefined)) return
  const known = new Set(zones.values())
  if (zone === undefined || decisiveZone(voters as string[], known.size) !== zone) return
  const held = voters.filter(one => one === zone).length
  const text = `zone ${zone} would have ${held} of the ${voters.length} voters of set ${set}, and there are nodes in ${[...known].join(', ')}`
  throw new RingsetError('ZONE_DECIDES', text, { zone, replica })
}

/** The number of the replica on a node that is to be added. */
function newcomer(status: NodeStatus, set: string, groups: Seen['groups']): number {
  const node = status.nodeId
  const raft = status.routers.find(router => router.set === set)?.raft
  if (raft === undefined) {
    throw new RingsetError('NOT_JOINING', `node ${node} runs no router of set ${set}`)
  }
  const { replica } = raft
  const leading = groups.find(group => group.raft?.role === 'leader')?.raft
  if (leading?.voters.includes(replica)) {
    const text = `node ${node} runs replica ${replica} of set ${set}, which is a voter already`
    throw new RingsetError('NOT_JOINING', text, { replica })
  }
  if (raft.voters.includes(replica) && raft.lastIndex === 0) {
    const text = `replica ${replica} on node ${node} was started without \`join: true\``
    throw new RingsetError('NOT_JOINING', text, { replica })
  }
  return replica
}

function placeOf(view: GroupView, replica: number): PlacedReplica {
  return { replica, node: view.replicas.find(({ id }) => id === replica)?.node ?? '' }
}

function isCode(error: unknown, code: ErrorCode): error is RingsetError {
  return error instanceof RingsetError && error.code === code
}
