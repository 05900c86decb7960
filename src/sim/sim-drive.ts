import type { Prng } from '../base/prng.ts'
import { MemoryDisk } from '../storage/memory-store.ts'
import type { SimProcess } from './sim-process.ts'

/** Moves what a process writes to its disk: one batch at a time, as fast as the world has it, and with what goes wrong there. */
export class SimDrive {
  disk = new MemoryDisk()
  /** How many times slower than usual. */
  factor = 1
  /** It holds an earlier copy, and nobody has healed it yet, so far as is known. */
  old = false
  /** In place of the end of a batch: the process dies of it. */
  fails: (() => void) | undefined
  readonly #process: SimProcess
  readonly #random: Prng
  #stuck = false
  #busy = false

  constructor(process: SimProcess, random: Prng) {
    this.#process = process
    this.#random = random
  }

  /** Sends the next batch on its way, if none is; what is handed in meanwhile is the one after. */
  go(): void {
    const batch = this.disk.pending
    if (this.#busy || this.#stuck || batch === 0) return
    this.#busy = true
    const process = this.#process
    const { world } = process
    const { diskMinMs, diskMeanMs, diskSpikes, diskSpikeMs } = world.swarm
    const spike = this.#random.float() < diskSpikes ? diskSpikeMs : 0
    const meanMs = diskMinMs - diskMeanMs * Math.log(1 - this.#random.float())
    process.after((meanMs + spike) * this.factor, () => {
      this.#busy = false
      if (this.#stuck) return
      if (this.fails !== undefined) {
        this.fails()
        return
      }
      world.trace.event(world.kernel.nowMs(), 'disk', process.index, batch)
      for (let i = 0; i < batch; i++) this.disk.complete()
      this.go()
    })
  }

  /** No write ends until `free`. */
  stick(): void {
    this.#stuck = true
  }

  free(): void {
    if (!this.#stuck) return
    this.#stuck = false
    this.go()
  }

  crash(keepUnsynced: number): void {
    this.#busy = false
    this.disk = this.disk.crash(keepUnsynced)
  }

  /** Whether what the others rely on is there. Of an earlier copy they have to say so first. */
  get sound(): boolean {
    const { alive, replicas } = this.#process
    const trusted = alive && replicas.every(({ api }) => !api.status().quarantined)
    return (!this.old || trusted) && this.disk.sound
  }

  // What is left of the data, while the process is down

  /** The database is gone, and what stands beside it tells so. */
  wipe(): void {
    const process = this.#process
    process.world.note('wipe', process, 0)
    this.disk = this.disk.wipe('wiped by the simulation')
  }

  /** The newest records of the logs cannot be read. @param lose how many of so many are lost. */
  damageLog(lose: (entries: number) => number): void {
    const process = this.#process
    process.world.note('logDamage', process, 0)
    this.disk.damage(lose, 'damaged by the simulation')
  }

  /** An earlier copy takes the place of what was there. */
  restore(copy: MemoryDisk): void {
    const process = this.#process
    process.world.note('oldDisk', process, 0)
    this.disk = copy
    this.old = true
  }

  /** Everything is gone. */
  replace(): void {
    const process = this.#process
    process.world.note('newDisk', process, 0)
    this.disk = new MemoryDisk()
  }
}
