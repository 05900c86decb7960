import { RingsetError } from '../base/errors.ts'
import type { Random } from '../base/ports.ts'
import type { MembershipTarget } from '../raft/membership.ts'
import { successorOf, without, withVoter } from '../raft/operator-rules.ts'
import type { RaftStatus } from '../raft/raft-api.ts'
import type { ReplicaId } from '../raft/types.ts'
import { isQuorum } from './member-watch.ts'
import type { HostedReplica, SimProcess } from './sim-process.ts'
import { pick, shuffled } from './swarm.ts'
import type { World } from './world.ts'

export interface Leader {
  readonly process: SimProcess
  readonly replica: HostedReplica
}

/** What the refusals of an operator's change are about that keep a group from losing its majority. */
const unsafe = ['QUORUM_AT_RISK', 'REPLICA_DOWN', 'REPLICA_QUARANTINED', 'REPLICA_BEHIND']

/**
 * An operator asks the leader of a group for other members, at random, by the rules that hold for operators.
 * @returns the leader, if it has taken the change on.
 */
export function changeMembers(world: World, random: Random): SimProcess | undefined {
  const leader = leaderOfSome(world, random)
  if (leader === undefined) return undefined
  const { process, replica } = leader
  const begun = askFor(world, leader, () => drawTarget(replica.api.status(), random))
  return begun ? process : undefined
}

/** @param draw gives the members to ask for, nothing, or throws what operators are refused with. @returns whether the leader has taken the change on. */
export function askFor(
  world: World,
  { process, replica }: Leader,
  draw: () => MembershipTarget | undefined
): boolean {
  const { group, api, endpoint } = replica
  const status = api.status()
  const target = allowed(world, draw)
  if (target === undefined || !recoverable(world, group, target, status)) return false
  const refusal = api.changeMembers(target)
  world.counted(`change_${refusal ?? 'begun'}`)
  if (refusal !== undefined) return false
  world.memberWatch.asked(group, target, status, api.status().lastIndex)
  const { voters, learners } = target
  world.trace.tell(world.kernel.nowMs(), process.nodeId, () => {
    return `asked for voters ${voters.join(' ')} and learners ${learners.join(' ') || 'none'}`
  })
  process.wake(endpoint)
  return true
}

/** An operator has another voter of a group lead it. */
export function handOver(world: World, random: Random): void {
  const leader = leaderOfSome(world, random)
  if (leader === undefined) return
  const { process, replica } = leader
  const status = replica.api.status()
  const to = allowed(world, () => successorOf(status, pick(random, status.membership.voters)))
  if (to === undefined || replica.api.transferLeadership(to) !== undefined) return
  process.wake(replica.endpoint)
}

/** Of a group of three or more. */
function leaderOfSome(world: World, random: Random): Leader | undefined {
  const { topology } = world
  const large = topology.groups.filter(group => topology.replicasOf(group).length >= 3)
  if (large.length === 0) return undefined
  return leaderOf(world, pick(random, large), random)
}

/** Where several believe to lead, any of them. */
export function leaderOf(world: World, group: string, random: Random): Leader | undefined {
  const leaders = world.nodes.flatMap(process =>
    process.replicas.flatMap(replica =>
      replica.group === group && replica.api.leading() && !process.paused
        ? [{ process, replica }]
        : []
    )
  )
  return leaders.length === 0 ? undefined : pick(random, leaders)
}

/** What `rule` gives, or nothing where it refuses. */
function allowed<T>(world: World, rule: () => T): T | undefined {
  try {
    return rule()
  } catch (error) {
    if (!(error instanceof RingsetError)) throw error
    world.counted(`refused_${error.code}`)
    if (unsafe.includes(error.code)) world.marks.hit('change refused as unsafe')
    return undefined
  }
}

/** Two voters of three, three of five. A replica that is removed never comes back, so of three none is. */
function drawTarget(status: RaftStatus, random: Random): MembershipTarget | undefined {
  const { voters, learners } = status.membership
  const members = [...voters, ...learners]
  const votersMin = Math.min(members.length, members.length > 3 ? 3 : 2)
  const someLearner = learners.length > 0 ? pick(random, learners) : undefined
  const choice = random.below(20)
  if (choice < 2 && members.length > 3) {
    const spare = voters.length > votersMin ? members : learners
    const silent = spare.filter(id => status.progress.some(it => it.id === id && !it.heard))
    const removable = silent.length > 0 ? silent : spare
    return removable.length === 0 ? undefined : without(status, pick(random, removable))
  }
  if (choice < 8 && someLearner !== undefined) return withVoter(status, someLearner)
  if (choice < 14 && voters.length > votersMin) return demoted(status, pick(random, voters))
  const count = votersMin + random.below(members.length - votersMin + 1)
  return swapped(status, shuffled(members, random).slice(0, count))
}

function demoted(status: RaftStatus, id: ReplicaId): MembershipTarget {
  const { voters, learners } = without(status, id)!
  return { voters, learners: [...learners, id] }
}

/** Several at once, among them perhaps the leader. Each newcomer must be fit to vote. */
function swapped(status: RaftStatus, next: readonly ReplicaId[]): MembershipTarget {
  const { voters, learners } = status.membership
  for (const id of next) withVoter(status, id)
  for (const id of voters) if (!next.includes(id) && id !== status.id) without(status, id)
  const rest = [...voters, ...learners].filter(id => !next.includes(id))
  return { voters: next, learners: rest }
}

/**
 * Would the group come back if all that is lost by now were lost? A leader learns late that a voter has lost its disk; an operator
 * who makes do with fewer voters in that moment has lost the group.
 */
function recoverable(
  world: World,
  group: string,
  { voters }: MembershipTarget,
  { membership }: RaftStatus
): boolean {
  const target = { voters, outgoing: membership.voters, learners: [] }
  return isQuorum(target, world.memberWatch.sound(group))
}
