import { setTimeout as sleep } from 'node:timers/promises'
import type { RoutingTable } from '../table/table.ts'
import { type ArbiterCalls, pollMs } from './arbiter-calls.ts'
import { moveWaits } from './move-waits.ts'

/** Of so few moves nothing goes on before somebody sees that they are through. */
const fewMoves = 4
/** A node that does not wait for a newer table is asked again after this, and after ever longer. */
const soonMs = 20
/** It is so asked late by such a share of the time that the moves take. */
const lateShare = 1 / 4
/** Why moves wait is asked of all nodes, which costs each of them something; how far they are tells any one of them. */
const wholeLookEveryMs = 1_000

/** Looks at the routing table for what has become of moves: a few are seen as soon as they are through, many from time to time. */
export class MoveLooks {
  /** Why moves have to wait, in words. */
  waits: readonly string[] = []
  readonly #arbiters: ArbiterCalls<unknown>
  readonly #signal: AbortSignal | undefined
  /** Of a table that knows of all that has begun. */
  #epoch = 0
  /** Of the newest table that was seen. */
  #seen = 0
  #begunMs = performance.now()
  #wholeMs = performance.now()

  /** @param signal raised: rests no longer. */
  constructor(arbiters: ArbiterCalls<unknown>, signal?: AbortSignal) {
    this.#arbiters = arbiters
    this.#signal = signal
  }

  /** @param epoch of a table that knows of all moves that have begun. */
  began(epoch: number): void {
    this.#epoch = Math.max(this.#epoch, epoch)
    this.#begunMs = performance.now()
  }

  /** Waits, and returns a table that knows of all that has begun; undefined: there was none, or nothing to look for. Throws as `ArbiterCalls.look`. */
  async next(underWay: number): Promise<RoutingTable | undefined> {
    if (underWay === 0) {
      await this.#rest(soonMs)
      return undefined
    }
    let table = underWay > fewMoves ? await this.#later() : await this.#newer()
    if (performance.now() - this.#wholeMs > wholeLookEveryMs) {
      // Where the node that is asked alone is behind or dead, this finds another.
      const whole = await this.#arbiters.look(this.#epoch)
      this.#wholeMs = performance.now()
      this.waits = moveWaits(whole.status)
      table = whole.table
    }
    this.#seen = Math.max(this.#seen, table?.epoch ?? 0)
    return table
  }

  async #later(): Promise<RoutingTable | undefined> {
    await this.#rest(pollMs)
    return this.#arbiters.tableOfNewest(this.#epoch)
  }

  async #newer(): Promise<RoutingTable | undefined> {
    const fromMs = performance.now()
    const known = Math.max(this.#seen, this.#epoch)
    const table = await this.#arbiters.tableOfNewest(this.#epoch, known, pollMs)
    if (table === undefined || table.epoch <= known) {
      const nowMs = performance.now()
      const restMs = Math.max(soonMs, (nowMs - this.#begunMs) * lateShare)
      await this.#rest(Math.min(restMs, pollMs) - (nowMs - fromMs))
    }
    return table
  }

  async #rest(restMs: number): Promise<void> {
    if (restMs > 0) await sleep(restMs, undefined, { signal: this.#signal }).catch(() => {})
  }
}
