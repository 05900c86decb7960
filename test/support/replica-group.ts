import { crc32 } from '../../src/base/crc32.ts'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import { Prng } from '../../src/base/prng.ts'
import { decodeRaftMessage, encodeRaftMessage } from '../../src/raft/codec.ts'
import type { RaftConfig, Refusal } from '../../src/raft/raft-api.ts'
import { createReplica } from '../../src/raft/replica.ts'
import type { ProposeOutcome, ReplicaApi } from '../../src/raft/replica-api.ts'
import type { Rows, StateMachine } from '../../src/raft/state-machine.ts'
import type { TrimLimits } from '../../src/raft/trim.ts'
import type { RaftMessage } from '../../src/raft/types.ts'
import { MemoryDisk } from '../../src/storage/memory-store.ts'

export const groupRaftConfig: Omit<RaftConfig, 'id'> = {
  electionTicks: 25,
  heartbeatTicks: 5,
  recampaignTicks: 5,
  checkQuorumTicks: 35,
  transferTicks: 50,
  maxInflightMessages: 8,
  maxInflightBytes: 1 << 20,
  maxMessageBytes: 64 * 1024,
  maxUncommittedBytes: 1 << 20,
  preVote: true,
  checkQuorum: true
}

/**
 * Puts every entry in a row of its own, and a running checksum over all in another that is kept
 * decoded, as real machines keep their busy rows: forgetting `reset` shows.
 */
export class JournalMachine implements StateMachine {
  #sum: number | undefined
  /** Runs behind every entry that is applied. */
  onApplied: (index: number, text: string, sum: number) => void = () => {}

