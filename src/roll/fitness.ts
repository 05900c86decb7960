import { RingsetError } from '../base/errors.ts'
import type { ClusterConfig, NodeConfig } from '../config/schema.ts'
import type { ClusterSample } from '../control/cluster-control.ts'
import { clusterStatus, type GroupView, type ReplicaView } from '../control/cluster-status.ts'
import { readiness } from '../launch/readiness.ts'

/** A follower that lacks more entries than that is not level with its leader. */
const behindEntriesMax = 200

interface NamedGroup {
  /** `arbiter` or the set's id. */
  readonly id: string
  /** For people. */
  readonly name: string
  readonly view: GroupView
}

/**
 * What is not as it should be in any group of the cluster, as a refusal that names the group;
 * undefined when every replica of every group is up, sound and level with its leader.
 */
export function groupFault(sample: ClusterSample): RingsetError | undefined {
  const lost = sample.table?.sets.find(({ state }) => state === 'lost')
  if (lost !== undefined) {
    const text = `set ${lost.id} is given up and its slots are leaving it: finish that first, with \`ringset set recover ${lost.id} --accept-loss\``
    return new RingsetError('SET_LOST', text, { set: lost.id })
  }
  for (const group of groupsOf(sample)) {
    const fault = faultOf(group)
    if (fault !== undefined) return fault
  }
  return undefined
}

/**
 * Why the cluster is not whole: a fault of a group, a node that does not run, a process that the
 * routing table does not have as up, or a node with an older table. Undefined when it is.
 */
export function wholenessFault(
  config: ClusterConfig,
  sample: ClusterSample
): RingsetError | undefined {
  const fault = groupFault(sample)
  if (fault !== undefined) return fault
  const silent = sample.nodes.find(({ status }) => status?.state !== 'running')
  if (silent !== undefined) {
    const state = silent.status?.state ?? 'does not answer'
    return new RingsetError('NODE_FAILED', `node ${silent.id}: ${state}`, { node: silent.id })
  }
  const [missing] = readiness(config, sample).waitingFor
  if (missing !== undefined) return new RingsetError('CHANGE_PENDING', `not so yet: ${missing}`)
  const epoch = sample.table?.epoch ?? 0
  const stale = sample.nodes.find(({ status }) => status?.epoch !== epoch)
  if (stale === undefined) return undefined
  return new RingsetError('CHANGE_PENDING', `table epoch ${epoch} is on its way to ${stale.id}`)
}

/** Why a node must not stop now: a group would lose its majority, or a set its last gateway or logic. */
export function stopFault(
  config: ClusterConfig,
  sample: ClusterSample,
  nodeId: string
): RingsetError | undefined {
  for (const { id, name, view } of groupsOf(sample)) {
    const voters = view.replicas.filter(({ voter }) => voter)
    const others = voters.filter(({ node }) => node !== nodeId)
    const needed = (voters.length >> 1) + 1
    const left = others.filter(isFit).length
    if (others.length === voters.length || left >= needed) continue
    const text = `${name}: without node ${nodeId}, ${left} of ${voters.length} voters are left, and ${needed} are needed`
    return new RingsetError('QUORUM_AT_RISK', text, { group: id, node: nodeId })
  }
  const node = config.nodes.find(({ id }) => id === nodeId)!
  for (const role of node.roles) {
    if (role.role !== 'transfer' && role.role !== 'logic') continue
    const set = sample.table?.sets.find(({ id }) => id === role.set)
    const list = role.role === 'transfer' ? set?.transfers : set?.logics
    if (list?.some(other => other.nodeId !== nodeId && other.state === 'up')) continue
    const what = role.role === 'transfer' ? 'gateway' : 'logic'
    const text = `set ${role.set} has no other ${what} that is up than those of node ${nodeId}`
    return new RingsetError('LAST_TRANSFER', text, { group: role.set, node: nodeId })
  }
  return undefined
}

/**
 * Which of the nodes is the next: arbiters first, then routers, then the rest; among equals the one
 * that leads the fewest groups, so that leadership moves rarely; then the first of the configuration.
 */
export function nextNode(nodes: readonly NodeConfig[], sample: ClusterSample): NodeConfig {
  const leaders = groupsOf(sample).map(({ view }) => view.leader)
  const rank = ({ id, roles }: NodeConfig): number => {
    const kinds = roles.map(({ role }) => role)
    const phase = kinds.includes('arbiter') ? 0 : kinds.includes('router') ? 1 : 2
    return phase * 1_000_000 + leaders.filter(leader => leader === id).length
  }
  return nodes.reduce((best, node) => (rank(node) < rank(best) ? node : best))
}

function groupsOf(sample: ClusterSample): NamedGroup[] {
  const { arbiter, sets } = clusterStatus(sample)
  return [
    { id: 'arbiter', name: 'the arbiters', view: arbiter },
    ...sets.map(({ id, router }) => ({ id, name: `set ${id}`, view: router }))
  ]
}

function faultOf({ id, name, view }: NamedGroup): RingsetError | undefined {
  const refusal = (
    code: 'REPLICA_DOWN' | 'REPLICA_QUARANTINED' | 'REPLICA_BEHIND',
    { id: replica, node }: ReplicaView,
    what: string
  ) =>
    new RingsetError(code, `${name}: replica ${replica} (${node}) ${what}`, { group: id, replica })
  const members = view.replicas.filter(({ role }) => role !== 'waiting' && role !== 'removed')
  for (const member of members) {
    const { role } = member
    if (role === 'unreachable') return refusal('REPLICA_DOWN', member, 'does not answer')
    if (role === 'quarantined') {
      return refusal('REPLICA_QUARANTINED', member, 'is in quarantine')
    }
  }
  if (view.leader === null) {
    return new RingsetError('NO_LEADER', `${name}: no replica leads`, { group: id })
  }
  if (view.joint) {
    const text = `${name}: a change of its members is under way`
    return new RingsetError('CHANGE_PENDING', text, { group: id })
  }
  for (const member of members) {
    if (!isFit(member)) return refusal('REPLICA_DOWN', member, `is ${member.role}`)
    const behind = view.commit - member.match
    if (behind > behindEntriesMax) {
      return refusal('REPLICA_BEHIND', member, `lacks ${behind} entries`)
    }
  }
  return undefined
}

function isFit({ role }: ReplicaView): boolean {
  return role === 'leader' || role === 'follower' || role === 'learner'
}
