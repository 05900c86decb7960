import { describe, expect, it } from 'vitest'
import { type GroupNode, ReplicaGroup } from '../../test/support/replica-group.ts'
import { Prng } from '../base/prng.ts'
import { MemoryDisk } from '../storage/memory-store.ts'

interface Operation {
  /** Undefined while it is under way. */
  outcome: 'done' | 'lost' | 'read' | 'refused' | undefined
  /** Died with its process: nobody will ever answer it. */
  gone: boolean
}

/** Random crashes, cuts, losses and disks, then peace; returns how much has happened. */
class Walk {
  readonly #group: ReplicaGroup
  readonly #random: Prng
  readonly #operations = new Map<number, Operation[]>()
  /** Index → what was applied there first. */
  readonly #applied = new Map<number, string>()
  readonly #acked = new Set<string>()
  #highestAcked = 0
  #count = 0
  reads = 0
  losses = 0
  wipes = 0
  readonly #wiping: boolean

  constructor(seed: number, wiping = false) {
    this.#wiping = wiping
    this.#random = new Prng(seed, 'walk')
    this.#group = new ReplicaGroup({ seed, trim: { trailingEntries: 12, trailingBytes: 1 << 20 } })
    const expected: number[] = [0, 0, 0, 0]
    this.#group.onApplied = (node, index, text, sum) => {
      const content = `${text} ${sum}`
      const known = this.#applied.get(index)
      if (known !== undefined && known !== content)
        throw new Error(`${index} differs at ${node.id}`)
      this.#applied.set(index, content)
      if (index <= expected[node.id]! && node.life === this.#lives[node.id]) {
        throw new Error(`${node.id} applies ${index} after ${expected[node.id]}`)
      }
      this.#lives[node.id] = node.life
      expected[node.id] = index
    }
  }

  readonly #lives: number[] = [0, 0, 0, 0]

  get acked(): number {
    return this.#acked.size
  }

  /** @param dead stays down in the end. */
  run(steps: number, dead = 0): void {
    const group = this.#group
    for (let step = 0; step < steps; step++) this.#step()
    group.heal()
    if (dead > 0) this.#crash(dead)
    for (const { id, replica } of group.nodes) {
      if (replica === undefined && id !== dead) group.start(id)
    }
    group.leader()
    group.passUntil(() => {
      const applied = this.#up().map(({ replica }) => replica!.status().applied)
      return applied.every(index => index === applied[0])
    })
    group.pass(1_500)
    this.#judge()
  }

  #up(): GroupNode[] {
    return this.#group.nodes.filter(({ replica }) => replica !== undefined)
  }

  #step(): void {
    const group = this.#group
    const random = this.#random
    const kind = random.below(100)
    const node = group.nodes[random.below(3)]!
    if (kind < 30) {
      if (group.wires.length > 0) {
        // Mostly in order; every tenth message overtakes.
        group.deliver(random.below(10) === 0 ? random.below(group.wires.length) : 0)
      }
    } else if (kind < 50) node.replica?.flush()
    else if (kind < 65) {
      if (node.replica !== undefined) node.disk.complete()
    } else if (kind < 80) group.tick()
    else if (kind < 90) this.#propose(node.id)
    else if (kind < 94) this.#read(node.id)
    else if (kind < 96) for (let i = random.below(30); i > 0; i--) group.pass(10)
    else if (kind < 97) {
      if (this.#wiping && random.below(2) === 0) this.#wipe(node.id)
      else this.#crash(node.id)
    } else if (kind < 99) {
      if (node.replica === undefined) group.start(node.id)
    } else this.#changeWires(node.id)
  }

  #propose(id: number): void {
    const { replica } = this.#group.node(id)
    if (replica === undefined) return
    const text = `t${++this.#count}`
    const operation = this.#begin(id)
    const refusal = this.#group.propose(id, text, outcome => {
      if (outcome === 'lost') this.losses++
      else {
        const [index, length] = outcome.results as [number, number]
        this.#highestAcked = Math.max(this.#highestAcked, index)
        this.#acked.add(text)
        expect(length).toBe(text.length)
        expect(this.#applied.get(index)).toMatch(new RegExp(`^${text} `))
      }
      this.#end(operation, outcome === 'lost' ? 'lost' : 'done')
    })
    if (refusal !== undefined) this.#end(operation, 'refused')
  }

  #read(id: number): void {
    const { replica } = this.#group.node(id)
    if (replica === undefined) return
    const floor = this.#highestAcked
    const operation = this.#begin(id)
    const refusal = replica.read(confirmed => {
      this.#end(operation, 'read')
      if (!confirmed) return
      this.reads++
      const floorRow = floor === 0 ? Buffer.alloc(0) : replica.getRow(`entry/${floor}`)
      if (floorRow === undefined) throw new Error(`a read at ${id} does not see ${floor}`)
    })
    if (refusal !== undefined) this.#end(operation, 'refused')
  }

  #begin(id: number): Operation {
    const operation: Operation = { outcome: undefined, gone: false }
    const operations = this.#operations.get(id) ?? []
    operations.push(operation)
    this.#operations.set(id, operations)
    return operation
  }

  #end(operation: Operation, outcome: NonNullable<Operation['outcome']>): void {
    if (operation.outcome !== undefined) throw new Error(`${operation.outcome}, then ${outcome}`)
    if (operation.gone) throw new Error('a dead process answers')
    operation.outcome = outcome
  }

  #crash(id: number): void {
    if (this.#group.node(id).replica === undefined) return
    this.#group.crash(id, this.#random.below(6))
    for (const operation of this.#operations.get(id) ?? []) {
      if (operation.outcome === undefined) operation.gone = true
    }
  }

  /**
   * A new, empty disk, as long as everything that was ever promised is held by the others or by nobody: one replica at a time may
   * be without its past.
   */
  #wipe(id: number): void {
    const group = this.#group
    const othersHold = group.nodes.every(node => node.id === id || group.isMember(node.id))
    const founded = group.nodes.some(node => group.isMember(node.id))
    if (founded && !othersHold) return
    this.#crash(id)
    group.replaceDisk(id, new MemoryDisk())
    this.wipes++
  }

  #changeWires(id: number): void {
    const group = this.#group
    const random = this.#random
    switch (random.below(4)) {
      case 0:
        group.cut(id)
        break
      case 1:
        group.lose = ({ from }) => from === id
        break
      case 2:
        group.lose = () => random.below(5) === 0
        break
      default:
        group.heal()
    }
  }

  #judge(): void {
    const group = this.#group
    for (const operations of this.#operations.values()) {
      for (const { outcome, gone } of operations) {
        if (outcome === undefined && !gone) throw new Error('an operation was never answered')
      }
    }
    const { id: first, replica } = this.#up()[0]!
    const { applied } = replica!.status()
    const rows = group.rows(first, applied)
    for (const { id } of this.#up()) expect(group.rows(id, applied)).toEqual(rows)
    const contents = new Set([...this.#applied.values()].map(content => content.split(' ')[0]))
    for (const text of this.#acked) expect(contents.has(text), `${text} is lost`).toBe(true)
  }
}

describe('replicas on a random walk', () => {
  it('agree on every row, lose nothing acknowledged, answer everything once', () => {
    let acked = 0
    let reads = 0
    let losses = 0
    let wipes = 0
    for (let seed = 1; seed <= 40; seed++) {
      const walk = new Walk(seed, seed % 2 === 0)
      try {
        walk.run(2_500)
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      acked += walk.acked
      reads += walk.reads
      losses += walk.losses
      wipes += walk.wipes
    }
    expect(acked).toBeGreaterThan(900)
    expect(reads).toBeGreaterThan(100)
    expect(losses).toBeGreaterThan(10)
    expect(wipes).toBeGreaterThan(20)
  }, 60_000)

  it('need no more than two in the end, whichever is gone for ever', () => {
    let acked = 0
    for (let seed = 101; seed <= 118; seed++) {
      const walk = new Walk(seed)
      try {
        walk.run(1_500, 1 + (seed % 3))
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
      acked += walk.acked
    }
    expect(acked).toBeGreaterThan(200)
  }, 60_000)
})
