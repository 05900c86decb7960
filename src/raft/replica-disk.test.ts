import { describe, expect, it } from 'vitest'
import { type GroupNode, ReplicaGroup } from '../../test/support/replica-group.ts'
import type { RaftMessage } from './types.ts'

/** A group under a steady load, of which some processes die at a chosen write. */
class CrashRun {
  readonly group = new ReplicaGroup({ trim: { trailingEntries: 12, trailingBytes: 1 << 20 } })
  readonly acked: string[] = []
  readonly #applied = new Map<number, string>()
  /** By replica: the newest term it has spoken in, and what it has acknowledged there. */
  readonly #told = [0, 0, 0, 0].map(() => ({ term: 0, index: 0 }))
  readonly #lastApplied = [0, 0, 0, 0]
  crashes = 0
  replayed = 0

  constructor() {
    const { group } = this
    group.onApplied = (node, index, text) => this.#onApplied(node, index, text)
    group.alter = message => {
      this.#onSent(message)
      return message
    }
  }

  #onApplied({ id }: GroupNode, index: number, text: string): void {
    expect(this.#applied.get(index) ?? text).toBe(text)
    this.#applied.set(index, text)
    // No-ops are not shown, so indexes grow but need not follow each other.
    expect(index).toBeGreaterThan(this.#lastApplied[id]!)
    this.#lastApplied[id] = index
  }

  #onSent(message: RaftMessage): void {
    const told = this.#told[message.from]!
    const binds =
      message.type === 'vote' || message.type === 'voteAnswer' || message.type === 'appendAnswer'
    if (!binds) return
    if (message.term > told.term) {
      told.term = message.term
      told.index = 0
    }
    if (message.type === 'appendAnswer' && !message.rejected && message.term === told.term) {
      told.index = Math.max(told.index, message.index)
    }
  }

  /** The process dies when its disk has done `writes` more operations and has another one in hand. */
  crashAt(id: number, writes: number, keepUnsynced: number): void {
    const { disk } = this.group.node(id)
    const complete = disk.complete.bind(disk)
    let count = 0
    disk.complete = () => {
      if (this.group.node(id).disk !== disk) return false
      if (count === writes && disk.pending > 0) {
        this.crash(id, keepUnsynced)
        return false
      }
      if (!complete()) return false
      count++
      return true
    }
  }

  crash(id: number, keepUnsynced: number): void {
    this.crashes++
    this.group.crash(id, keepUnsynced)
    const { recovered, lastIndex } = this.#found(id)
    const told = this.#told[id]!
    expect(recovered.hardState.term).toBeGreaterThanOrEqual(told.term)
    // What it acknowledged in its newest term nobody has truncated since.
    if (recovered.hardState.term === told.term) expect(lastIndex).toBeGreaterThanOrEqual(told.index)
    this.replayed += this.#lastApplied[id]! - recovered.applied
    this.#lastApplied[id] = recovered.applied
  }

  #found(id: number) {
    const store = this.group.node(id).disk.group('g')
    return { recovered: store.recovered, lastIndex: store.lastIndex() }
  }

  /** One proposal every 20 ms by whoever leads. */
  load(steps: number): void {
    for (let i = 0; i < steps; i++) {
      const leader = this.group.nodes.find(({ replica }) => replica?.leading())
      const text = `t${this.acked.length} ${i}`
      leader?.replica?.propose(Buffer.from(text), outcome => {
        if (outcome !== 'lost') this.acked.push(text)
      })
      this.group.pass(20)
    }
  }

  restartAll(): void {
    for (const { id, replica } of this.group.nodes) if (replica === undefined) this.group.start(id)
  }

  /** Everybody level, everything acknowledged there. */
  judge(): void {
    const { group } = this
    group.leader()
    group.passUntil(() => {
      const applied = group.nodes.map(({ replica }) => replica!.status().applied)
      return applied.every(index => index === applied[0])
    })
    const { applied } = group.replica(1).status()
    const rows = group.rows(1, applied)
    for (const { id } of group.nodes) expect(group.rows(id, applied)).toEqual(rows)
    const texts = new Set(this.#applied.values())
    for (const text of this.acked) expect(texts.has(text), `${text} is lost`).toBe(true)
    expect(texts.size).toBeLessThanOrEqual(this.#applied.size)
  }
}

describe('a process that dies at a write', () => {
  it.each(['leader', 'follower'] as const)(
    'finds what it has told, whichever write of a %s it was, and replays entries once',
    role => {
      let crashes = 0
      let replayed = 0
      for (let writes = 0; writes < 40; writes++) {
        const run = new CrashRun()
        const leader = run.group.leader()
        run.load(3)
        const victim = role === 'leader' ? leader : run.group.follower()
        run.crashAt(victim.id, writes, [0, 1, 5][writes % 3]!)
        run.load(50)
        run.restartAll()
        run.load(20)
        run.judge()
        crashes += run.crashes
        replayed += run.replayed
        expect(run.acked.length).toBeGreaterThan(20)
      }
      expect(crashes).toBe(40)
      expect(replayed).toBeGreaterThan(40)
    },
    60_000
  )

  it('takes all others along, and nothing acknowledged is lost', () => {
    let acked = 0
    for (let writes = 0; writes < 40; writes++) {
      const run = new CrashRun()
      const { id } = run.group.leader()
      run.crashAt(id, writes, 0)
      run.load(25)
      const before = run.acked.length
      for (const node of run.group.nodes) if (node.replica) run.crash(node.id, writes % 3)
      run.restartAll()
      run.load(60)
      run.judge()
      expect(run.acked.length).toBeGreaterThan(before)
      acked += before
    }
    expect(acked).toBeGreaterThan(400)
  }, 60_000)
})

describe('a disk that hangs', () => {
  const hang = ({ disk }: GroupNode): void => {
    disk.complete = () => false
  }

  it('of a follower holds nobody up', () => {
    const run = new CrashRun()
    hang(run.group.follower())
    run.load(50)
    expect(run.acked).toHaveLength(50)
  })

  it('of a leader ends its leadership, and what it had not acknowledged is not lost to it', () => {
    const run = new CrashRun()
    const { group } = run
    const old = group.leader()
    run.load(5)
    hang(old)
    run.load(150)
    const next = group.leader()
    expect(next.id).not.toBe(old.id)
    expect(old.replica!.leading()).toBe(false)
    expect(run.acked.length).toBeGreaterThan(20)
    run.crash(old.id, 0)
    group.start(old.id)
    run.load(5)
    run.judge()
  })

  it('lets no word out that stands for its writes, and the process that fails of it has said nothing', () => {
    const run = new CrashRun()
    const { group } = run
    const old = group.leader()
    run.load(3)
    const [voter, other] = group.nodes.filter(({ id }) => id !== old.id) as [GroupNode, GroupNode]
    const words: RaftMessage['type'][] = []
    const term = voter.replica!.term()
    group.alter = message => {
      // A pre-vote stands for nothing.
      const binds = message.from === voter.id && !message.type.startsWith('preVote')
      if (binds && message.term > term) words.push(message.type)
      return message
    }
    hang(voter)
    run.crash(old.id, 0)
    group.pass(5_000)
    // Two of three are up, and the one cannot win without the other's disk.
    expect(other.replica!.leading()).toBe(false)
    expect(voter.replica!.term()).toBeGreaterThan(term)
    expect(words).toEqual([])
    run.crash(voter.id, 0)
    expect(voter.disk.group('g').recovered.hardState.term).toBe(term)
    run.restartAll()
    run.load(5)
    run.judge()
  })
})
