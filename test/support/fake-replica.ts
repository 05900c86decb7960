import type { RaftStatus, Refusal } from '../../src/raft/raft-api.ts'
import type { ProposeOutcome, ReplicaApi } from '../../src/raft/replica-api.ts'
import type { Rows, StateMachine } from '../../src/raft/state-machine.ts'
import type { RowPage, RowRange } from '../../src/raft/store.ts'
import type { RaftMessage } from '../../src/raft/types.ts'
import { isAfter, pageOf } from '../../src/storage/range-read.ts'

interface LoggedEntry {
  readonly term: number
  readonly data: Buffer
}

/** What survives a restart of a fake replica. */
export class FakeDisk {
  readonly rows = new Map<string, Buffer>()
  applied = 0
}

/**
 * A replicated group without a network: one log for all replicas. The leader's `flush` commits
 * everything proposed so far; each replica applies what is committed in its own `flush`. `lead`
 * moves leadership and drops what is not committed.
 */
export class FakeGroup {
  readonly log: LoggedEntry[] = []
  readonly replicas = new Map<number, FakeReplica>()
  committed = 0
  leader = 0
  term = 0
  /** While true the leader cannot commit: it has no majority. */
  stuck = false

  join(
    id: number,
    machine: StateMachine,
    onLeadership: (leading: boolean) => void,
    disk = new FakeDisk()
  ): FakeReplica {
    const replica = new FakeReplica(this, id, machine, onLeadership, disk)
    this.replicas.set(id, replica)
    return replica
  }

  /** @param id 0 = nobody leads. */
  lead(id: number): void {
    const before = this.replicas.get(this.leader)
    this.log.length = this.committed
    this.leader = id
    this.term++
    before?.lost()
    this.replicas.get(id)?.won()
  }
}

export class FakeReplica implements ReplicaApi {
  readonly stepped: RaftMessage[] = []
  readonly #group: FakeGroup
  readonly #id: number
  readonly #machine: StateMachine
  readonly #onLeadership: (leading: boolean) => void
  readonly #disk: FakeDisk
  readonly #proposed = new Map<number, (outcome: ProposeOutcome) => void>()
  /** The next proposals are refused so. */
  refuseWith: Refusal | undefined
  transfersAsked = 0
  ticks = 0
  /** It hears nothing of what the others log. */
  deaf = false
  abandoned = false
  /** As if an append were on its way to the disk. */
  diskBusy = false

  constructor(
    group: FakeGroup,
    id: number,
    machine: StateMachine,
    onLeadership: (leading: boolean) => void,
    disk: FakeDisk
  ) {
    this.#group = group
    this.#id = id
    this.#machine = machine
    this.#onLeadership = onLeadership
    this.#disk = disk
  }

  leading(): boolean {
    return this.#group.leader === this.#id
  }

  leader(): number {
    return this.#group.leader
  }

  term(): number {
    return this.#group.term
  }

  appending(): boolean {
    return this.diskBusy
  }

  status(): RaftStatus {
    throw new Error('the fake replica has no status')
  }

  getRow(key: string): Buffer | undefined {
    return this.#disk.rows.get(key)
  }

  readRows({ after, before, maxBytes }: RowRange, done: (page: RowPage) => void): void {
    const rows = [...this.#disk.rows].filter(([key]) => isAfter(key, after) && isAfter(before, key))
    done(pageOf(rows, maxBytes, false))
  }

  propose(data: Buffer, done: (outcome: ProposeOutcome) => void): Refusal | undefined {
    if (!this.leading()) return 'notLeader'
    if (this.refuseWith !== undefined) return this.refuseWith
    this.#proposed.set(this.#group.log.push({ term: this.#group.term, data }), done)
    return undefined
  }

  read(done: (confirmed: boolean) => void): Refusal | undefined {
    if (!this.leading()) return 'notLeader'
    done(true)
    return undefined
  }

  transferLeadership(): Refusal | undefined {
    this.transfersAsked++
    return this.leading() ? undefined : 'notLeader'
  }

  changeMembers(): Refusal | undefined {
    return 'unsafe'
  }

  abandon(): boolean {
    this.abandoned = true
    return true
  }

  step(message: RaftMessage): void {
    this.stepped.push(message)
  }

  tick(): void {
    this.ticks++
  }

  peer(): void {}

  flush(): void {
    const group = this.#group
    if (this.leading() && !group.stuck) group.committed = group.log.length
    while (!this.deaf && this.#disk.applied < group.committed) {
      const index = ++this.#disk.applied
      const results = this.#machine.apply(index, group.log[index - 1]!.data, this.#rows)
      const done = this.#proposed.get(index)
      this.#proposed.delete(index)
      done?.({ results })
    }
  }

  won(): void {
    this.flush()
    this.#onLeadership(true)
  }

  lost(): void {
    this.#onLeadership(false)
    for (const done of this.#proposed.values()) done('lost')
    this.#proposed.clear()
  }

  readonly #rows: Rows = {
    get: key => this.#disk.rows.get(key),
    put: (key, value) => {
      const bytes = Buffer.isBuffer(value) ? value : value.encode()
      if (bytes === undefined) this.#disk.rows.delete(key)
      else this.#disk.rows.set(key, bytes)
    },
    add: (key, value) => {
      this.#disk.rows.set(key, value)
    },
    delete: key => {
      this.#disk.rows.delete(key)
    }
  }
}
