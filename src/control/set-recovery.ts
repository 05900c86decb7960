import { RingsetError } from '../base/errors.ts'
import type { ReplicaStatus } from '../gen/ringset/control/v1/control.ts'
import type { SetEntry } from '../table/table.ts'
import type { ClusterSample } from './cluster-control.ts'
import type { PlannedMove } from './slot-operator.ts'

/** Where the log of a router replica ends, as the replica says itself. */
export interface LogEnd {
  readonly replica: number
  readonly node: string
  /** `quarantined`: nobody could tell it that it has all it once had. Of one that is `unreachable` nothing else is known. */
  readonly state: 'sound' | 'quarantined' | 'unreachable'
  readonly lastIndex: number
  readonly lastTerm: number
  /** Up to where the rows hold the log. */
  readonly applied: number
}

/** What it would mean to give up a set whose majority is lost. */
export interface RecoveryPlan {
  readonly set: string
  /** The set was given up before: its survivor stands. */
  readonly lost: boolean
  /** The replica that everything is read from. */
  readonly survivor: LogEnd
  readonly others: readonly LogEnd[]
  /** The slots that the set has, and where they would go. */
  readonly moves: readonly PlannedMove[]
}

/** What the replicas of one set say, gathered over several looks at the cluster: who has answered once can be reached. */
export class SetWitnesses {
  readonly #set: SetEntry
  readonly #said = new Map<number, { readonly node: string; readonly raft: ReplicaStatus }>()

  constructor(set: SetEntry) {
    this.#set = set
  }

