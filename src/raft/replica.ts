import { assert } from '../base/errors.ts'
import { decodeMembership } from './codec.ts'
import { HeldRows } from './held-rows.ts'
import type { MembershipTarget } from './membership.ts'
import { MessageGate } from './message-gate.ts'
import { fittest } from './operator-rules.ts'
import { Raft } from './raft.ts'
import type { RaftStatus, Ready, Refusal } from './raft-api.ts'
import { ReadQueue } from './read-queue.ts'
import type { ProposeOutcome, ReplicaApi } from './replica-api.ts'
import type { ReplicaOptions } from './replica-options.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import { defaultChunkBytes, SnapshotSender } from './snapshot-sender.ts'
import type { StateMachine } from './state-machine.ts'
import type { GroupStore, RowPage, RowRange } from './store.ts'
import { TickGrid } from './tick-grid.ts'
import { LogTrimmer } from './trim.ts'
import {
  type Entry,
  entryKinds,
  type Membership,
  type RaftMessage,
  type ReplicaId,
  type Role
} from './types.ts'
import { Vouching } from './vouching.ts'

/** Apply at most this long in one flush, so that packets and heartbeats keep flowing. */
const applySliceMs = 4

interface PendingProposal {
  readonly term: number
  readonly done: (outcome: ProposeOutcome) => void
}

export function createReplica(options: ReplicaOptions): ReplicaApi {
  return new Replica(options)
}

class Replica implements ReplicaApi {
  readonly #options: ReplicaOptions
  readonly #raft: Raft
  readonly #store: GroupStore
  readonly #machine: StateMachine
  readonly #sender: SnapshotSender
  readonly #receiver: SnapshotReceiver
  readonly #trimmer: LogTrimmer
  readonly #vouching: Vouching
  readonly #gate: MessageGate

  #role: Role = 'follower'
  #leader: ReplicaId = 0
  #term: number
  #serving = false
  #appending = 0
  #quarantined: boolean
  #applied: number
  readonly #grid: TickGrid

  readonly #proposals = new Map<number, PendingProposal>()
  readonly #reads = new ReadQueue()

  #abandoned = false
  #applyQueue: Entry[] = []
  readonly #rows: HeldRows
  #membership: Membership | undefined

