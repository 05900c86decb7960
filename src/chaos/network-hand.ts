import { spawn } from 'node:child_process'
import { RingsetError } from '../base/errors.ts'
import type { Disturbances } from './disturbances.ts'
import type { DisturbingHand } from './leased-faults.ts'
import { cutLines, type OutwardPlan, outside, outwardPlans, shapeLines } from './network-rules.ts'
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
  #applied: Promise<void> = Promise.resolve()

  constructor(spaces: NetworkSpaces) {
    this.#spaces = spaces
  }

  async do(disturbances: Disturbances): Promise<void> {
    this.#active.add(disturbances)
    const [flapMs = 0] = [...disturbances.values()].flatMap(({ links }) =>
      links.map(link => link.flapMs)
    )
    if (flapMs > 0) this.#flaps.set(disturbances, this.#flap(disturbances, flapMs))
    await this.#apply()
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
    await Promise.all([...touched].map(id => this.#applyAt(id, plans.get(id) ?? new Map())))
  }

  async #applyAt(id: string, plans: ReadonlyMap<string, OutwardPlan>): Promise<void> {
    const place = this.#placeOf(id)
    const { device } = place
    const byAddress = new Map([...plans].map(([to, plan]) => [this.#placeOf(to).address, plan]))
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
  spaces: Pick<NetworkSpaces, 'mustKnow'>,
  actions: readonly string[]
): Promise<void> {
  const delayed = actions.filter(action => action === 'delay' || action === 'loss')
  if (delayed.length > 0) await spaces.mustKnow('netem delay 1ms', delayed.join(', '))
  const narrowed = actions.filter(action => action === 'bandwidth')
  if (delayed.length + narrowed.length === 0) return
  await spaces.mustKnow('htb', [...delayed, ...narrowed].join(', '))
}

/** Throws INTERNAL with what the tool says. */
function batch(tool: 'ip' | 'tc', { space }: Place, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return Promise.resolve()
  const inside = space === undefined ? [] : ['-n', space]
  return new Promise((resolve, reject) => {
    const child = spawn(tool, [...inside, '-batch', '-'], { stdio: ['pipe', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', data => {
      said += data
    })
    child.once('error', reject)
    child.once('close', code => {
      if (code === 0) resolve()
      else reject(new RingsetError('INTERNAL', `${tool}: ${said.trim().split('\n')[0]}`))
    })
    child.stdin.end(`${lines.join('\n')}\n`)
  })
}
