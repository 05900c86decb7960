import type { Disturbances } from './disturbances.ts'
import { fed } from './fed.ts'
import type { DisturbingHand } from './leased-faults.ts'
import {
  type AddressPlans,
  cutLines,
  lossRules,
  type OutwardPlan,
  type OutwardPlans,
  outside,
  outwardPlans,
  shapeLines
} from './network-rules.ts'
import type { NetworkSpaces, Place } from './network-spaces.ts'

interface Rules {
  readonly cut: readonly string[]
  readonly shape: readonly string[]
}

const noRules: Rules = { cut: [], shape: [] }

/** Disturbs links by the network of the system, in which the nodes know nothing of it. */
export class NetworkHand implements DisturbingHand {
  readonly #spaces: NetworkSpaces
  readonly #active = new Set<Disturbances>()
  /** Those that flap, and are healed at the moment. */
  readonly #resting = new Set<Disturbances>()
  readonly #flaps = new Map<Disturbances, NodeJS.Timeout>()
  /** Place → what is in force there. */
  readonly #rules = new Map<string, Rules>()
  /** Those of the bridge. */
  #loss = lossRules(new Map())
  #applied: Promise<void> = Promise.resolve()

  constructor(spaces: NetworkSpaces) {
    this.#spaces = spaces
  }

  async do(disturbances: Disturbances): Promise<number> {
    this.#active.add(disturbances)
    const [flapMs = 0] = [...disturbances.values()].flatMap(({ links }) =>
      links.map(link => link.flapMs)
    )
    if (flapMs > 0) this.#flaps.set(disturbances, this.#flap(disturbances, flapMs))
    await this.#apply()
    return performance.now()
  }

  async undo(disturbances: Disturbances): Promise<void> {
    clearInterval(this.#flaps.get(disturbances))
    this.#flaps.delete(disturbances)
    this.#resting.delete(disturbances)
    this.#active.delete(disturbances)
    await this.#apply()
  }

  async end(): Promise<void> {
    for (const timer of this.#flaps.values()) clearInterval(timer)
    this.#flaps.clear()
    this.#active.clear()
    await this.#apply()
  }

  #flap(disturbances: Disturbances, flapMs: number): NodeJS.Timeout {
    return setInterval(() => {
      if (!this.#resting.delete(disturbances)) this.#resting.add(disturbances)
      this.#apply().catch(() => {})
    }, flapMs)
  }

  /** One after the other: each begins at what the one before has made. */
  #apply(): Promise<void> {
    const applied = this.#applied.then(() => this.#applyNow())
    this.#applied = applied.catch(() => {})
    return applied
  }

  async #applyNow(): Promise<void> {
    const plans = outwardPlans([...this.#active].filter(one => !this.#resting.has(one)))
    const touched = new Set([...this.#rules.keys(), ...plans.keys()])
    await Promise.all([...touched].map(id => this.#applyAt(id, this.#byAddress(plans.get(id)))))
    await this.#applyLoss(plans)
  }

  #byAddress(plans: ReadonlyMap<string, OutwardPlan> = new Map()): Map<string, OutwardPlan> {
    return new Map([...plans].map(([to, plan]) => [this.#placeOf(to).address, plan]))
  }

  async #applyLoss(plans: OutwardPlans): Promise<void> {
    const places: AddressPlans = new Map(
      [...plans].map(([id, there]) => [this.#placeOf(id).address, this.#byAddress(there)])
    )
    const loss = lossRules(places)
    if (loss === this.#loss) return
    await this.#spaces.filter(loss)
    this.#loss = loss
  }

  async #applyAt(id: string, byAddress: ReadonlyMap<string, OutwardPlan>): Promise<void> {
    const place = this.#placeOf(id)
    const { device } = place
    const cut = [...byAddress].flatMap(([address, plan]) => (plan.cut ? [address] : []))
    const shape = shapeLines(device, byAddress)
    const before = this.#rules.get(id) ?? noRules
    await batch('ip', place, cutLines(device, before.cut, cut))
    this.#rules.set(id, { cut, shape: before.shape })
    if (shape.join('\n') !== before.shape.join('\n')) {
      const reset = before.shape.length > 0 ? [`qdisc del dev ${device} root`] : []
      await batch('tc', place, [...reset, ...shape])
    }
    this.#rules.set(id, { cut, shape })
  }

  #placeOf(id: string): Place {
    return id === outside ? this.#spaces.own : this.#spaces.place(id)
  }
}

/** What the kernel has to know for the shapes of some plans. Throws DRILL_UNABLE. */
export async function mustBeShapeable(
  spaces: Pick<NetworkSpaces, 'mustKnow' | 'mustFilter'>,
  actions: readonly string[]
): Promise<void> {
  const of = (...names: string[]): string => actions.filter(it => names.includes(it)).join(', ')
  if (of('delay') !== '') await spaces.mustKnow('netem delay 1ms', of('delay'))
  const shaped = of('delay', 'bandwidth')
  if (shaped !== '') await spaces.mustKnow('htb', shaped)
  if (of('loss') !== '') await spaces.mustFilter(lossRules(new Map()), of('loss'))
}

/** Throws INTERNAL with what the tool says. */
async function batch(tool: 'ip' | 'tc', { space }: Place, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return
  const inside = space === undefined ? [] : ['-n', space]
  await fed(tool, [...inside, '-batch', '-'], `${lines.join('\n')}\n`)
}
