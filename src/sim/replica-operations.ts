import type { Prng } from '../base/prng.ts'
import { withLearner, without, withVoter } from '../raft/operator-rules.ts'
import type { RaftStatus } from '../raft/raft-api.ts'
import type { RouterEntry } from '../table/table.ts'
import { isMember } from './member-watch.ts'
import { askFor, type Leader, leaderOf } from './operations.ts'
import { atArbiter } from './slot-operations.ts'
import { pick } from './swarm.ts'
import type { ReplicaPlace } from './topology.ts'
import type { World } from './world.ts'

/**
 * Takes a router replica that has never been there one step further, as `ringset router` does: into the table, into its group as a learner, to
 * a vote, and then another one out of the group and out of the table. Each step may be cut off by whatever happens, and is then repeated.
 */
export function addReplica(world: World, random: Prng): void {
  const { topology, memberWatch } = world
  const group = pick(random, topology.firstSets)
  const newcomers = topology.replicasOf(group).filter(({ founder }) => !founder)
  const leader = leaderOf(world, group, random)
  if (leader === undefined || newcomers.length === 0) return
  const status = leader.replica.api.status()
  const { membership } = status
  const gone = ({ replicaId }: { readonly replicaId: number }): boolean =>
    memberWatch.joined(group, replicaId) && !isMember(membership, replicaId)
  // Numbers are given in ascending order, and none twice.
  const next = newcomers.find(it => !membership.voters.includes(it.replicaId) && !gone(it))
  const leaves = random.below(3) === 0 ? pick(random, membership.voters) : undefined
  atArbiter(world, (_, view) => {
    const listed = view.set(group)?.routers ?? []
    const left = listed.find(gone)
    const promoted = listed.find(
      ({ role, replicaId }) => role === 'learner' && membership.voters.includes(replicaId)
    )
    if (left !== undefined && !status.changing) place(world, group, left, 'none')
    else if (promoted !== undefined) place(world, group, promoted, 'voter')
    else if (next !== undefined) admit(world, { group, leader, status, next, listed })
    else if (leaves !== undefined) replace(world, leader, leaves)
  })
}

interface Admission {
  readonly group: string
  readonly leader: Leader
  readonly status: RaftStatus
  readonly next: ReplicaPlace
  readonly listed: readonly RouterEntry[]
}

/** The table comes first: by it the leader finds the replica. */
function admit(world: World, { group, leader, status, next, listed }: Admission): void {
  const { replicaId } = next
  if (!listed.some(entry => entry.replicaId === replicaId)) {
    place(world, group, next, 'learner')
  } else if (!status.membership.learners.includes(replicaId)) {
    askFor(world, leader, () => withLearner(status, replicaId))
  } else {
    askFor(world, leader, () => withVoter(status, replicaId))
  }
}

/** The group is larger than it was founded, so one may leave. */
function replace(world: World, leader: Leader, replicaId: number): void {
  const { api, group } = leader.replica
  const status = api.status()
  if (status.membership.voters.length <= world.topology.foundersOf(group).length) return
  askFor(world, leader, () => without(status, replicaId))
}

function place(
  world: World,
  setId: string,
  { replicaId, nodeId, address }: Pick<RouterEntry, 'replicaId' | 'nodeId' | 'address'>,
  role: RouterEntry['role'] | 'none'
): void {
  const router = { setId, replicaId, role, nodeId, address }
  atArbiter(world, ({ changes }) =>
    changes.place(router, refusal => {
      world.counted(`place_${role}_${refusal ?? 'done'}`)
      if (role === 'none' && refusal === undefined) world.marks.hit('replica left the table')
    })
  )
}
