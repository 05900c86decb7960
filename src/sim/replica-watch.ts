import { crc32 } from '../base/crc32.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { GroupStore } from '../raft/store.ts'
import type { RaftMessage, ReplicaId } from '../raft/types.ts'
import { SimFailure } from './invariants.ts'
import type { Site } from './mutants/mutant.ts'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

type SnapshotAnswer = Extract<RaftMessage, { type: 'snapshotAnswer' }>

interface GroupFacts {
  electedTerm: number
  /** Who was asked to lead. */
  successor: ReplicaId
}

/** Notes of data that is gone. */
const dataLosses = ['wipe', 'newDisk', 'oldDisk', 'logDamage']

/** Looks at the replicas of a world from outside: rules about their logs and disks, and what rarely happens to them. */
export class ReplicaWatch {
  readonly #world: World
  readonly #groups = new Map<string, GroupFacts>()
  /** Replica → last index that was on its disk when the disk lost data. */
  readonly #lost = new Map<string, number>()
  /** Processes that receive a snapshot. */
  readonly #installing = new Set<SimProcess>()
  /** When a replica last took another chunk of a snapshot. */
  #chunkMs = 0
  /** Replica and snapshot → the chunk that it wants next. */
  readonly #chunks = new Map<string, number>()
  /** Groups that were given up. */
  readonly #abandoned = new Set<string>()
  /** Wait for the next one that begins to. */
  #installs: ((process: SimProcess) => void)[] = []

  constructor(world: World) {
    this.#world = world
  }

