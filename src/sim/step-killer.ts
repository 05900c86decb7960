import { Prng } from '../base/prng.ts'
import type { MoveStep, StepVictim } from '../table/move-steps.ts'
import type { TableView } from '../table/table-view.ts'
import { exponential, pick } from './swarm.ts'
import { arbiterGroup } from './topology.ts'
import type { World } from './world.ts'

export interface StepKill {
  readonly step: MoveStep
  readonly victim: StepVictim
}

interface Way {
  readonly source: string
  readonly destination: string
  /** The table says that it is there. */
  done: boolean
}

/** Between two kills, so that the cluster gets somewhere. */
const spacingMs = 800
const meanDelayMs = 4

/** Kills a leader whenever some slot has taken a certain step of its way: at once, or a moment later. */
export class StepKiller {
  readonly #world: World
  readonly #kill: StepKill
  readonly #random: Prng
  readonly #ways = new Map<number, Way>()
  #epoch = 0
  #killedMs = Number.NEGATIVE_INFINITY
  #stopped = false

  constructor(world: World, kill: StepKill) {
    this.#world = world
    this.#kill = kill
    this.#random = new Prng(world.seed, 'step killer')
  }

  stop(): void {
    this.#stopped = true
  }

  /** Some process has a newer table than any before. */
  table(view: TableView): void {
    if (view.epoch <= this.#epoch) return
    this.#epoch = view.epoch
    for (const [slot, way] of this.#ways) {
      const there = view.owner(slot)?.setId === way.destination && view.move(slot) === undefined
      if (there && !way.done) this.step('done', slot)
      way.done = there
    }
    for (const { slot, to } of view.table?.moves ?? []) {
      const source = view.owner(slot)!.setId
      const known = this.#ways.get(slot)
      if (known?.source === source && known.destination === to) continue
      this.#ways.set(slot, { source, destination: to, done: false })
      this.step('begun', slot)
    }
  }

  step(step: MoveStep, slot: number): void {
    const { kernel } = this.#world
    const way = this.#ways.get(slot)
    if (step !== this.#kill.step || way === undefined || this.#stopped) return
    if (kernel.nowMs() - this.#killedMs < spacingMs) return
    this.#killedMs = kernel.nowMs()
    const { victim } = this.#kill
    const group = victim === 'arbiter' ? arbiterGroup : way[victim]
    const delayMs = this.#random.below(3) === 0 ? 0 : exponential(this.#random, meanDelayMs)
    const awayMs = pick(this.#random, [0, 150, 1_500])
    kernel.schedule(delayMs, () => this.#killLeader(group, awayMs))
  }

  #killLeader(group: string, awayMs: number): void {
    if (this.#stopped) return
    const { nodes, kernel } = this.#world
    const node = nodes.find(({ replicas }) =>
      replicas.some(replica => replica.group === group && replica.api.leading())
    )
    if (node === undefined) return
    this.#world.counted('step_kill')
    node.crash('killed', pick(this.#random, [0, 1, 3]))
    kernel.schedule(awayMs, () => {
      if (!node.alive) node.start()
    })
  }
}