  constructor(options: ReplicaOptions) {
    const { store, bootstrap } = options
    const { hardState, applied, membership, quarantine } = store.recovered
    this.#options = options
    this.#gate = new MessageGate(options.send)
    this.#store = store
    this.#machine = options.machine
    this.#term = hardState.term
    if (quarantine !== undefined) options.log.warn('replica_quarantined', { why: quarantine })
    this.#applied = applied
    const nowMs = options.clock.nowMs()
    this.#grid = new TickGrid(options.tickMs, options.config.heartbeatTicks, nowMs)
    this.#rows = new HeldRows(store, nowMs, applied)
    const joins = bootstrap.learners.includes(options.config.id)
    // A newcomer that holds nothing yet may have been started under another configuration before.
    const recovered = joins && applied === 0 && store.lastIndex() === 0 ? undefined : membership
    if (recovered === undefined) {
      store.write({ rows: new Map(), applied, membership: bootstrap, sync: false }, () => {})
    }
    this.#vouching = this.#vouchingFor(recovered ?? bootstrap)
    this.#quarantined = this.#vouching.standing !== 'member'
    this.#raft = new Raft(
      options.config,
      {
        hardState,
        applied,
        membership: recovered ?? bootstrap,
        quarantined: this.#quarantined,
        amnesiac: this.#vouching.amnesiac
      },
      store,
      options.random
    )
    const ports = {
      id: options.config.id,
      store,
      log: options.log,
      send: options.send,
      wake: options.wake
    }
    this.#sender = new SnapshotSender({
      ...ports,
      chunkBytes: options.snapshotChunkBytes ?? defaultChunkBytes,
      term: () => this.#term,
      match: peer => this.#raft.status().progress.find(({ id }) => id === peer)?.match ?? 0,
      onEnd: (peer, ok, index) => this.#raft.reportSnapshot(peer, ok, index)
    })
    this.#receiver = new SnapshotReceiver({
      ...ports,
      hardState: () => {
        const { term, vote, commit } = this.#raft.status()
        return { term, vote, commit }
      },
      needed: meta => this.#raft.needsSnapshot(meta),
      onInstalled: meta => {
        this.#applied = meta.index
        this.#rows.reset(meta.index)
        this.#applyQueue = []
        this.#machine.reset()
        this.#raft.restored(meta)
        this.#vouching.reached(this.#term, meta.term, meta.index)
        this.#trimmer.reset(meta.index)
      }
    })
    this.#trimmer = new LogTrimmer(options.trim)
  }

  #vouchingFor(membership: Membership): Vouching {
    return new Vouching({
      ...this.#options,
      id: this.#options.config.id,
      founders: this.#options.bootstrap.voters,
      membership,
      members: () => this.#raft.status().membership,
      acknowledged: peer => this.#raft.acknowledged(peer),
      trust: () => {
        this.#quarantined = false
        this.#raft.trust()
      },
      distrust: () => {
        this.#quarantined = true
        this.#raft.distrust()
      }
    })
  }

  leading(): boolean {
    return this.#serving
  }

  leader(): ReplicaId {
    return this.#leader
  }

  term(): number {
    return this.#term
  }

  status(): RaftStatus {
    return this.#raft.status()
  }

  getRow(key: string): Buffer | undefined {
    return this.#rows.get(key)
  }

  readRows(range: RowRange, done: (page: RowPage) => void): void {
    this.#writeRows(true)
    this.#store.readRange(range, page => {
      done(page)
      this.#options.wake()
    })
  }

  propose(data: Buffer, done: (outcome: ProposeOutcome) => void): Refusal | undefined {
    const at = this.#raft.propose([data])
    if (typeof at === 'string') return at
    this.#proposals.set(at.index, { term: at.term, done })
    return undefined
  }

  read(done: (confirmed: boolean) => void): Refusal | undefined {
    if (this.#role !== 'leader') return 'notLeader'
    this.#reads.add(done)
    return undefined
  }

  appending(): boolean {
    return this.#appending > 0
  }

  transferLeadership(to?: ReplicaId): Refusal | undefined {
    const target = to ?? fittest(this.#raft.status())?.id
    return target === undefined ? 'unsafe' : this.#raft.transferLeadership(target)
  }

  changeMembers(target: MembershipTarget): Refusal | undefined {
    return this.#raft.proposeMembership(target)
  }

  abandon(): boolean {
    if (!this.#abandoned) this.#options.log.warn('group_abandoned', { applied: this.#applied })
    this.#abandoned = true
    return !this.#receiver.finishing && this.#applied === this.#raft.status().lastIndex
  }

  step(message: RaftMessage): void {
    if (this.#abandoned) return
    if (message.type === 'claim' || message.type === 'claimAnswer') {
      this.#vouching.step(message)
      return
    }
    if (message.type === 'snapshotAnswer') {
      this.#sender.onAnswer(message)
      return
    }
    if (this.#receiver.finishing) return
    this.#raft.step(message)
    if (message.type !== 'snapshot') return
    // What the core decided before must reach the disk before the log is replaced.
    this.#drain()
    const { term, commit } = this.#raft.status()
    if (message.term === term) this.#receiver.onChunk(message, commit)
  }

  tick(): void {
    if (this.#abandoned || this.#receiver.finishing) return
    const nowMs = this.#options.clock.nowMs()
    this.#raft.reluctant = this.#options.reluctant?.() === true
    const ticks = this.#grid.advance(nowMs, heartbeatDue => this.#raft.tick(heartbeatDue))
    if (ticks === 0) return
    this.#sender.tick()
    this.#vouching.tick(ticks)
  }

  /** The replica has caught up from a leader: its disk is as good as anybody's again. Nobody hears of it before that is so after the next start, too. */
  #heal(): void {
    this.#quarantined = false
    this.#gate.close()
    this.#options.log.info('replica_healed', { applied: this.#applied })
    this.#store.write({ healed: true, standing: this.#vouching.healed(), sync: true }, () => {
      this.#gate.open()
      this.#options.wake()
    })
  }

  peer(id: ReplicaId, up: boolean, refused: boolean): void {
    if (this.#abandoned) return
    if (up) {
      this.#vouching.peerUp(id)
      return
    }
    this.#raft.reportUnreachable(id)
    if (!refused || id !== this.#leader) return
    // The leader's process is certainly gone: campaign now, staggered by rank so that the pre-votes do not collide.
    const others = this.#raft.status().membership.voters.filter(voter => voter !== id)
    const rank = Math.max(0, others.indexOf(this.#options.config.id))
    const staggerTicks = Math.max(1, Math.round(15 / this.#options.tickMs))
    this.#raft.forgetLeader(1 + rank * staggerTicks)
  }

  flush(): void {
    // While the switch to a snapshot is on its way to the disk, log and rows stand still; what is lost meanwhile is only packets.
    if (this.#receiver.finishing) return
    if (this.#abandoned) this.#raft.abandon()
    this.#reads.ask(token => this.#raft.readIndex(token) === undefined)
    this.#drain()
    this.#applySlice()
    this.#writeRows()
    if (this.#applyQueue.length > 0) this.#options.wake()
  }

  #drain(): void {
    while (this.#raft.hasReady()) this.#handle(this.#raft.ready())
  }

  #handle(ready: Ready): void {
    if (this.#quarantined && !this.#raft.status().quarantined) this.#heal()
    const { append, afterAppend } = ready
    if (append !== undefined) {
      this.#trimmer.grown(append.entries)
      this.#appending++
      this.#store.write(
        {
          ...(append.hardState && { hardState: append.hardState }),
          ...(append.truncateFrom !== undefined && { truncateFrom: append.truncateFrom }),
          entries: append.entries,
          sync: append.mustSync
        },
        () => {
          this.#appending--
          const { term, lastTerm, lastIndex } = append.ack
          this.#vouching.reached(term, lastTerm, lastIndex)
          this.#raft.appended(append.ack)
          for (const message of afterAppend) this.#gate.send(message)
          this.#options.wake()
        }
      )
    } else {
      assert(afterAppend.length === 0, 'gated messages without a write')
    }
    for (const message of ready.now) this.#gate.send(message)
    if (ready.change !== undefined) this.#changed(ready.change)
    for (const entry of ready.committed) this.#applyQueue.push(entry)
    for (const { token, index } of ready.reads) this.#reads.confirm(token, index, this.#applied)
    for (const token of ready.droppedReads) this.#reads.drop(token)
    for (const peer of ready.snapshotsWanted) this.#sender.start(peer)
  }

  #changed(change: { role: Role; leader: ReplicaId; term: number }): void {
    const ledBefore = this.#role === 'leader' && this.#term === change.term
    this.#role = change.role
    this.#leader = change.leader
    this.#term = change.term
    if (change.role === 'leader' && ledBefore) return
    this.#sender.stopAll()
    this.#setServing(false)
    for (const [index, proposal] of [...this.#proposals]) {
      if (change.role === 'leader' && proposal.term === change.term) continue
      this.#proposals.delete(index)
      proposal.done('lost')
    }
    if (change.role !== 'leader') this.#reads.dropAll()
  }

  #setServing(serving: boolean): void {
    if (this.#serving === serving) return
    this.#serving = serving
    this.#options.onLeadership?.(serving)
  }

  #applySlice(): void {
    const queue = this.#applyQueue
    if (queue.length === 0) return
    const { clock } = this.#options
    const untilMs = clock.nowMs() + applySliceMs
    let count = 0
    while (count < queue.length && (count === 0 || clock.nowMs() < untilMs)) {
      this.#apply(queue[count++]!)
    }
    this.#applyQueue = count === queue.length ? [] : queue.slice(count)
    this.#raft.applied(this.#applied)
    this.#reads.release(this.#applied)
  }

  #apply(entry: Entry): void {
    assert(entry.index === this.#applied + 1, 'entries are applied in order', {
      index: entry.index,
      applied: this.#applied
    })
    let results: readonly unknown[] = []
    if (entry.kind === entryKinds.normal) {
      results = this.#machine.apply(entry.index, entry.data, this.#rows)
    } else if (entry.kind === entryKinds.config) {
      this.#membership = decodeMembership(entry.data)
      this.#raft.applied(entry.index, this.#membership)
    }
    this.#applied = entry.index
    const proposal = this.#proposals.get(entry.index)
    if (proposal !== undefined) {
      this.#proposals.delete(entry.index)
      proposal.done(proposal.term === entry.term ? { results } : 'lost')
    }
    if (this.#role === 'leader' && entry.term === this.#term) this.#setServing(true)
  }

  /** @param all whatever is held, due or not. */
  #writeRows(all = false): void {
    const membership = this.#membership
    const nowMs = this.#options.clock.nowMs()
    const write = this.#rows.due(nowMs, this.#applied, all || membership !== undefined)
    if (write === undefined) return
    if (write.applied === undefined) {
      this.#store.write({ ...write, sync: false }, () => {})
      return
    }
    this.#membership = undefined
    const compactTo = this.#trimmer.compactTo(write.applied, this.#sender.logNeededFrom())
    this.#store.write(
      {
        ...write,
        ...(membership && { membership }),
        ...(compactTo !== undefined && { compactTo }),
        sync: false
      },
      () => {}
    )
    if (compactTo !== undefined) this.#raft.compacted(compactTo)
  }
}
