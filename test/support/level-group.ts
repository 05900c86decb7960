import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import { Prng } from '../../src/base/prng.ts'
import { decodeRaftMessage, encodeRaftMessage } from '../../src/raft/codec.ts'
import { createReplica } from '../../src/raft/replica.ts'
import type { ProposeOutcome, ReplicaApi } from '../../src/raft/replica-api.ts'
import type { StateMachine } from '../../src/raft/state-machine.ts'
import type { GroupStore } from '../../src/raft/store.ts'
import type { TrimLimits } from '../../src/raft/trim.ts'
import type { RaftMessage } from '../../src/raft/types.ts'
import { type Database, openDatabase } from '../../src/storage/database.ts'
import { groupRaftConfig, JournalMachine } from './replica-group.ts'

export interface LevelNode {
  readonly id: number
  readonly directory: string
  readonly machine: StateMachine
  readonly replica: ReplicaApi
  readonly database: Database
}

export interface LevelGroupOptions {
  readonly machine?: () => StateMachine
  readonly trim?: TrimLimits
  readonly writeBufferBytes?: number
}

interface Wire {
  readonly to: number
  readonly data: Buffer
}

const tickMs = 10

/**
 * A group of three replicas, each over a LevelDB of its own. Time is virtual and stands still while a write is on its way to a
 * disk, so that nothing depends on how fast the disk is.
 */
export class LevelGroup {
  readonly nodes = new Map<number, LevelNode>()
  readonly folder: string
  /** True loses the message. */
  lose: (message: RaftMessage) => boolean = () => false
  /** Runs at the end of each turn. */
  onTurn: () => void = () => {}
  readonly #options: LevelGroupOptions
  #nowMs = 0
  #wires: Wire[] = []
  #pending = 0
  #lives = 0

  /** @param folder holds one folder per node, by its number. */
  constructor(folder: string, options: LevelGroupOptions = {}) {
    this.folder = folder
    this.#options = options
  }

  directory(id: number): string {
    return join(this.folder, `${id}`)
  }

  node(id: number): LevelNode {
    const node = this.nodes.get(id)
    if (node === undefined) throw new Error(`node ${id} is down`)
    return node
  }

  async start(...ids: number[]): Promise<void> {
    for (const id of ids) await this.#start(id)
  }

  async #start(id: number): Promise<void> {
    const { trim = { trailingEntries: 1_000, trailingBytes: 1 << 20 } } = this.#options
    const { writeBufferBytes = 1 << 20 } = this.#options
    const directory = this.directory(id)
    const database = await openDatabase({
      directory,
      log: silentLog,
      metrics: noMetrics,
      clusterNodeIdentity: `cluster/node-${id}`,
      writeBufferBytes,
      onFatal: error => {
        throw error
      }
    })
    const machine = this.#options.machine?.() ?? new JournalMachine()
    const life = ++this.#lives
    const replica = createReplica({
      config: { ...groupRaftConfig, id },
      tickMs,
      store: this.#counted(await database.group('g')),
      machine,
      bootstrap: { voters: [1, 2, 3], outgoing: [], learners: [] },
      clock: { nowMs: () => this.#nowMs, wallMs: () => this.#nowMs },
      random: new Prng(1, `${id} ${life}`),
      log: silentLog,
      metrics: noMetrics,
      trim,
      send: message => this.#send(message),
      wake: () => {}
    })
    this.nodes.set(id, { id, directory, machine, replica, database })
  }

  /** Closes the database in order; what follows is as after a kill, but for what it had queued. */
  async stop(...ids: number[]): Promise<void> {
    for (const id of ids) {
      const { database } = this.node(id)
      this.nodes.delete(id)
      await database.close()
    }
  }

  /** Copies the folder of a node, which is down meanwhile: files of a database that runs come and go while they are copied. */
  async copy(id: number, to: string): Promise<void> {
    await this.stop(id)
    rmSync(to, { recursive: true, force: true })
    cpSync(this.directory(id), to, { recursive: true })
    await this.start(id)
  }

  /** Counts what is on its way to or from the disk, so that time can wait for it. */
  #counted(store: GroupStore): GroupStore {
    const counted = <T extends unknown[]>(done: (...args: T) => void): ((...args: T) => void) => {
      this.#pending++
      return (...args) => {
        this.#pending--
        done(...args)
      }
    }
    const changed: Partial<GroupStore> = {
      write: (what, done) => store.write(what, counted(done)),
      finishInstall: (hardState, done) => store.finishInstall(hardState, counted(done)),
      openSnapshot: () => {
        const source = store.openSnapshot()
        return {
          meta: source.meta,
          next: (maxBytes, done) => source.next(maxBytes, counted(done)),
          close: () => source.close()
        }
      }
    }
    return new Proxy(store, {
      get: (target, property) => {
        if (property in changed) return Reflect.get(changed, property)
        const value = Reflect.get(target, property, target)
        return typeof value === 'function' ? value.bind(target) : value
      }
    })
  }

  #send(message: RaftMessage): void {
    if (this.lose(message)) return
    this.#wires.push({ to: message.to, data: encodeRaftMessage(message) })
  }

  /** One turn: what was sent arrives, everybody flushes, disks get a chance. Time moves when nothing else does. */
  async turn(): Promise<void> {
    const wires = this.#wires
    this.#wires = []
    for (const { to, data } of wires) this.nodes.get(to)?.replica.step(decodeRaftMessage(data))
    for (const { replica } of this.nodes.values()) replica.flush()
    await new Promise(resolve => setImmediate(resolve))
    this.onTurn()
    if (this.#pending > 0 || this.#wires.length > 0) return
    this.#nowMs += tickMs
    for (const { replica } of this.nodes.values()) replica.tick()
  }

  /** @param withinMs of virtual time. */
  async until(reached: () => boolean, withinMs = 20_000): Promise<void> {
    const endMs = this.#nowMs + withinMs
    while (!reached()) {
      if (this.#nowMs > endMs) throw new Error(`not reached in ${withinMs} ms: ${reached}`)
      await this.turn()
    }
  }

  async pass(timeMs: number): Promise<void> {
    const endMs = this.#nowMs + timeMs
    await this.until(() => this.#nowMs >= endMs, timeMs + tickMs)
  }

  leading(): LevelNode | undefined {
    const leaders = [...this.nodes.values()].filter(({ replica }) => replica.leading())
    return leaders.sort((a, b) => b.replica.term() - a.replica.term()).at(0)
  }

  async leader(): Promise<LevelNode> {
    await this.until(() => this.leading() !== undefined)
    return this.leading()!
  }

  /** Proposes until acknowledged; a lost outcome is tried again, so a text may be applied twice. */
  async write(data: string | Buffer): Promise<number> {
    for (;;) {
      const { replica } = await this.leader()
      let outcome: ProposeOutcome | undefined
      const refusal = replica.propose(Buffer.from(data as string), it => {
        outcome = it
      })
      if (refusal === undefined) await this.until(() => outcome !== undefined)
      if (outcome !== undefined && outcome !== 'lost') return outcome.results[0] as number
      await this.turn()
    }
  }
}
