import { crc32 } from '../../src/base/crc32.ts'
import { Prng } from '../../src/base/prng.ts'
import { decodeMembership, decodeRaftMessage, encodeRaftMessage } from '../../src/raft/codec.ts'
import { Raft } from '../../src/raft/raft.ts'
import type { AppendAck, RaftConfig, Ready } from '../../src/raft/raft-api.ts'
import {
  type Entry,
  entryKinds,
  type Membership,
  type RaftMessage,
  type ReplicaId
} from '../../src/raft/types.ts'
import { type DiskWrite, type MachineState, MemoryDisk } from './raft-disk.ts'
import { Invariants } from './raft-invariants.ts'
import { printMessage, printReady } from './raft-print.ts'

export const defaultConfig: Omit<RaftConfig, 'id'> = {
  electionTicks: 10,
  heartbeatTicks: 1,
  recampaignTicks: 3,
  checkQuorumTicks: 10,
  transferTicks: 10,
  maxInflightMessages: 16,
  maxInflightBytes: 1 << 20,
  maxMessageBytes: 64 << 10,
  maxUncommittedBytes: 1 << 20,
  preVote: true,
  checkQuorum: true
}

interface WaitingWrite {
  readonly write: DiskWrite
  readonly ack: AppendAck | undefined
  readonly gated: readonly RaftMessage[]
  readonly done: (() => void) | undefined
}

interface ConfirmedRead {
  readonly token: number
  readonly index: number
}

/** One replica with its disk: what a host does for a core, step by step and by hand. */
export class Node {
  readonly id: ReplicaId
  readonly config: RaftConfig
  readonly disk: MemoryDisk
  /** Undefined while crashed. */
  raft: Raft | undefined
  quarantined = false
  /** The switch to a snapshot is on its way to the disk. */
  installing = false
  life = 0
  waiting: WaitingWrite[] = []
  applyQueue: Entry[] = []
  rows: MachineState
  reads: ConfirmedRead[] = []
  droppedReads: number[] = []

  constructor(config: RaftConfig, disk: MemoryDisk) {
    this.id = config.id
    this.config = config
    this.disk = disk
    this.rows = disk.rows
  }

  get core(): Raft {
    if (this.raft === undefined) throw new Error(`replica ${this.id} is down`)
    return this.raft
  }
}

interface ClusterOptions {
  readonly seed: number
  /** Every message passes the codec on its way. */
  readonly encode: boolean
}

/** Replicas, a bag of messages under way, and the invariants that are checked after every move. */
export class Cluster {
  readonly nodes = new Map<ReplicaId, Node>()
  readonly invariants = new Invariants()
  /** Under way, oldest first. */
  wire: RaftMessage[] = []
  /** `from>to` of links that lose everything. */
  readonly cut = new Set<string>()
  /** Told every move, to explain a failing walk. */
  trace: ((line: string) => void) | undefined
  readonly #options: ClusterOptions

  constructor(options: ClusterOptions) {
    this.#options = options
  }

  add(
    id: ReplicaId,
    membership: Membership,
    config: Partial<RaftConfig> = {},
    baseIndex = 0
  ): Node {
    const rows = { applied: baseIndex, hash: 0, membership }
    const disk = new MemoryDisk(rows, baseIndex, baseIndex === 0 ? 0 : 1)
    const node = new Node({ ...defaultConfig, ...config, id }, disk)
    this.nodes.set(id, node)
    this.start(node)
    return node
  }

  start(node: Node): void {
    this.trace?.(`${node.id} starts`)
    node.life++
    node.rows = node.disk.rows
    node.raft = new Raft(
      node.config,
      {
        hardState: node.disk.hardState,
        applied: node.rows.applied,
        membership: node.rows.membership,
        quarantined: node.quarantined
      },
      node.disk,
      new Prng(this.#options.seed, `node ${node.id} life ${node.life}`)
    )
    this.check(node)
  }

  /** @param kept so many of the waiting writes still reach the disk. */
  crash(node: Node, kept: number): void {
    this.trace?.(`${node.id} crashes, ${kept} of ${node.waiting.length} writes kept`)
    node.raft = undefined
    node.disk.crash(kept)
    node.waiting = []
    node.applyQueue = []
    node.installing = false
    this.invariants.restarted(node)
  }

  alive(): Node[] {
    return [...this.nodes.values()].filter(node => node.raft !== undefined)
  }

  get(id: ReplicaId): Node {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`no replica ${id}`)
    return node
  }

  check(node: Node): void {
    if (node.raft !== undefined) node.quarantined = node.raft.status().quarantined
    this.invariants.check(node, this.nodes)
  }

  /** Takes one Ready and does what it says, short of syncing and applying. */
  processReady(node: Node): Ready {
    const ready = node.core.ready()
    this.trace?.([`> ${node.id} ready`, ...printReady(ready)].join('\n  '))
    const { append } = ready
    if (append !== undefined) {
      const write: DiskWrite = {
        ...(append.hardState && { hardState: append.hardState }),
        ...(append.truncateFrom !== undefined && { truncateFrom: append.truncateFrom }),
        entries: append.entries
      }
      this.#write(node, { write, ack: append.ack, gated: ready.afterAppend, done: undefined })
      this.invariants.appended(node, append.entries)
    }
    this.#send(node, ready.now)
    node.applyQueue.push(...ready.committed)
    node.reads.push(...ready.reads)
    node.droppedReads.push(...ready.droppedReads)
    this.invariants.read(ready.reads)
    for (const peer of ready.snapshotsWanted) this.#sendSnapshot(node, peer)
    this.check(node)
    return ready
  }

