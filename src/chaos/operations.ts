import { setTimeout as pause } from 'node:timers/promises'
import { RingsetError } from '../base/errors.ts'
import type { Prng } from '../base/prng.ts'
import { arbiterGroup, ReplicaOperator } from '../control/replica-operator.ts'
import { SlotOperator } from '../control/slot-operator.ts'
import { TransferOperator } from '../control/transfer-operator.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { ownersOf } from '../table/runs.ts'
import type { DrillCluster } from './arena.ts'
import type { ScenarioFault } from './scenario.ts'
import { SetHand } from './set-operations.ts'
import { gatewaysOn } from './targets.ts'

/** Restarts the nodes of a cluster one after the other, as `ringset roll` does. */
export type RollWork = (
  cluster: RunningCluster,
  nodes: readonly string[],
  signal: AbortSignal
) => Promise<void>

/** What an operation is about. */
export interface OperationOrder {
  readonly fault: ScenarioFault
  readonly nodes: readonly string[]
  /** Groups whose leader is among the nodes. */
  readonly ledGroups: readonly string[]
}

interface OperationHandOptions {
  readonly cluster: DrillCluster
  /** Undefined: nodes can neither be rolled, nor sets added or removed. */
  readonly processes: RunningCluster | undefined
  readonly random: Prng
  readonly roll: RollWork
  /** Raised: the load ends, nothing more is begun. */
  readonly signal: AbortSignal
  /** Raised: nodes that do not answer are not waited for. */
  readonly over: AbortSignal
}

const putBackMs = 60_000
const pollMs = 200

/** Does what an operator does, through what the commands use. */
export class OperationHand {
  readonly #cluster: DrillCluster
  readonly #processes: RunningCluster | undefined
  readonly #random: Prng
  readonly #roll: RollWork
  readonly #signal: AbortSignal
  readonly #over: AbortSignal
  readonly #sets: SetHand | undefined
  /** Gateways that may still send their clients away. */
  readonly #drained = new Set<string>()
  /** Slot → the set that had it before the first move. */
  readonly #homes = new Map<number, string>()

  constructor({ cluster, processes, random, roll, signal, over }: OperationHandOptions) {
    this.#cluster = cluster
    this.#processes = processes
    this.#random = random
    this.#roll = roll
    this.#signal = signal
    this.#over = over
    this.#sets = processes && new SetHand(processes, signal, over)
  }

  /** Resolves with what was done, in words; undefined: nothing, since the load ended. Throws what the cluster refused with, and DRILL_UNABLE where there was nothing to do. */
  async do({ fault, nodes, ledGroups }: OperationOrder): Promise<string | undefined> {
    switch (fault.do) {
      case 'handOver':
        return this.#handOver(ledGroups)
      case 'moveSlots':
        return this.#moveSlots(fault)
      case 'drain':
        return this.#drain(nodes)
      case 'addSet':
        return this.#sets!.add(fault)
      case 'removeSet':
        return this.#sets!.remove(fault)
      default:
        await this.#roll(this.#processes!, nodes, this.#signal)
        return `rolled ${nodes.join(', ')}`
    }
  }

  /** A drain is taken back; all else stays. */
  async undo({ fault, nodes }: OperationOrder): Promise<void> {
    if (fault.do !== 'drain') return
    await this.#undrain(this.#gateways(nodes))
  }

