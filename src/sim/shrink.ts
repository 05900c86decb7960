import type { SimOptions, SimVerdict } from './simulate.ts'
import type { Swarm } from './swarm.ts'

/** A failing run with as little in it as was found. */
export interface Shrunk {
  readonly options: SimOptions
  readonly verdict: SimVerdict
  /** Runs it took. */
  readonly runs: number
}

/** Each makes a world plainer. Tried one after the other; what keeps the failure stays. */
const plainer: readonly Partial<Swarm>[] = [
  { sets: 1, routers: 3, arbiters: 1 },
  { tickMs: 20 },
  { backends: 0 },
  { secondDevices: 0 },
  { users: 4 },
  { users: 2 },
  { wire: false },
  { carry: 'stamp' },
  { tiny: false },
  { lasting: false },
  { snapshotChunkBytes: 128 * 1024 },
  { drift: 0 },
  { diskSpikes: 0 },
  { trailingEntries: 10_000 },
  { latencyMinMs: 1, latencyMeanMs: 0.001 },
  { diskMinMs: 1, diskMeanMs: 0.001 }
]
/** The rule may be broken a little later once less is going on. */
const marginMs = 200

/**
 * Looks for a smaller run that breaks the same rule: a shorter time, fewer faults (by delta debugging, Zeller and Hildebrandt), a
 * plainer world. Every attempt is a whole run; none is made once `runsMax` are used up.
 */
export function shrink(
  failing: SimOptions,
  verdict: SimVerdict,
  run: (options: SimOptions) => SimVerdict,
  runsMax: number
): Shrunk {
  return new Shrinker(failing, verdict, run, runsMax).shrink()
}

class Shrinker {
  #options: SimOptions
  #verdict: SimVerdict
  readonly #run: (options: SimOptions) => SimVerdict
  readonly #runsMax: number
  #runs = 0

  constructor(
    failing: SimOptions,
    verdict: SimVerdict,
    run: (options: SimOptions) => SimVerdict,
    runsMax: number
  ) {
    this.#options = failing
    this.#verdict = verdict
    this.#run = run
    this.#runsMax = runsMax
  }

  shrink(): Shrunk {
    this.#shorten()
    this.#dropFaults()
    for (const swarm of plainer) this.#try({ swarm: { ...this.#options.swarm, ...swarm } })
    this.#dropFaults()
    this.#shorten()
    return { options: this.#options, verdict: this.#verdict, runs: this.#runs }
  }

  #try(change: Partial<SimOptions>): boolean {
    if (this.#runs >= this.#runsMax) return false
    this.#runs++
    const options = { ...this.#options, ...change }
    const verdict = this.#run(options)
    if (verdict.ok || verdict.check !== this.#verdict.check) return false
    this.#options = options
    this.#verdict = verdict
    return true
  }

  /** What came after the rule was broken, or after the last fault. */
  #shorten(): void {
    const { virtualMs, faults } = this.#verdict
    const { faultMs } = this.#options
    for (const endMs of [(faults.at(-1)?.atMs ?? 0) + marginMs, virtualMs + marginMs]) {
      const shorterMs = Math.ceil(endMs)
      if (shorterMs < faultMs && this.#try({ faultMs: shorterMs })) return
    }
  }

  #dropFaults(): void {
    let kept = this.#verdict.faults.map(({ number }) => number)
    if (kept.length > 0 && this.#try({ faults: [] })) return
    for (let parts = 2; kept.length > 1 && this.#runs < this.#runsMax; ) {
      const without = this.#withoutPart(kept, parts)
      if (without !== undefined) {
        kept = without
        parts = Math.max(2, parts - 1)
      } else if (parts >= kept.length) return
      else parts = Math.min(kept.length, parts * 2)
    }
  }

  /** `kept` without the first of its `parts` that the failure does not need. */
  #withoutPart(kept: readonly number[], parts: number): number[] | undefined {
    for (let part = 0; part < parts; part++) {
      const from = Math.floor((part * kept.length) / parts)
      const to = Math.floor(((part + 1) * kept.length) / parts)
      const without = [...kept.slice(0, from), ...kept.slice(to)]
      if (this.#try({ faults: without })) return without
    }
    return undefined
  }
}
