import { jointVote } from '../../src/raft/quorum.ts'
import type { Entry, RaftMessage, ReplicaId } from '../../src/raft/types.ts'
import type { Node } from './raft-cluster.ts'

function demand(condition: boolean, text: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${text}`)
}

interface Marks {
  term: number
  commit: number
  applied: number
  /** Committed entries up to here have been compared. */
  verified: number
}

/**
 * Raft's safety properties (Figure 3.2), and the ones our bugs would break first, judged from
 * outside the core.
 */
export class Invariants {
  readonly #leaderOf = new Map<number, ReplicaId>()
  /** Terms whose leader's log has been compared. */
  readonly #judged = new Set<number>()
  readonly #votes = new Map<string, ReplicaId>()
  /** index/term → term of the entry before and the data: log matching, by induction. */
  readonly #written = new Map<string, string>()
  readonly #committed = new Map<number, string>()
  readonly #hashes = new Map<number, number>()
  readonly #marks = new Map<ReplicaId, Marks>()
  /** What was committed when each read was asked for, oldest first; tokens may repeat. */
  readonly #readFloors = new Map<number, number[]>()
  highestCommit = 0

  /** A read is asked for now: it must see everything that is committed anywhere. */
  readAsked(token: number): void {
    const floors = this.#readFloors.get(token)
    if (floors === undefined) this.#readFloors.set(token, [this.highestCommit])
    else floors.push(this.highestCommit)
  }

  read(reads: readonly { readonly token: number; readonly index: number }[]): void {
    for (const { token, index } of reads) {
      const floor = this.#readFloors.get(token)?.shift() ?? 0
      demand(index >= floor, `read ${token} sees ${index}, ${floor} was committed before`)
    }
  }

  /** Commit and applied may fall back at a restart, the term never. */
  restarted(node: Node): void {
    const marks = this.#marks.get(node.id)
    if (marks === undefined) return
    marks.commit = 0
    marks.applied = 0
    marks.verified = 0
  }

  sent(node: Node, message: RaftMessage): void {
    if (message.type !== 'voteAnswer' || !message.granted) return
    const key = `${node.id} in ${message.term}`
    const other = this.#votes.get(key)
    demand(other === undefined || other === message.to, `${key} votes twice`)
    this.#votes.set(key, message.to)
    demand(node.disk.hardState.term >= message.term, `${key} votes without having stored the term`)
  }

  appended(node: Node, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const key = `${entry.index}/${entry.term}`
      const before = node.disk.term(entry.index - 1)
      const content = `${before} ${entry.kind} ${entry.data.toString('latin1')}`
      const known = this.#written.get(key)
      demand(known === undefined || known === content, `two entries ${key}`)
      this.#written.set(key, content)
    }
  }

  applied(node: Node, entry: Entry): void {
    const hash = this.#hashes.get(entry.index)
    demand(hash === undefined || hash === node.rows.hash, `states differ at ${entry.index}`)
    this.#hashes.set(entry.index, node.rows.hash)
  }

  check(node: Node, nodes: ReadonlyMap<ReplicaId, Node>): void {
    if (node.raft === undefined || node.installing) return
    const { role, term, commit, applied, lastIndex } = node.raft.status()
    const marks = this.#marks.get(node.id) ?? { term: 0, commit: 0, applied: 0, verified: 0 }
    demand(term >= marks.term || node.life > 1, `term of ${node.id} falls`)
    demand(commit >= marks.commit, `commit of ${node.id} falls`)
    demand(applied >= marks.applied, `applied of ${node.id} falls`)
    demand(applied <= commit || node.quarantined, `${node.id} applied what is not committed`)
    demand(commit <= lastIndex, `${node.id} commits beyond its log`)
    if (role === 'leader') this.#checkLeader(node, nodes, marks.commit)
    this.highestCommit = Math.max(this.highestCommit, commit)
    let { verified } = marks
    // The disk shows the core's log only when the core has handed everything over.
    if (!node.raft.hasReady()) {
      this.#checkCommitted(node, verified, commit)
      verified = commit
    }
    this.#marks.set(node.id, { term, commit, applied, verified })
  }

  #checkLeader(node: Node, nodes: ReadonlyMap<ReplicaId, Node>, before: number): void {
    const { term, commit, membership } = node.core.status()
    const known = this.#leaderOf.get(term)
    demand(known === undefined || known === node.id, `two leaders in term ${term}`)
    if (!this.#judged.has(term) && !node.core.hasReady()) {
      this.#judged.add(term)
      for (const [index, content] of this.#committed) {
        const mine = this.#entryTerm(node, index)
        demand(
          mine === undefined || content === `${mine}`,
          `leader ${node.id} of term ${term} lacks the committed entry ${index}`
        )
        demand(
          index <= node.core.status().lastIndex,
          `the log of leader ${node.id} of term ${term} ends before ${index}`
        )
      }
    }
    this.#leaderOf.set(term, node.id)
    if (commit <= before || commit <= node.disk.firstIndex()) return
    const entryTerm = this.#entryTerm(node, commit)
    if (entryTerm !== term) return
    const holders = new Map<ReplicaId, boolean>()
    for (const other of nodes.values()) {
      holders.set(other.id, other.disk.holds(commit, term))
    }
    demand(
      jointVote(membership.voters, membership.outgoing, holders) === 'won',
      `${commit} is committed but not on a majority of disks`
    )
  }

  #entryTerm(node: Node, index: number): number | undefined {
    return index < node.disk.firstIndex() ? undefined : node.disk.term(index)
  }

  #checkCommitted(node: Node, before: number, commit: number): void {
    for (let index = Math.max(before + 1, node.disk.firstIndex()); index <= commit; index++) {
      const term = node.disk.term(index)
      if (term === undefined) continue
      const known = this.#committed.get(index)
      demand(
        known === undefined || known === `${term}`,
        `the committed entry ${index} changes from term ${known} to ${term}`
      )
      this.#committed.set(index, `${term}`)
    }
  }
}