  /** Those that cannot be reached now are left for `putBack`. */
  async #undrain(gateways: readonly string[]): Promise<void> {
    const operator = new TransferOperator(this.#cluster.control)
    for (const gateway of gateways) {
      const undrained = operator.undrain(gateway).then(() => this.#drained.delete(gateway))
      await undrained.catch(() => {})
    }
  }

  /** Gateways take clients again. Slots that were moved go home, once none of them is on its way any more. Throws TIMEOUT, and what the cluster refuses with. */
  async putBack(): Promise<void> {
    const untilMs = performance.now() + putBackMs
    while (this.#drained.size > 0) {
      await this.#undrain([...this.#drained])
      if (this.#drained.size === 0) break
      if (performance.now() > untilMs) {
        const ids = [...this.#drained].join(', ')
        throw new RingsetError('TIMEOUT', `still draining: ringset transfer undrain ${ids}`)
      }
      await pause(pollMs)
    }
    if (this.#homes.size === 0) return
    for (;;) {
      const { runs, moves } = await this.#cluster.control.any(node => node.table())
      const owners = ownersOf(runs)
      const away = [...this.#homes]
        .map(([slot, to]) => ({ slot, from: owners[slot]!, to }))
        .filter(({ from, to }) => from !== to)
      const underWay = moves.some(({ slot }) => this.#homes.has(slot))
      if (away.length === 0 && !underWay) return
      if (performance.now() > untilMs) {
        const text = `${away.length} slots are not back where they were: ringset slot rebalance`
        throw new RingsetError('TIMEOUT', text)
      }
      if (underWay) await pause(pollMs)
      else await new SlotOperator(this.#cluster.control).carry(away)
    }
  }

  /** A slot is about to leave a set, to be put back there in the end. */
  remember(slot: number, from: string): void {
    if (!this.#homes.has(slot)) this.#homes.set(slot, from)
  }

  async #handOver(groups: readonly string[]): Promise<string> {
    const operator = new ReplicaOperator(this.#cluster.control, undefined, this.#over)
    const done: string[] = []
    for (const group of groups) {
      const set = group === 'arbiter' ? arbiterGroup : group
      const { from, to, gapMs } = await operator.transfer(set, undefined)
      done.push(`${group} handed over from ${from.node} to ${to.node} in ${gapMs.toFixed(1)} ms`)
    }
    if (done.length === 0) throw new RingsetError('DRILL_UNABLE', 'they led nothing')
    return done.join(', ')
  }

  async #moveSlots({
    slots: count,
    atOnce,
    perSecond
  }: ScenarioFault): Promise<string | undefined> {
    const { sets, runs, slotCount, moves } = await this.#cluster.control.any(node => node.table())
    if (sets.length < 2) throw new RingsetError('DRILL_UNABLE', 'there is no other set')
    const owners = ownersOf(runs)
    const resting = Array.from({ length: slotCount }, (_, slot) => slot).filter(
      slot => !moves.some(move => move.slot === slot)
    )
    const plan = []
    while (plan.length < count && resting.length > 0) {
      const [slot] = resting.splice(this.#random.below(resting.length), 1) as [number]
      const from = owners[slot]!
      const others = sets.filter(({ id }) => id !== from)
      plan.push({ slot, from, to: others[this.#random.below(others.length)]!.id })
    }
    for (const { slot, from } of plan) this.remember(slot, from)
    const operator = new SlotOperator(this.#cluster.control, undefined, this.#over)
    const how = { atOnce, perSecond, signal: this.#signal }
    const { moved, aborted, seconds } = await operator.carry(plan, how)
    const text = `${moved} of ${plan.length} slots moved in ${seconds} s, ${aborted.length} stayed`
    // Some may be called off when leaders die; a drill in which none arrives shows nothing.
    if (moved === 0 && this.#signal.aborted) return undefined
    if (moved === 0) throw new RingsetError('CANCELLED', text)
    return text
  }

  async #drain(nodes: readonly string[]): Promise<string> {
    const operator = new TransferOperator(this.#cluster.control)
    const gateways = this.#gateways(nodes)
    if (gateways.length === 0) throw new RingsetError('DRILL_UNABLE', 'they have no gateway')
    for (const gateway of gateways) this.#drained.add(gateway)
    const reports = await Promise.all(gateways.map(gateway => operator.drain(gateway)))
    return reports.map(({ transfer, moved }) => `${transfer} sent ${moved} clients away`).join(', ')
  }

  #gateways(nodes: readonly string[]): string[] {
    return nodes.flatMap(node => gatewaysOn(node, this.#cluster.config))
  }
}