  /** Throws SET_ALIVE as soon as somebody leads, or may; NODE_UNKNOWN for a replica that cannot even be asked. */
  add({ nodes }: ClusterSample): void {
    for (const { status } of nodes) {
      for (const { set, raft } of status?.routers ?? []) {
        if (set !== this.#set.id || raft === undefined) continue
        this.#said.set(raft.replica, { node: status!.nodeId, raft })
      }
    }
    if (this.#set.state === 'lost') return
    const stranger = this.#set.routers.find(({ nodeId }) => nodes.every(({ id }) => id !== nodeId))
    if (stranger !== undefined) {
      const text = `replica ${stranger.replicaId} of set ${this.#set.id} is on node ${stranger.nodeId}, which the configuration does not have, so nobody can ask it`
      throw new RingsetError('NODE_UNKNOWN', text, { replica: stranger.replicaId })
    }
    this.#mustBeHeadless()
  }

  /** Which replica to read, and where all of them end. @param from asked for by number. Throws SET_LOST, REPLICA_UNKNOWN, REPLICA_DOWN, SURVIVOR_BEHIND, NO_SURVIVOR. */
  choose(from: number | undefined): Pick<RecoveryPlan, 'survivor' | 'others'> {
    const { id, state, routers } = this.#set
    const ends = this.#ends()
    const listed = routers.map(({ replicaId }) => replicaId)
    if (from !== undefined && !listed.includes(from)) {
      if (state === 'lost') {
        const text = `set ${id} is given up already, and read from replica ${listed[0]}`
        throw new RingsetError('SET_LOST', text, { set: id, replica: from })
      }
      const text = `set ${id} has no replica ${from}, only ${listed.join(', ')}`
      throw new RingsetError('REPLICA_UNKNOWN', text, { set: id, replica: from })
    }
    const candidates = ends.filter(({ replica }) => listed.includes(replica))
    const best = [...candidates].sort(furthestFirst)[0]
    const named = candidates.find(({ replica }) => replica === (from ?? best?.replica))
    if (named === undefined || best === undefined) throw noSurvivor(id, 'the table lists no router')
    if (state !== 'lost') mustBeReadable(id, named, best, from !== undefined)
    return { survivor: named, others: ends.filter(end => end !== named) }
  }

  /** Throws unless the group certainly cannot go on by itself. */
  #mustBeHeadless(): void {
    const { id } = this.#set
    const sound = [...this.#said.values()].filter(({ raft }) => isSound(raft))
    const leading = sound.find(({ raft }) => raft.role === 'leader')
    if (leading !== undefined) {
      const text = `node ${leading.node} leads set ${id}, and \`ringset set remove ${id}\` loses nothing`
      throw new RingsetError('SET_ALIVE', text, { set: id })
    }
    // Only who would campaign by now if it heard nobody says anything by its leader.
    const following = sound.find(({ raft }) => raft.leader !== 0 && raft.membership === 'voter')
    if (following !== undefined) {
      const { node, raft } = following
      const text = `replica ${raft.replica} of set ${id} on node ${node} hears replica ${raft.leader} lead it`
      throw new RingsetError('SET_ALIVE', text, { set: id })
    }
    const { count, total } = votersAmong(sound.map(({ raft }) => raft))
    if (2 * count <= total) return
    const text = `${count} of the ${total} voters of set ${id} answer, which is a majority: once they reach each other, one leads`
    throw new RingsetError('SET_ALIVE', text, { set: id })
  }

  #ends(): LogEnd[] {
    const { routers } = this.#set
    const ends = [...this.#said.values()].map(({ node, raft }): LogEnd => {
      const { replica, lastIndex, lastTerm, applied, quarantined } = raft
      const state = quarantined ? 'quarantined' : 'sound'
      return { replica, node, state, lastIndex, lastTerm, applied }
    })
    for (const { replicaId: replica, nodeId: node } of routers) {
      if (this.#said.has(replica)) continue
      ends.push({ replica, node, state: 'unreachable', lastIndex: 0, lastTerm: 0, applied: 0 })
    }
    return ends.sort((a, b) => a.replica - b.replica)
  }
}

function mustBeReadable(set: string, named: LogEnd, best: LogEnd, asked: boolean): void {
  const { replica, node, state } = named
  if (state === 'unreachable') {
    if (!asked) throw noSurvivor(set, 'none of its routers answers')
    const text = `replica ${replica} of set ${set} on node ${node} cannot be reached`
    throw new RingsetError('REPLICA_DOWN', text, { set, replica })
  }
  if (named.lastIndex === 0) {
    throw noSurvivor(set, `replica ${replica} on node ${node} holds nothing`)
  }
  if (!isBeyond(best, named)) return
  const text = `replica ${replica} on node ${node} ends at entry ${endText(named)}, replica ${best.replica} on node ${best.node} at ${endText(best)}`
  throw new RingsetError('SURVIVOR_BEHIND', text, { set, replica, better: best.replica })
}

function noSurvivor(set: string, why: string): RingsetError {
  return new RingsetError('NO_SURVIVOR', `nothing of set ${set} can be read: ${why}`, { set })
}

type End = Pick<LogEnd, 'lastIndex' | 'lastTerm'>

const ranks = { sound: 0, quarantined: 1, unreachable: 2 } as const

/**
 * The order of Raft's elections. A replica in quarantine has its place in it: what the storage gives out is whole as far as it goes, and
 * whoever starts without a majority that could vouch for it is in quarantine.
 */
function furthestFirst(a: LogEnd, b: LogEnd): number {
  return (
    b.lastTerm - a.lastTerm ||
    b.lastIndex - a.lastIndex ||
    ranks[a.state] - ranks[b.state] ||
    b.applied - a.applied
  )
}

function isBeyond(a: End, b: End): boolean {
  return a.lastTerm > b.lastTerm || (a.lastTerm === b.lastTerm && a.lastIndex > b.lastIndex)
}

/** Whether a replica is of its group and may count for majorities. */
function isSound({ quarantined, membership }: ReplicaStatus): boolean {
  return !quarantined && membership !== 'waiting' && membership !== 'removed'
}

/** How many voters of the group are among its replicas, by the newest of them; while two memberships hold, of the one that lacks more. */
function votersAmong(replicas: readonly ReplicaStatus[]): { count: number; total: number } {
  const [first, ...others] = replicas
  if (first === undefined) return { count: 0, total: 0 }
  const newest = others.reduce((best, one) => (isBeyond(one, best) ? one : best), first)
  const [voters, outgoing] = [newest.voters, newest.outgoing].map(group => {
    const present = group.filter(id => replicas.some(({ replica }) => replica === id))
    return { count: present.length, total: group.length }
  })
  if (outgoing!.total === 0) return voters!
  return outgoing!.count / outgoing!.total < voters!.count / voters!.total ? outgoing! : voters!
}

/** As `812 of term 4`. */
export function endText({ lastIndex, lastTerm }: LogEnd): string {
  return `${lastIndex} of term ${lastTerm}`
}
