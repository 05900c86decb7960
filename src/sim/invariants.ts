import { crc32, crc32OfString } from '../base/crc32.ts'
import { jointVote } from '../raft/quorum.ts'
import type { RaftStatus } from '../raft/raft-api.ts'
import type { Rows, StateMachine } from '../raft/state-machine.ts'
import { pinnedSlots } from '../table/pins.ts'
import type { TableView } from '../table/table-view.ts'

/** A change of members that takes effect may leave a leader without a majority until its next tick; ticks of process and replica differ. */
const deafTicksMax = 8

/** A rule was broken. The first one ends the run. */
export class SimFailure extends Error {
  readonly check: string

  constructor(check: string, text: string) {
    super(text)
    this.name = 'SimFailure'
    this.check = check
  }
}

/** What one life of a replica has shown so far. */
interface ReplicaMarks {
  term: number
  commit: number
  applied: number
  /** The tick of the process since which it leads without hearing a majority; 0 = it does not. */
  deafTick: number
}

/** What one life of a process has shown so far. */
export class LifeMarks {
  readonly replicas = new Map<string, ReplicaMarks>()
  epoch = 0
  ticks = 0

  of(group: string): ReplicaMarks {
    let marks = this.replicas.get(group)
    if (marks === undefined) {
      marks = { term: 0, commit: 0, applied: 0, deafTick: 0 }
      this.replicas.set(group, marks)
    }
    return marks
  }
}

/** What the first replica to apply an entry did. */
interface AppliedEntry {
  readonly index: number
  readonly data: number
  readonly effect: number
  readonly by: string
  /** Of that replica at that moment: the entry was committed in it or before. */
  readonly term: number
}

/** Rules that must hold at every moment, whatever happens to the cluster. */
export class Invariants {
  readonly #leaders = new Map<string, string>()
  readonly #votes = new Map<string, number>()
  readonly #applied = new Map<string, Map<number, AppliedEntry>>()
  /** Group → the entries in the order in which they were applied first. */
  readonly #order = new Map<string, AppliedEntry[]>()
  readonly #tables = new Map<number, { hash: number; by: string }>()
  /** Facts compared so far. */
  judged = 0

  /** Raft, election safety: at most one leader in a term. */
  leads(group: string, term: number, replica: string): void {
    const key = `${group} ${term}`
    const known = this.#leaders.get(key)
    if (known === undefined) this.#leaders.set(key, replica)
    else if (known !== replica) {
      throw new SimFailure('leaders', `${known} and ${replica} both lead ${group} in term ${term}`)
    }
    this.judged++
  }

  /** Raft: one vote a term, also across restarts. */
  votes(group: string, term: number, voter: number, candidate: number): void {
    const key = `${group}/${voter} ${term}`
    const known = this.#votes.get(key)
    if (known === undefined) this.#votes.set(key, candidate)
    else if (known !== candidate) {
      const both = `for ${known} and for ${candidate}`
      throw new SimFailure('votes', `${group}/${voter} votes ${both} in term ${term}`)
    }
    this.judged++
  }

  get elections(): number {
    return this.#leaders.size
  }

  /** Term, commit and applied index of a running process never fall. */
  status(group: string, replica: string, life: LifeMarks, status: RaftStatus): void {
    const marks = life.of(group)
    const { term, commit, applied, lastIndex } = status
    if (term < marks.term || commit < marks.commit || applied < marks.applied) {
      const now = `term ${term}, commit ${commit}, applied ${applied}`
      throw new SimFailure(
        'monotone',
        `${replica}: ${now} after ${marks.term}, ${marks.commit}, ${marks.applied}`
      )
    }
    if (applied > commit || commit > lastIndex) {
      throw new SimFailure(
        'log',
        `${replica}: applied ${applied}, commit ${commit} of ${lastIndex}`
      )
    }
    marks.term = term
    marks.commit = commit
    marks.applied = applied
    this.#hears(replica, marks, life.ticks, status)
    this.judged++
  }

