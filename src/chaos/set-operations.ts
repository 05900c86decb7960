import { RingsetError } from '../base/errors.ts'
import { dataFolder } from '../config/data-folder.ts'
import { type CarriedSlots, SetOperator } from '../control/set-operator.ts'
import type { MovePace } from '../control/slot-operator.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { enlistSet, placeSet, retireSet, startSet } from '../launch/set-change.ts'
import { freeSetId, newSetLayout } from '../launch/set-layout.ts'

const patienceMs = 60_000

/** Adds sets to a cluster of this machine, and takes them out again, as `ringset set` does. */
export class SetHand {
  readonly #cluster: RunningCluster
  readonly #signal: AbortSignal
  readonly #over: AbortSignal
  readonly #added: string[] = []
  /** One after the other: a set goes when it has come. */
  #turn: Promise<unknown> = Promise.resolve()

  /**
   * @param signal raised: nothing more is begun.
   * @param over raised: nobody is waited for.
   */
  constructor(cluster: RunningCluster, signal: AbortSignal, over: AbortSignal) {
    this.#cluster = cluster
    this.#signal = signal
    this.#over = over
  }

  /** Resolves with what was done, in words. */
  add(pace: MovePace): Promise<string> {
    return this.#inTurn(() => this.#add(pace))
  }

  /** The one that was added last. */
  remove(pace: MovePace): Promise<string> {
    return this.#inTurn(() => this.#remove(pace))
  }

  #inTurn(work: () => Promise<string>): Promise<string> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => {})
    return result
  }

  async #add({ atOnce, perSecond }: MovePace): Promise<string> {
    const cluster = this.#cluster
    const signal = this.#signal
    const { control } = cluster
    const operator = new SetOperator(control, patienceMs, this.#over)
    const listed = (await operator.table()).sets.map(({ id }) => id)
    const folder = dataFolder(cluster.dataDirectory)
    const id = freeSetId(cluster.config, listed, folder)
    await placeSet(cluster, await newSetLayout(id, 1, cluster.config, folder))
    await startSet(cluster, id)
    await enlistSet(control, cluster.config, id, { operator, signal })
    this.#added.push(id)
    return `added ${id}, ${moved(await operator.fill(id, { atOnce, perSecond, signal }))}`
  }

  async #remove({ atOnce, perSecond }: MovePace): Promise<string> {
    const signal = this.#signal
    const id = this.#added.pop()
    if (id === undefined) throw new RingsetError('USAGE', 'no set was added that could be removed')
    const operator = new SetOperator(this.#cluster.control, patienceMs, this.#over)
    const carried = moved(await operator.drain(id, { atOnce, perSecond, signal }))
    await operator.drainGateways(id, { signal })
    if (!(await operator.remove(id, { signal }))) {
      throw new RingsetError('CANCELLED', `the load ended before ${id} was out`)
    }
    await retireSet(this.#cluster, id)
    return `removed ${id}, ${carried}`
  }
}

/** Throws CANCELLED when some stayed: the drill is to show that all go. */
function moved(carried: CarriedSlots): string {
  const text = `${carried.moved} of ${carried.total} slots moved`
  if (carried.moved < carried.total) throw new RingsetError('CANCELLED', text)
  return text
}