  apply(index: number, data: Buffer, rows: Rows): unknown[] {
    this.#sum ??= rows.get('sum')?.readUInt32BE() ?? 0
    this.#sum = crc32(data, this.#sum)
    const row = Buffer.alloc(4)
    row.writeUInt32BE(this.#sum)
    rows.put('sum', row)
    rows.put(`entry/${index}`, data)
    this.onApplied(index, data.toString('latin1'), this.#sum)
    return [index, data.length]
  }

  reset(): void {
    this.#sum = undefined
  }
}

export interface GroupNode {
  readonly id: number
  disk: MemoryDisk
  machine: JournalMachine
  /** Undefined while it is down. */
  replica: ReplicaApi | undefined
  /** Counts starts. */
  life: number
}

interface Wire {
  readonly from: number
  readonly to: number
  readonly data: Buffer
}

interface GroupOptions {
  readonly seed?: number
  readonly trim?: TrimLimits
  /** Not started at the beginning. */
  readonly down?: readonly number[]
}

/**
 * A group of three replicas on memory disks, over wires that a test may cut. Time stands still but in `pass`; every message passes
 * the codec.
 */
export class ReplicaGroup {
  readonly nodes: GroupNode[]
  nowMs = 0
  wires: Wire[] = []
  /** Would rather not lead. */
  readonly reluctant = new Set<number>()
  /** True loses the message. */
  lose: (message: RaftMessage) => boolean = () => false
  /** May put another message in its place. */
  alter: (message: RaftMessage) => RaftMessage = message => message
  onApplied: (node: GroupNode, index: number, text: string, sum: number) => void = () => {}
  readonly #options: GroupOptions

  constructor(options: GroupOptions = {}) {
    this.#options = options
    this.nodes = [1, 2, 3].map(id => ({
      id,
      disk: new MemoryDisk(),
      machine: new JournalMachine(),
      replica: undefined,
      life: 0
    }))
    for (const { id } of this.nodes) if (options.down?.includes(id) !== true) this.start(id)
  }

  node(id: number): GroupNode {
    return this.nodes[id - 1]!
  }

  replica(id: number): ReplicaApi {
    return this.node(id).replica!
  }

  /** Starts a fourth node that waits to be added to the group. */
  addNode(): number {
    const id = this.nodes.length + 1
    this.nodes.push({
      id,
      disk: new MemoryDisk(),
      machine: new JournalMachine(),
      replica: undefined,
      life: 0
    })
    this.start(id)
    return id
  }

  /** Starts a node from what its disk holds. */
  start(id: number): void {
    const node = this.node(id)
    const life = ++node.life
    const { seed = 1, trim = { trailingEntries: 1_000, trailingBytes: 1 << 20 } } = this.#options
    const machine = new JournalMachine()
    machine.onApplied = (index, text, sum) => this.onApplied(node, index, text, sum)
    node.machine = machine
    node.replica = createReplica({
      config: { ...groupRaftConfig, id },
      tickMs: 10,
      store: node.disk.group('g'),
      machine,
      bootstrap: { voters: [1, 2, 3], outgoing: [], learners: id > 3 ? [id] : [] },
      clock: { nowMs: () => this.nowMs, wallMs: () => this.nowMs },
      random: new Prng(seed, `${id} ${life}`),
      log: silentLog,
      metrics: noMetrics,
      trim,
      reluctant: () => this.reluctant.has(id),
      send: message => this.#send(message),
      wake: () => {}
    })
  }

  #send(message: RaftMessage): void {
    if (this.lose(message)) return
    const data = encodeRaftMessage(this.alter(message))
    this.wires.push({ from: message.from, to: message.to, data })
  }

  /** @param keepUnsynced writes without sync that survive. */
  crash(id: number, keepUnsynced = 0): void {
    const node = this.node(id)
    node.replica = undefined
    node.disk = node.disk.crash(keepUnsynced)
  }

  /** Takes the place of the disk of a node that is down. */
  replaceDisk(id: number, disk: MemoryDisk): void {
    this.node(id).disk = disk
  }

  /** Its disk says that it takes part. */
  isMember(id: number): boolean {
    return this.node(id).disk.copy().group('g').recovered.standing?.member === true
  }

  /** Loses every message from and to `ids`, beside what is lost already. */
  cut(...ids: number[]): void {
    this.lose = ({ from, to }) => ids.includes(from) !== ids.includes(to)
  }

  heal(): void {
    this.lose = () => false
  }

  deliver(at = 0): void {
    const [wire] = this.wires.splice(at, 1)
    if (wire !== undefined) this.node(wire.to).replica?.step(decodeRaftMessage(wire.data))
  }

  flush(): void {
    for (const { replica } of this.nodes) replica?.flush()
  }

  /** Lets everything that needs no time happen. */
  settle(): void {
    for (let round = 0; round < 1_000; round++) {
      this.flush()
      let moved = this.wires.length > 0
      for (let count = this.wires.length; count > 0; count--) this.deliver()
      for (const { disk, replica } of this.nodes) {
        while (replica !== undefined && disk.complete()) moved = true
      }
      if (!moved) return
    }
    throw new Error('the group does not come to rest')
  }

  tick(): void {
    this.nowMs += 10
    for (const { replica } of this.nodes) replica?.tick()
  }

  pass(timeMs: number): void {
    for (let passed = 0; passed < timeMs; passed += 10) {
      this.tick()
      this.settle()
    }
  }

  /** Lets time pass until `reached`; throws after `withinMs`. */
  passUntil(reached: () => boolean, withinMs = 20_000): void {
    for (let passed = 0; !reached(); passed += 10) {
      if (passed > withinMs) throw new Error(`not reached in ${withinMs} ms: ${reached}`)
      this.pass(10)
    }
  }

  /** Waits until somebody leads, and among those who think so returns the one of the newest term. */
  leader(except = 0): GroupNode {
    const leading = (): GroupNode[] =>
      this.nodes
        .filter(({ id, replica }) => id !== except && replica?.leading())
        .sort((a, b) => b.replica!.term() - a.replica!.term())
    this.passUntil(() => leading().length > 0)
    return leading()[0]!
  }

  follower(): GroupNode {
    const { id } = this.leader()
    return this.nodes.find(node => node.id !== id && node.replica !== undefined)!
  }

  propose(id: number, text: string, done: (outcome: ProposeOutcome) => void): Refusal | undefined {
    return this.replica(id).propose(Buffer.from(text, 'latin1'), done)
  }

  /** Proposes at the leader and waits for the outcomes. */
  write(texts: readonly string[]): void {
    const leader = this.leader()
    let ended = 0
    for (const text of texts) {
      const refusal = this.propose(leader.id, text, outcome => {
        if (outcome === 'lost') throw new Error(`${text} is lost`)
        ended++
      })
      if (refusal !== undefined) throw new Error(`${text} is refused: ${refusal}`)
    }
    this.passUntil(() => ended === texts.length)
  }

  /** Everything that a replica's rows hold, as the machine reads them. */
  rows(id: number, lastIndex: number): string[] {
    const replica = this.replica(id)
    const found = [`sum ${replica.getRow('sum')?.toString('hex')}`]
    for (let index = 1; index <= lastIndex; index++) {
      const row = replica.getRow(`entry/${index}`)
      if (row !== undefined) found.push(`${index} ${crc32(row)}`)
    }
    return found
  }
}