  #factsOf(group: string): GroupFacts {
    let facts = this.#groups.get(group)
    if (facts === undefined) {
      facts = { electedTerm: 0, successor: 0 }
      this.#groups.set(group, facts)
    }
    return facts
  }

  /** What a node has been through; called before it happens. */
  noted(what: string, process: SimProcess, detail: number): void {
    const { marks } = this.#world
    if (what === 'killed' || what === 'powerLoss') {
      if (process.disk.pending > detail) marks.hit('writes lost with a process')
      if (this.#installing.delete(process)) marks.hit('install interrupted by a crash')
    } else if (dataLosses.includes(what)) {
      this.#lostData(process)
    }
  }

  #lostData({ nodeId, disk }: SimProcess): void {
    const { topology } = this.#world
    for (const group of topology.groups) {
      const image = disk.durable(group)
      const own = topology.replicasOf(group).find(replica => replica.nodeId === nodeId)
      if (image === undefined || own === undefined) continue
      const name = `${group}/${own.replicaId}`
      this.#lost.set(name, Math.max(this.#lost.get(name) ?? 0, image.lastIndex))
    }
  }

  logged(event: string, facts: object, process: SimProcess): void {
    const { marks } = this.#world
    if (event === 'replica_healed') marks.hit('quarantined replica healed')
    else if (event === 'replica_behind_itself') marks.hit('older copy of a replica noticed')
    else if (event === 'transfer_cut_off') marks.hit('gateway left as it was cut off')
    else if (event === 'transfer_instance_expired') marks.hit('transfer expired while it ran')
    else if (event === 'snapshot_receive_started') {
      if ('held' in facts && Number(facts.held) > 0) marks.hit('install resumed')
      this.#installing.add(process)
      const waiting = this.#installs
      this.#installs = []
      for (const begun of waiting) begun(process)
    } else if (event === 'snapshot_installed') {
      this.#installing.delete(process)
      marks.hit('snapshot installed')
    }
  }

  /** `begun` is called once, with the next process that begins to receive a snapshot. */
  onInstall(begun: (process: SimProcess) => void): void {
    this.#installs.push(begun)
  }

  installing(process: SimProcess): boolean {
    return this.#installing.has(process)
  }

  /** Whether some snapshot has got on since then. */
  installsSince(timeMs: number): boolean {
    return this.#chunkMs > timeMs
  }

  #answered({ from, snapshotId, nextChunk }: SnapshotAnswer, group: string): void {
    const key = `${group}/${from}/${snapshotId}`
    if (nextChunk <= (this.#chunks.get(key) ?? 0)) return
    this.#chunks.set(key, nextChunk)
    this.#chunkMs = this.#world.kernel.nowMs()
  }

  sent(message: RaftMessage, site: Site): void {
    const { group } = site
    const { type, from, to, term } = message
    if (type === 'preVote') this.#world.memberWatch.campaigns(site)
    if (type === 'snapshotAnswer') this.#answered(message, group)
    else if (type === 'timeoutNow') this.#factsOf(group).successor = to
    else if (type === 'vote') this.#world.invariants.votes(group, term, from, from)
    else if (type === 'voteAnswer' && message.granted) {
      this.#world.invariants.votes(group, term, from, to)
    }
  }

  /** Watches what is written; a store serves one life of a replica. @param api of the replica, once it is there. */
  store(store: GroupStore, site: Site, api: () => ReplicaApi): void {
    const { marks, memberWatch } = this.#world
    const write = store.write.bind(store)
    const openSnapshot = store.openSnapshot.bind(store)
    let open = 0
    store.write = (written, done) => {
      if (written.truncateFrom !== undefined) marks.hit('uncommitted tail overwritten')
      if (written.compactTo !== undefined && open > 0) {
        marks.hit('snapshot sent while the log is trimmed')
      }
      if (written.entries !== undefined) memberWatch.written(written.entries, store, api(), site)
      write(written, done)
    }
    store.openSnapshot = () => {
      open++
      const source = openSnapshot()
      const close = source.close.bind(source)
      source.close = () => {
        open--
        close()
      }
      return source
    }
  }

  /** Watches what the replica's turns do to leadership and commit index. */
  replica(api: ReplicaApi, site: Site): void {
    const flush = api.flush.bind(api)
    const abandon = api.abandon.bind(api)
    api.abandon = () => {
      this.#abandoned.add(site.group)
      this.#world.slotWatch.abandoned(site.group)
      return abandon()
    }
    let ledTerm = 0
    let commitBefore = 0
    let judged = 0
    api.flush = () => {
      flush()
      const term = api.leader() === site.replicaId ? api.term() : 0
      if (term !== ledTerm) {
        if (ledTerm !== 0) this.#deposed(api, ledTerm)
        if (term !== 0) commitBefore = this.#elected(api, term, site)
        ledTerm = term
      }
      const applied = this.#world.invariants.newest(site.group)
      if (term === 0 || applied === judged) return
      judged = applied
      this.#judgeCommit(api, term, commitBefore, site)
    }
  }

  #deposed(api: ReplicaApi, ledTerm: number): void {
    const { marks } = this.#world
    const { commit, lastIndex, term } = api.status()
    if (lastIndex > commit) marks.hit('leader deposed with an uncommitted tail')
    if (term === ledTerm) marks.hit('leader stepped down in its own term')
  }

  /** Leader completeness: whoever is elected holds everything that was committed in earlier terms. */
  #elected(api: ReplicaApi, term: number, { process, group, replicaId }: Site): number {
    const { invariants, marks, nodes } = this.#world
    const store = process.disk.group(group)
    const newest = invariants.newestBefore(group, term)
    const held = newest && store.entries(newest.index, newest.index + 1, 1)[0]
    const missing = newest !== undefined && store.lastIndex() < newest.index
    if (missing || (held?.index === newest?.index && held && crc32(held.data) !== newest!.data)) {
      throw new SimFailure(
        'leader-completeness',
        `${process.nodeId} leads ${group} in term ${term} without entry ${newest!.index}`
      )
    }
    const { commit, lastIndex, membership } = api.status()
    const facts = this.#factsOf(group)
    if (membership.outgoing.length > 0) marks.hit('leader changed in joint state')
    // The entry that opens its term is its own.
    if (lastIndex - 1 > commit) marks.hit('leader elected with an uncommitted tail')
    if (facts.electedTerm > 0 && term > facts.electedTerm + 1) marks.hit('term without a leader')
    if (facts.successor === replicaId) marks.hit('leadership handed over')
    facts.electedTerm = Math.max(facts.electedTerm, term)
    facts.successor = 0
    for (const { replicas } of nodes) {
      for (const other of replicas) {
        const rival = other.group === group && other.replicaId !== replicaId
        if (rival && other.api.leader() === other.replicaId) {
          marks.hit('two replicas believe that they lead')
        }
      }
    }
    return commit
  }

  /** A leader commits by counting only what it proposed itself (§5.4.2 of the Raft paper). */
  #judgeCommit(api: ReplicaApi, term: number, before: number, { process, group }: Site): void {
    const { commit } = api.status()
    if (commit <= before) return
    const committed = process.disk.group(group).term(commit)
    if (committed === undefined || committed === term) return
    throw new SimFailure(
      'commit-rule',
      `${process.nodeId}, leader of ${group} in term ${term}, commits entry ${commit} of term ${committed}`
    )
  }

  /** A replica has applied an entry. */
  applied(api: ReplicaApi, site: Site, index: number, data: Buffer, effect: number): void {
    const { group, replicaId } = site
    const by = `${group}/${replicaId}`
    const entry = { data: crc32(data), effect, by, term: api.term() }
    const first = this.#world.invariants.applied(group, index, entry)
    this.#world.slotWatch.applied(site, first)
    if (first) {
      this.#judgeDisks(api, index, data, site)
    }
  }

  /** Whoever applies an entry first: by then a majority of the disks has it, unless there is nobody any more. */
  #judgeDisks(api: ReplicaApi, index: number, data: Buffer, site: Site): void {
    const { group } = site
    if (this.#abandoned.has(group)) return
    const holders = this.#world.topology
      .replicasOf(group)
      .filter(({ nodeId, replicaId }) => this.#holds(nodeId, `${group}/${replicaId}`, index, data))
      .map(({ replicaId }) => replicaId)
    if (this.#world.memberWatch.decided(api, index, holders, site)) return
    throw new SimFailure(
      'quorum',
      `entry ${index} of ${group} is applied and only on the disks of ${holders.join(', ') || 'nobody'}`
    )
  }

  #holds(nodeId: string, name: string, index: number, data: Buffer): boolean {
    if (index <= (this.#lost.get(name) ?? 0)) return true
    const image = this.#world.node(nodeId).disk.durable(name.slice(0, name.indexOf('/')))
    if (image === undefined) return false
    if (index <= image.startIndex) return true
    return image.entries[index - image.startIndex - 1]?.data.equals(data) === true
  }
}
