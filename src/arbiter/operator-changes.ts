import type { ErrorCode } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import { ownersOf } from '../table/runs.ts'
import type { RoutingTable, SlotMove } from '../table/table.ts'
import type { PlacedRouter, SetChange } from './arbiter-commands.ts'
import { type GetRow, judgePlace } from './arbiter-machine.ts'
import {
  type Asker,
  type Askers,
  type Change,
  codeOfRefusal,
  type Refused,
  refused
} from './askers.ts'
import { moveOf, withMove } from './moves.ts'
import { type Order, subjectOf, withOrder } from './orders.ts'
import { judgeSet } from './sets.ts'

interface ChangePorts {
  readonly askers: Askers
  readonly getRow: GetRow
  leading(): boolean
  /** The group has lost its state: nothing may change. */
  frozen(): boolean
  table(): RoutingTable | undefined
  /** In place of an earlier change of the same thing that still waits. */
  enqueue(change: Change): Refused | undefined
}

type Done = (refusal: ErrorCode | undefined) => void

/**
 * Changes of the table that somebody asks for: operators, and the routers whose slots move. `done` is called once, with the code of
 * the refusal, or undefined when the table is so. The caller flushes the arbiter afterwards.
 */
export class OperatorChanges {
  readonly #ports: ChangePorts

  constructor(ports: ChangePorts) {
    this.#ports = ports
  }

  /** Has a router replica placed in the table. */
  place(router: PlacedRouter, done: Done): void {
    this.#answer(done, this.#placed(router, done))
  }

  /** Sends a slot on its way to another set; the table tells when it is there. */
  move(slot: number, to: string, done: Done): void {
    const refusal = this.#change(done, table => {
      const next = withMove(table, slot, to, table.epoch + 1)
      if (typeof next === 'string') return refused(codeOfRefusal[next])
      if (next === table) return undefined
      return { endpoint: `move/${slot}`, command: { type: 'move', slot, to }, asker: done }
    })
    this.#answer(done, refusal)
  }

  /** Pins, and rules of grey releases. */
  order(order: Order, done: Done): void {
    const refusal = this.#change(done, table => {
      const next = withOrder(table, order, table.epoch + 1)
      if (typeof next === 'string') return refused(codeOfRefusal[next])
      if (next === table) return undefined
      return {
        endpoint: `order/${subjectOf(order)}`,
        command: { type: 'order', order },
        asker: done
      }
    })
    this.#answer(done, refusal)
  }

  /** Leaves a slot where it is, if it is not too late; the table tells. */
  abort(slot: number, done: Done): void {
    const refusal = this.#change(done, table => {
      const move = moveOf(table, slot)
      return move && ended(move, false, done)
    })
    this.#answer(done, refusal)
  }

  /** Adds a set, has it drain, or takes it out. */
  changeSet(change: SetChange, done: Done): void {
    this.#answer(done, this.#setChanged(change, done))
  }

  /** What a router says of a slot on its way. Only the set that gets it may say that it is there, only the one that has it that it hangs. */
  onReport(from: EndpointId, request: Packet<'MOVE_REPORT'>): void {
    const asker: Asker = { from, request, ok: 'MOVE_REPORT_OK' }
    const { slot, epoch, outcome } = request.payload
    if (outcome === 'clean') {
      const [role, setId = ''] = from.split('/')
      if (role !== 'router') {
        this.#answer(asker, refused('FORBIDDEN'))
        return
      }
      const change = { step: outcome, setId, epoch, zone: '', weight: 0, routers: [] }
      this.#answer(asker, this.#setChanged(change, asker))
      return
    }
    const refusal = this.#change(asker, table => {
      const move = moveOf(table, slot)
      if (move === undefined || move.epoch !== epoch) return undefined
      const done = outcome === 'imported'
      const entitled = done ? move.to : ownersOf(table.runs)[slot]
      if (!from.startsWith(`router/${entitled}/`)) return refused('FORBIDDEN')
      return ended(move, done, asker)
    })
    this.#answer(asker, refusal)
  }

  #setChanged(change: SetChange, asker: Asker): Refused | undefined {
    return this.#change(asker, table => {
      const judged = judgeSet(table, change, table.epoch + 1, this.#ports.getRow)
      if (typeof judged === 'string') return refused(codeOfRefusal[judged])
      if (judged.table === table && judged.note === undefined) return undefined
      const endpoint = `set/${change.setId}/${change.step}`
      return { endpoint, command: { type: 'set', change }, asker }
    })
  }

  #placed(router: PlacedRouter, asker: Asker): Refused | undefined {
    return this.#change(asker, table => {
      const next = judgePlace(table, router, this.#ports.getRow)
      if (typeof next === 'string') return refused(codeOfRefusal[next])
      if (next === table) return undefined
      // A key of its own: what the replica announces meanwhile must not take the place of this change.
      const endpoint = `place/${router.setId}/${router.replicaId}`
      return { endpoint, command: { type: 'place', router }, asker }
    })
  }

  /** @param judge gives the change, undefined when there is nothing to change, or a refusal. */
  #change(
    asker: Asker,
    judge: (table: RoutingTable) => Change | Refused | undefined
  ): Refused | undefined {
    const { askers, leading, frozen, table, enqueue } = this.#ports
    if (!leading()) return refused('NOT_LEADER')
    const known = table()
    if (known === undefined) return refused('NO_TABLE')
    const change = judge(known)
    if (change === undefined) {
      askers.accept(asker)
      return undefined
    }
    if ('code' in change) return change
    return frozen() ? refused('EPOCH_CONFLICT') : enqueue(change)
  }

  #answer(asker: Asker, refusal: Refused | undefined): void {
    if (refusal !== undefined) {
      this.#ports.askers.refuse(asker, refusal.code, refusal.retryAfterMs)
    }
  }
}

/** An abort and a completion have one key: whichever was asked for last is proposed, and the log decides. */
function ended({ slot, epoch }: SlotMove, done: boolean, asker: Asker): Change {
  return { endpoint: `move/${slot}`, command: { type: 'endMove', slot, epoch, done }, asker }
}
