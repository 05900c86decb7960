import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/base/prng.ts'
import { Cluster, type Node } from './raft-cluster.ts'

interface Plan {
  readonly replicas: number
  readonly steps: number
  readonly changes: boolean
  readonly damage: boolean
}

/**
 * A random walk over everything that can happen to a group, then a quiet time in which it must
 * recover.
 */
class Walk {
  readonly #random: Prng
  readonly #cluster: Cluster
  readonly #plan: Plan
  readonly #seed: number
  readonly #trace: string[] = []
  #token = 0
  #value = 0

  constructor(seed: number, plan: Plan) {
    this.#seed = seed
    this.#plan = plan
    this.#random = new Prng(seed, 'walk')
    this.#cluster = new Cluster({ seed, encode: true })
    // RAFT_TRACE=1 RAFT_FIRST_SEED=617 RAFT_SEEDS=1 shows how a seed fails.
    if (process.env.RAFT_TRACE === '1') this.#cluster.trace = line => this.#trace.push(line)
    const voters = Array.from({ length: plan.replicas }, (_, i) => i + 1)
    const spare = plan.changes ? [plan.replicas + 1, plan.replicas + 2] : []
    for (const id of [...voters, ...spare]) {
      this.#cluster.add(
        id,
        { voters, outgoing: [], learners: [] },
        {
          maxInflightMessages: 1 + this.#random.below(4),
          maxMessageBytes: 20 + this.#random.below(100),
          preVote: this.#random.below(4) > 0
        }
      )
    }
  }

  run(): void {
    try {
      for (let i = 0; i < this.#plan.steps; i++) this.#step()
      this.#recover()
    } catch (error) {
      const trace = this.#trace.slice(-400).join('\n')
      throw new Error(
        `seed ${this.#seed} ${JSON.stringify(this.#plan)}: ${String(error)}\n${trace}`,
        { cause: error }
      )
    }
  }

  #pick<T>(list: readonly T[]): T | undefined {
    return list.length === 0 ? undefined : list[this.#random.below(list.length)]
  }

  #step(): void {
    const cluster = this.#cluster
    const node = this.#pick([...cluster.nodes.values()])!
    const dice = this.#random.below(1_000)
    if (dice < 330) this.#deliver()
    else if (dice < 560) this.#work(node)
    else if (dice < 760) this.#disk(node)
    else if (dice < 900) {
      if (node.raft !== undefined && !node.installing) node.raft.tick()
    } else this.#disturb(node, dice)
    cluster.check(node)
  }

  #deliver(): void {
    const { wire } = this.#cluster
    if (wire.length === 0) return
    const at = this.#random.below(4) === 0 ? this.#random.below(wire.length) : 0
    const message = wire[at]!
    const dice = this.#random.below(20)
    if (dice !== 0) wire.splice(at, 1)
    if (dice !== 1) this.#cluster.deliver(message)
  }

  #work(node: Node): void {
    if (node.raft === undefined || node.installing) return
    if (node.raft.hasReady()) this.#cluster.processReady(node)
    if (this.#random.below(3) === 0) this.#cluster.processApply(node, 1 + this.#random.below(3))
  }

  #disk(node: Node): void {
    if (node.raft !== undefined) this.#cluster.processAppend(node)
  }

  #disturb(node: Node, dice: number): void {
    if (node.raft === undefined) {
      if (this.#random.below(4) === 0) this.#cluster.start(node)
      return
    }
    if (node.installing) return
    if (dice < 950) {
      node.raft.propose([Buffer.from(`v${++this.#value}`), Buffer.from('x')])
    } else if (dice < 970) {
      const token = ++this.#token
      this.#cluster.invariants.readAsked(token)
      node.raft.readIndex(token)
    } else if (dice < 976) this.#crash(node)
    else if (dice < 980) node.raft.transferLeadership(1 + this.#random.below(this.#plan.replicas))
    else if (dice < 984) node.raft.forgetLeader(1 + this.#random.below(5))
    else if (dice < 988) this.#compact(node)
    else if (dice < 992) node.raft.reportUnreachable(1 + this.#random.below(this.#plan.replicas))
    else if (dice < 995) this.#failSnapshots(node)
    else this.#change(node)
  }

  #crash(node: Node): void {
    const cluster = this.#cluster
    cluster.crash(node, this.#random.below(node.disk.pendingWrites + 1))
    const others = [...cluster.nodes.values()].some(other => other.quarantined)
    if (!this.#plan.damage || others || this.#random.below(2) === 0) return
    const applied = node.disk.rows.applied
    const last = node.disk.lastIndex()
    node.disk.loseFrom(
      Math.max(applied, node.disk.firstIndex() - 1) + 1 + this.#random.below(last - applied + 1)
    )
    node.quarantined = true
    // A new process is a new connection: nothing of the old one's is delivered any more.
    cluster.wire = cluster.wire.filter(message => message.from !== node.id)
  }

  #compact(node: Node): void {
    const { applied } = node.rows
    if (applied > node.disk.firstIndex()) this.#cluster.compact(node, applied)
  }

  #change(node: Node): void {
    if (!this.#plan.changes) return
    const voters: number[] = []
    const learners: number[] = []
    for (const id of this.#cluster.nodes.keys()) {
      const dice = this.#random.below(10)
      if (dice < 6) voters.push(id)
      else if (dice < 8) learners.push(id)
    }
    if (voters.length >= 2) node.raft?.proposeMembership({ voters, learners })
  }

  #recover(): void {
    const cluster = this.#cluster
    cluster.wire = []
    for (const node of cluster.nodes.values()) {
      if (node.raft === undefined) cluster.start(node)
    }
    const marker = Buffer.from('the end')
    let proposed = -1
    for (let round = 0; round < 400; round++) {
      cluster.settle()
      const leader = cluster.leader()
      if (round % 50 === 0) this.#failSnapshots(leader)
      if (leader !== undefined && round > 100) {
        if (proposed < 0) {
          const at = leader.core.propose([marker])
          if (typeof at === 'object') proposed = at.index
        } else if (this.#converged(leader, proposed)) return
      }
      for (const node of cluster.alive()) node.core.tick()
    }
    const states = cluster.alive().map(node => {
      const { progress, ...rest } = node.core.status()
      return JSON.stringify({ ...rest, progress })
    })
    throw new Error(`no recovery: proposed ${proposed}\n${states.join('\n')}`)
  }

  /** The streams of before are lost; their senders notice. */
  #failSnapshots(leader: Node | undefined): void {
    for (const { id, state } of leader?.core.status().progress ?? []) {
      if (state === 'snapshot') leader?.core.reportSnapshot(id, false, 0)
    }
  }

  #converged(leader: Node, proposed: number): boolean {
    const { membership, commit } = leader.core.status()
    if (leader.rows.applied < proposed || membership.outgoing.length > 0) return false
    const members = [...membership.voters, ...membership.learners]
    return members.every(id => {
      const { rows } = this.#cluster.get(id)
      return rows.applied === commit && rows.hash === leader.rows.hash
    })
  }
}

const seeds = Number(process.env.RAFT_SEEDS ?? 60)
const firstSeed = Number(process.env.RAFT_FIRST_SEED ?? 1)

describe('a random walk keeps every invariant and recovers', () => {
  const plans: Record<string, Plan> = {
    'three replicas': { replicas: 3, steps: 4_000, changes: false, damage: false },
    'five replicas': { replicas: 5, steps: 6_000, changes: false, damage: false },
    'three replicas and membership changes': {
      replicas: 3,
      steps: 6_000,
      changes: true,
      damage: false
    },
    'three replicas, one log damaged at a time': {
      replicas: 3,
      steps: 4_000,
      changes: false,
      damage: true
    }
  }
  for (const [name, plan] of Object.entries(plans)) {
    it(name, { timeout: 60_000 }, () => {
      for (let seed = firstSeed; seed < firstSeed + seeds; seed++) new Walk(seed, plan).run()
      expect(seeds).toBeGreaterThan(0)
    })
  }
})
