import { Prng } from '../base/prng.ts'
import { Fault } from './faults.ts'
import { expendable } from './survivors.ts'
import { exponential, type FaultKind, pick } from './swarm.ts'
import type { World } from './world.ts'

/** A fault that was due in a run. The same seed has the same ones at the same times, whatever becomes of the cluster. */
export interface DueFault {
  /** Counts from 1 in order of time. */
  readonly number: number
  readonly kind: FaultKind
  readonly atMs: number
}

/** Does the faults that the swarm has drawn, each at random times, until `stop`. */
export class Nemesis {
  readonly #world: World
  /** Only these happen, if it is given. */
  readonly #only: ReadonlySet<number> | undefined
  readonly done: DueFault[] = []
  #due = 0
  #stopped = false

  constructor(world: World, only: readonly number[] | undefined) {
    this.#world = world
    this.#only = only && new Set(only)
    for (const { kind, everyMs } of world.swarm.faults) {
      this.#later(kind, everyMs, new Prng(world.seed, `times of ${kind}`))
    }
  }

  #later(kind: FaultKind, everyMs: number, random: Prng): void {
    this.#after(exponential(random, everyMs), () => {
      this.#do(kind, ++this.#due)
      this.#later(kind, everyMs, random)
    })
  }

  readonly #after = (delayMs: number, event: () => void): void => {
    this.#world.kernel.schedule(delayMs, () => {
      if (!this.#stopped) event()
    })
  }

  #do(kind: FaultKind, number: number): void {
    if (this.#only?.has(number) === false) return
    const world = this.#world
    const atMs = world.kernel.nowMs()
    this.done.push({ number, kind, atMs })
    world.counted(`fault_${kind}`)
    world.trace.event(atMs, kind, 0)
    world.trace.tell(atMs, 'nemesis', () => `${kind} (fault ${number})`)
    new Fault(world, new Prng(world.seed, `fault ${number}`), this.#after).do(kind)
  }

  /** Ends all faults: everything is mended, everybody runs, or everybody but a minority of each group. */
  stop(): void {
    this.#stopped = true
    this.#world.stepKiller?.stop()
    const { nodes, devices, network, swarm, seed } = this.#world
    const random = new Prng(seed, 'lasting')
    const dead = swarm.lasting ? expendable(this.#world, random) : []
    if (dead.length > 0) this.#world.marks.hit('group went on with a majority')
    for (const node of dead) node.retire(pick(random, ['killed', 'powerLoss']))
    for (const from of nodes) {
      for (const to of nodes) {
        network.setCut(from, to, false)
        network.setSlow(from, to, 1)
      }
    }
    for (const device of devices) {
      device.muted = false
      device.readsEveryMs = 0
    }
    for (const node of nodes) {
      node.drive.factor = 1
      node.turnFactor = 1
      node.drive.fails = undefined
      node.drive.free()
      node.resume()
      if (!node.alive) node.start()
    }
  }
}
