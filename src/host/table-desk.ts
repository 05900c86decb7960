import type { Arbiter } from '../arbiter/arbiter.ts'
import type { PlacedRouter, SetChange } from '../arbiter/arbiter-commands.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { type MoveOrder, type Place, type SetOrder, setChanges } from '../control/control-source.ts'
import type { NodeParts } from './node-parts.ts'
import { PinDesk, pinnedText } from './pin-desk.ts'

const changeMs = 5_000

type Done = (refusal: ErrorCode | undefined) => void

/** Changes of the routing table that operators ask this node's arbiter for. */
export class TableDesk {
  readonly #parts: NodeParts
  readonly #arbiter: Arbiter | undefined
  /** Pins and rules of grey releases. */
  readonly pins: PinDesk

  /** @param arbiter of this node, if it has one. */
  constructor(parts: NodeParts, arbiter: Arbiter | undefined) {
    this.#parts = parts
    this.#arbiter = arbiter
    this.pins = new PinDesk(parts.keeper.view.bind(parts.keeper), (order, textOf) => {
      const { changes } = this.#leading()
      return this.#changed([order], (one, done) => changes.order(one, done), textOf)
    })
  }

  async place({ set, replica, role, node, address }: Place): Promise<void> {
    const { changes } = this.#leading()
    const known = (['learner', 'voter', 'none'] as const).find(name => name === role)
    if (known === undefined) throw new RingsetError('USAGE', 'a role is learner, voter or none')
    const router = { setId: set, replicaId: replica, role: known, nodeId: node, address }
    await this.#changed(
      [router],
      (one, done) => changes.place(one, done),
      refusal => placeText(refusal, router)
    )
  }

  /** Returns the epoch of a table that lists the moves, those apart that are over already. */
  async move({ slots, to }: MoveOrder): Promise<number> {
    const { changes } = this.#leading()
    await this.#changed(
      [...new Set(slots)],
      (slot, done) => changes.move(slot, to, done),
      (refusal, slot) => this.#moveText(refusal, slot, to)
    )
    return this.#parts.keeper.view().epoch
  }

  /** @param slots none for all that are on their way. Returns the epoch of a table that lists none of them. */
  async abort(slots: readonly number[]): Promise<number> {
    const { changes } = this.#leading()
    const { table } = this.#parts.keeper.view()
    if (table === undefined) throw new RingsetError('NO_TABLE')
    const wrong = slots.find(slot => slot >= table.slotCount)
    if (wrong !== undefined) throw slotUnknown(wrong)
    const named = slots.length === 0 ? table.moves.map(({ slot }) => slot) : slots
    // Without any, one that goes nowhere: a node that does not lead must not say that there are none.
    await this.#changed(
      named.length === 0 ? [0] : [...new Set(named)],
      (slot, done) => changes.abort(slot, done),
      () => undefined
    )
    return this.#parts.keeper.view().epoch
  }

  #moveText(refusal: ErrorCode, slot: number, to: string): string | undefined {
    const { table } = this.#parts.keeper.view()
    if (refusal === 'SLOT_PINNED' && table !== undefined) return pinnedText(table, slot)
    return moveText(refusal, slot, to)
  }

  /** Returns the epoch of a table that is so. */
  async changeSet(order: SetOrder): Promise<number> {
    const { changes } = this.#leading()
    const step = setChanges.find(name => name === order.change)
    if (step === undefined) {
      throw new RingsetError('USAGE', `a change is ${setChanges.join(', ')}`)
    }
    const change: SetChange = {
      step,
      setId: order.set,
      epoch: 0,
      zone: order.zone,
      weight: order.weightHundredths,
      routers: order.routers.map(({ replica, node, address }) => {
        return { replicaId: replica, nodeId: node, address }
      })
    }
    await this.#changed(
      [change],
      (one, done) => changes.changeSet(one, done),
      refusal => setText(refusal, order.set)
    )
    return this.#parts.keeper.view().epoch
  }

  #leading(): Arbiter {
    if (this.#arbiter !== undefined) return this.#arbiter
    throw new RingsetError('UNSUPPORTED', 'this node has no arbiter')
  }

  /** Resolves once the table has all of it; throws the first refusal. The arbiter answers or loses its leadership. */
  async #changed<T>(
    things: readonly T[],
    ask: (thing: T, done: Done) => void,
    textOf: (refusal: ErrorCode, thing: T) => string | undefined
  ): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const text = `the arbiters did not log the change in ${changeMs} ms`
        reject(new RingsetError('TIMEOUT', text))
      }, changeMs)
    })
    const answers = things.map(thing => {
      return new Promise<void>((resolve, reject) => {
        ask(thing, refusal => {
          if (refusal === undefined) resolve()
          else reject(new RingsetError(refusal, textOf(refusal, thing)))
        })
      })
    })
    this.#parts.runner.wake(this.#leading())
    await Promise.race([Promise.all(answers), late]).finally(() => clearTimeout(timer))
  }
}

function placeText(refusal: ErrorCode, { setId, replicaId }: PlacedRouter): string | undefined {
  if (refusal === 'REPLICA_USED') {
    return `set ${setId} has or had a replica ${replicaId} or one of a higher number`
  }
  if (refusal === 'SET_UNKNOWN') return `no set is called ${setId}`
  if (refusal === 'SET_LOST') return `set ${setId} is given up: its replicas stay as they are`
  return undefined
}

function setText(refusal: ErrorCode, setId: string): string | undefined {
  if (refusal === 'SET_UNKNOWN') return `no set is called ${setId}`
  if (refusal === 'SET_USED') return `there is, or was, another set called ${setId}`
  if (refusal === 'SET_LOST') return `set ${setId} is given up already, and another replica is read`
  if (refusal === 'REPLICA_UNKNOWN') return `set ${setId} has no such replica`
  if (refusal === 'BAD_PACKET') return `set ${setId} is malformed: its id, weight, zone or routers`
  if (refusal === 'LAST_SET') return `${setId} is the last set that takes slots`
  if (refusal === 'SET_PINNED') return `users are pinned to set ${setId}`
  if (refusal === 'SET_NOT_EMPTY') return `something is left in set ${setId}`
  return undefined
}

function moveText(refusal: ErrorCode, slot: number, to: string): string | undefined {
  if (refusal === 'SET_UNKNOWN') return `no set is called ${to}`
  if (refusal === 'SLOT_UNKNOWN') return slotUnknown(slot).message
  if (refusal === 'SLOT_MOVING') return `slot ${slot} is on its way to another set than ${to}`
  if (refusal === 'SET_DRAINING') return `set ${to} is being removed`
  if (refusal === 'SET_LOST') return `set ${to} is given up`
  return undefined
}

function slotUnknown(slot: number): RingsetError {
  return new RingsetError('SLOT_UNKNOWN', `the cluster has no slot ${slot}`, { slot })
}