  #write(node: Node, waiting: WaitingWrite): void {
    node.disk.write(waiting.write)
    node.waiting.push(waiting)
  }

  #send(node: Node, messages: readonly RaftMessage[]): void {
    for (const message of messages) {
      this.invariants.sent(node, message)
      if (!this.cut.has(`${message.from}>${message.to}`)) this.wire.push(message)
    }
  }

  /** The oldest waiting write becomes durable, and what it held back is sent. */
  processAppend(node: Node): void {
    const waiting = node.waiting.shift()
    if (waiting === undefined) return
    this.trace?.(`> ${node.id} write ${waiting.ack?.sequence ?? 'of rows'} durable`)
    node.disk.syncOne()
    if (waiting.ack !== undefined) node.core.appended(waiting.ack)
    this.#send(node, waiting.gated)
    waiting.done?.()
    this.check(node)
  }

  /** Applies what was handed out, at most `limit` entries. */
  processApply(node: Node, limit = Number.POSITIVE_INFINITY): Entry[] {
    const entries = node.applyQueue.splice(0, limit)
    for (const entry of entries) {
      const membership = entry.kind === entryKinds.config ? decodeMembership(entry.data) : undefined
      node.rows = {
        applied: entry.index,
        hash: crc32(Buffer.from([entry.kind, ...entry.data, entry.term]), node.rows.hash),
        membership: membership ?? node.rows.membership
      }
      this.invariants.applied(node, entry)
      this.#write(node, {
        write: { rows: node.rows },
        ack: undefined,
        gated: [],
        done: undefined
      })
      node.core.applied(entry.index, membership)
      this.check(node)
    }
    return entries
  }

  compact(node: Node, to: number): void {
    this.#write(node, { write: { compactTo: to }, ack: undefined, gated: [], done: undefined })
    node.core.compacted(to)
  }

  #sendSnapshot(node: Node, to: ReplicaId): void {
    const { applied, hash, membership } = node.rows
    const data = Buffer.alloc(4)
    data.writeUInt32BE(hash)
    const meta = { index: applied, term: node.disk.term(applied) ?? 0, membership }
    const { term } = node.core.status()
    this.wire.push({
      type: 'snapshot',
      from: node.id,
      to,
      term,
      meta,
      snapshotId: applied,
      chunk: 0,
      last: true,
      crc: 0,
      data
    })
  }

  deliver(message: RaftMessage): void {
    this.trace?.(printMessage(message))
    const node = this.nodes.get(message.to)
    if (node?.raft === undefined || node.installing) return
    const received = this.#options.encode ? decodeRaftMessage(encodeRaftMessage(message)) : message
    node.raft.step(received)
    if (received.type === 'snapshot') this.#install(node, received)
    if (received.type === 'snapshotAnswer') {
      node.raft.reportSnapshot(received.from, received.installed, received.index)
    }
    this.check(node)
  }

  #install(node: Node, message: RaftMessage & { type: 'snapshot' }): void {
    const { term, commit } = node.core.status()
    if (message.term !== term) return
    if (!node.core.needsSnapshot(message.meta)) {
      this.#answerSnapshot(node, message, Math.max(commit, message.meta.index))
      return
    }
    while (node.core.hasReady()) this.processReady(node)
    const { index, membership } = message.meta
    const rows = { applied: index, hash: message.data.readUInt32BE(), membership }
    node.installing = true
    this.#write(node, {
      write: { install: { meta: message.meta, rows } },
      ack: undefined,
      gated: [],
      done: () => {
        node.installing = false
        node.rows = rows
        node.applyQueue = []
        node.core.restored(message.meta)
        this.#answerSnapshot(node, message, index)
      }
    })
  }

  #answerSnapshot(node: Node, message: RaftMessage & { type: 'snapshot' }, index: number): void {
    this.wire.push({
      type: 'snapshotAnswer',
      from: node.id,
      to: message.from,
      term: node.core.status().term,
      snapshotId: message.snapshotId,
      nextChunk: 1,
      installed: true,
      index
    })
  }

  /**
   * Everything a healthy machine does in one turn, for all replicas; @returns whether anything
   * happened.
   */
  turn(): boolean {
    let busy = false
    for (const node of this.alive()) {
      while (!node.installing && node.core.hasReady()) {
        this.processReady(node)
        busy = true
      }
      while (node.waiting.length > 0) {
        this.processAppend(node)
        busy = true
      }
      if (this.processApply(node).length > 0) busy = true
    }
    const wire = this.wire
    this.wire = []
    for (const message of wire) {
      this.deliver(message)
      busy = true
    }
    return busy
  }

  settle(limit = 1_000): void {
    for (let i = 0; i < limit; i++) if (!this.turn()) return
    throw new Error('the cluster does not come to rest')
  }

  leader(): Node | undefined {
    let best: Node | undefined
    for (const node of this.alive()) {
      const { role, term } = node.core.status()
      if (role === 'leader' && (best === undefined || term > best.core.status().term)) best = node
    }
    return best
  }
}
