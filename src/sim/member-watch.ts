import { decodeMembership } from '../raft/codec.ts'
import type { MembershipTarget } from '../raft/membership.ts'
import type { RaftStatus } from '../raft/raft-api.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { GroupStore } from '../raft/store.ts'
import { type Entry, entryKinds, type Membership, type ReplicaId } from '../raft/types.ts'
import type { MemoryDisk } from '../storage/memory-store.ts'
import { SimFailure } from './invariants.ts'
import type { Site } from './mutants/mutant.ts'
import type { World } from './world.ts'

/** A membership in some log, whatever becomes of it. */
interface Proposed {
  readonly index: number
  readonly term: number
  readonly membership: Membership
  /** In force where it was proposed. */
  readonly before: Membership
}

interface GroupMembers {
  readonly proposed: Map<string, Proposed>
  /** Asked for, and in no log yet as far as anybody saw. */
  readonly asked: { readonly index: number; readonly membership: Membership }[]
  /** In force at whoever applied the newest entry. */
  newest: Membership | undefined
  /** Those that have been members by some entry that was applied. */
  readonly joined: Set<ReplicaId>
}

/** Follows who is a member of each group: in which logs a change is, by whom it was begun, and what could still come of it. */
export class MemberWatch {
  readonly #world: World
  readonly #groups = new Map<string, GroupMembers>()

  constructor(world: World) {
    this.#world = world
  }

  #of(group: string): GroupMembers {
    let members = this.#groups.get(group)
    if (members === undefined) {
      members = { proposed: new Map(), asked: [], newest: undefined, joined: new Set() }
      this.#groups.set(group, members)
    }
    return members
  }

  /** A leader has taken on a change. @param lastIndex of its log with the change. */
  asked(group: string, target: MembershipTarget, status: RaftStatus, lastIndex: number): void {
    const { voters } = status.membership
    const outgoing = differ(voters, target.voters) > 1 ? voters : []
    this.#of(group).asked.push({ index: lastIndex, membership: { ...target, outgoing } })
  }

  /** Entries on their way to a disk, before anybody else gets them. A change is judged where it was begun: there it is seen first. */
  written(entries: readonly Entry[], store: GroupStore, api: ReplicaApi, site: Site): void {
    for (const entry of entries) {
      if (entry.kind !== entryKinds.config) continue
      const { proposed } = this.#of(site.group)
      const key = `${entry.index} ${entry.term}`
      if (proposed.has(key)) continue
      const status = api.status()
      const { index, term } = entry
      const membership = decodeMembership(entry.data)
      proposed.set(key, { index, term, membership, before: status.membership })
      this.#judgeChange(entry, membership, status, [...unapplied(store, status), ...entries], site)
      const promoted = (id: ReplicaId): boolean =>
        membership.voters.includes(id) && status.membership.learners.includes(id)
      const { marks } = this.#world
      if (status.progress.some(({ id, match }) => promoted(id) && match < status.commit)) {
        marks.hit('learner promoted while it lags')
      }
      const leads = [membership.voters, membership.outgoing].some(it => it.includes(status.id))
      if (!leads && status.membership.voters.includes(status.id)) marks.hit('leader voted out')
    }
  }

  /** One change at a time, none before the leader has committed in its term, and two majorities wherever one might miss the other. */
  #judgeChange(
    { index, term }: Entry,
    to: Membership,
    { membership: from, applied, commit }: RaftStatus,
    log: readonly Entry[],
    { process, group }: Site
  ): void {
    const broken = (rule: string): never => {
      const change = `${shown(from)} → ${shown(to)}`
      throw new SimFailure('changes', `${process.nodeId} changes ${group} (${change}) ${rule}`)
    }
    const pending = log.find(
      entry => entry.kind === entryKinds.config && entry.index > applied && entry.index < index
    )
    if (pending !== undefined) broken(`while the one at ${pending.index} is under way`)
    const committed =
      process.disk.group(group).term(commit) ?? log.find(entry => entry.index === commit)?.term
    // All who leave a joint state do so to the same members.
    if (from.outgoing.length === 0 && committed !== term) {
      broken(`without an entry of its own term ${term} that is committed`)
    }
    if (!isStep(from, to)) broken('in one step')
  }

  /** A replica asks for votes. */
  campaigns({ group, replicaId }: Site): void {
    const { newest } = this.#of(group)
    if (newest !== undefined && !isMember(newest, replicaId)) {
      this.#world.marks.hit('removed replica still campaigns')
    }
  }

  /** Could those who hold an entry have decided that it is committed? @param api of whoever applies it first. */
  decided(api: ReplicaApi, index: number, holders: readonly ReplicaId[], site: Site): boolean {
    const { membership } = api.status()
    const members = this.#of(site.group)
    if (membership !== members.newest) {
      const changed = members.newest !== undefined && !same(membership, members.newest)
      if (changed)
        for (const before of this.#before(membership, index, site)) {
          this.#mark(site.group, before, membership)
        }
      members.newest = membership
      for (const id of [...membership.voters, ...membership.learners]) members.joined.add(id)
    }
    if (isQuorum(membership, holders)) return true
    return this.#before(membership, index, site).some(before => isQuorum(before, holders))
  }

  /** A leader goes by the membership that it has applied: that may be the one before the newest in its log. */
  #before(membership: Membership, index: number, { process, group }: Site): Membership[] {
    const store = process.disk.group(group)
    return [...this.#of(group).proposed.values()].flatMap(change => {
      const held = store.term(change.index)
      const here = change.index < index && (held === undefined || held === change.term)
      return here && same(change.membership, membership) ? [change.before] : []
    })
  }

  #mark(group: string, before: Membership, now: Membership): void {
    const { marks, topology } = this.#world
    if (before.outgoing.length > 0 && now.outgoing.length === 0) marks.hit('joint change completed')
    const promoted = now.voters.filter(id => before.learners.includes(id))
    if (promoted.length > 0) marks.hit('learner promoted')
    const founders = topology.foundersOf(group).map(({ replicaId }) => replicaId)
    if (promoted.some(id => !founders.includes(id))) marks.hit('new replica promoted')
  }

  /** Whether a replica has been taken into its group at some time. */
  joined(group: string, replicaId: ReplicaId): boolean {
    return this.#of(group).joined.has(replicaId)
  }

  /** Every membership that some replica goes by or could come to go by: what must work whatever becomes of the changes under way. */
  possible(group: string): Membership[] {
    const { proposed, asked, newest } = this.#of(group)
    const all = this.#world.topology.replicasOf(group)
    // Who has been removed never comes back.
    const places = all.filter(it => newest === undefined || isMember(newest, it.replicaId))
    const founders = all.filter(({ founder }) => founder).map(({ replicaId }) => replicaId)
    const found: Membership[] = []
    let appliedByAll = Number.POSITIVE_INFINITY
    for (const { nodeId } of places) {
      const image = this.#world.node(nodeId).disk.durable(group)
      found.push(image?.membership ?? { voters: founders, outgoing: [], learners: [] })
      appliedByAll = Math.min(appliedByAll, image?.applied ?? 0)
    }
    for (const { index, membership } of [...proposed.values(), ...asked]) {
      if (index > appliedByAll) found.push(membership)
    }
    for (const membership of [...found]) {
      if (membership.outgoing.length > 0) found.push({ ...membership, outgoing: [] })
    }
    return found
  }

  /** Those with all their data, running or not: they have it when they run. */
  sound(group: string): ReplicaId[] {
    return this.#world.topology.replicasOf(group).flatMap(({ nodeId, replicaId }) => {
      const { disk, drive } = this.#world.node(nodeId)
      const image = disk.durable(group)
      const sound =
        drive.sound && image?.standing?.member === true && image.quarantine === undefined
      return sound ? [replicaId] : []
    })
  }

  /**
   * Whether this copy of a replica's data is so old that no majority could take it for its present state: each replica tells the others only
   * once a second how far it is, and nobody can know of what was never told.
   */
  noticed(group: string, replicaId: ReplicaId, copy: MemoryDisk): boolean {
    const held = copy.durable(group)
    if (held === undefined) return false
    const { term } = held.hardState
    const lastTerm = held.entries.at(-1)?.term ?? held.startTerm
    const unaware = this.#world.topology.replicasOf(group).flatMap(({ nodeId, replicaId: id }) => {
      const image = this.#world.node(nodeId).disk.durable(group)
      const mark = image?.standing?.peers.find(peer => peer.id === replicaId)
      const longer = mark && mark.lastTerm >= lastTerm && mark.lastIndex > held.lastIndex
      return longer || (mark && mark.term > term) ? [] : [id]
    })
    return this.possible(group).every(membership => !isQuorum(membership, [replicaId, ...unaware]))
  }
}