  /** A leader that hears no majority steps down: it may still be heard, and nobody else would stand. */
  #hears(replica: string, marks: ReplicaMarks, tick: number, status: RaftStatus): void {
    const { membership, progress } = status
    const { voters, outgoing } = membership
    const heard = new Map(progress.map(one => [one.id, one.heard]))
    const deaf = status.role === 'leader' && jointVote(voters, outgoing, heard) !== 'won'
    if (!deaf) marks.deafTick = 0
    else if (marks.deafTick === 0) marks.deafTick = tick
    else if (tick - marks.deafTick > deafTicksMax) {
      throw new SimFailure('check-quorum', `${replica} leads and hears no majority`)
    }
  }

  /**
   * State-machine safety: at one index every replica applies the same entry, with the same effect.
   * @returns whether nobody has applied it before.
   */
  applied(group: string, index: number, entry: Omit<AppliedEntry, 'index'>): boolean {
    let entries = this.#applied.get(group)
    if (entries === undefined) {
      entries = new Map()
      this.#applied.set(group, entries)
      this.#order.set(group, [])
    }
    this.judged++
    const known = entries.get(index)
    if (known === undefined) {
      const first = { index, ...entry }
      entries.set(index, first)
      this.#order.get(group)!.push(first)
      return true
    }
    if (known.data !== entry.data) {
      throw new SimFailure('log-matching', `${entry.by} and ${known.by} differ in entry ${index}`)
    }
    if (known.effect !== entry.effect) {
      throw new SimFailure(
        'state-machine',
        `entry ${index} of ${group} changes other rows at ${entry.by} than at ${known.by}`
      )
    }
    return false
  }

  /** Index of the newest entry that anybody has applied. */
  newest(group: string): number {
    return this.#order.get(group)?.at(-1)?.index ?? 0
  }

  /** The newest entry that was certainly committed in a term before this one. */
  newestBefore(group: string, term: number): { index: number; data: number } | undefined {
    const order = this.#order.get(group) ?? []
    for (let at = order.length - 1; at >= 0; at--) if (order[at]!.term < term) return order[at]
    return undefined
  }

  /** I-6: one epoch, one content; never back within a process. And no slot moves away from where it is pinned. */
  table(process: string, life: LifeMarks, view: TableView): void {
    const { epoch, contentHash } = view
    if (epoch <= life.epoch) {
      throw new SimFailure('epochs', `${process} adopts epoch ${epoch} after ${life.epoch}`)
    }
    life.epoch = epoch
    const known = this.#tables.get(epoch)
    if (known === undefined) {
      this.#tables.set(epoch, { hash: contentHash, by: process })
      judgePins(view)
    }
    if (known !== undefined && known.hash !== contentHash) {
      throw new SimFailure('epochs', `epoch ${epoch} differs at ${process} and ${known.by}`)
    }
    this.judged++
  }
}

function judgePins({ table, epoch }: TableView): void {
  if (table === undefined || table.pins.length === 0) return
  const pinned = pinnedSlots(table)
  for (const { slot, to } of table.moves) {
    const held = pinned.get(slot) ?? to
    if (held === to) continue
    const text = `slot ${slot} is pinned to ${held} and goes to ${to} in epoch ${epoch}`
    throw new SimFailure('pins', text)
  }
}

/** A state machine that tells what each entry changed. */
export class WatchedMachine implements StateMachine {
  readonly #machine: StateMachine
  readonly #onApplied: (index: number, entry: Buffer, effect: number) => void
  #rows: Rows | undefined
  #effect = 0

  constructor(
    machine: StateMachine,
    onApplied: (index: number, entry: Buffer, effect: number) => void
  ) {
    this.#machine = machine
    this.#onApplied = onApplied
  }

  apply(index: number, data: Buffer, rows: Rows): unknown[] {
    this.#rows = rows
    this.#effect = 0
    const results = this.#machine.apply(index, data, this.#watched)
    this.#onApplied(index, data, this.#effect)
    return results
  }

  reset(): void {
    this.#machine.reset()
  }

  /** The order of the changes within an entry does not matter. */
  readonly #watched: Rows = {
    get: key => this.#rows!.get(key),
    put: (key, value) => {
      this.#changed(key, Buffer.isBuffer(value) ? value : value.encode())
      this.#rows!.put(key, value)
    },
    add: (key, value) => {
      this.#changed(key, value)
      this.#rows!.add(key, value)
    },
    delete: key => {
      this.#changed(key, undefined)
      this.#rows!.delete(key)
    }
  }

  #changed(key: string, value: Buffer | undefined): void {
    const hash = crc32OfString(key)
    this.#effect = (this.#effect + (value === undefined ? ~hash : crc32(value, hash))) | 0
  }
}