export function isQuorum({ voters, outgoing }: Membership, holders: readonly ReplicaId[]): boolean {
  return [voters, outgoing].every(half => {
    const count = half.filter(id => holders.includes(id)).length
    return half.length === 0 || count > half.length / 2
  })
}

export function isMember({ voters, outgoing, learners }: Membership, id: ReplicaId): boolean {
  return voters.includes(id) || outgoing.includes(id) || learners.includes(id)
}

function unapplied(store: GroupStore, { applied }: RaftStatus): Entry[] {
  return store.entries(applied + 1, store.lastIndex() + 1, Number.MAX_SAFE_INTEGER)
}

/** Into the joint state, out of it, or by at most one voter (§4.2.1 and §4.3 of Ongaro's dissertation). */
function isStep(from: Membership, to: Membership): boolean {
  if (from.outgoing.length > 0) return to.outgoing.length === 0 && !differ(from.voters, to.voters)
  if (to.outgoing.length > 0) return differ(from.voters, to.outgoing) === 0
  return differ(from.voters, to.voters) <= 1
}

/** How many are in one and not in the other. */
function differ(a: readonly ReplicaId[], b: readonly ReplicaId[]): number {
  return a.filter(id => !b.includes(id)).length + b.filter(id => !a.includes(id)).length
}

function same(a: Membership, b: Membership): boolean {
  return a === b || shown(a) === shown(b)
}

function shown({ voters, outgoing, learners }: Membership): string {
  return [voters, outgoing, learners].map(ids => ids.join(' ')).join(' | ')
}
