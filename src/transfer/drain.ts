import type { Connection } from './connection.ts'

/** Without another wish: at least so long, and no more than 500 connections a second. */
const leastWindowMs = 2_000
const perConnectionMs = 2

/** The window of a drain that was not told one. */
export function usualDrainMs(connections: number): number {
  return Math.max(leastWindowMs, connections * perConnectionMs)
}

/**
 * Whom a draining gateway asks to leave, and when: evenly over a window, so that no herd arrives
 * elsewhere.
 */
export class Drain {
  readonly #windowMs: number
  readonly #queue: Connection[]
  /** Asked, or gone before their turn. */
  #past = 0
  #elapsedMs = 0
  #atMs: number
  /** Clients are sent away also when no other gateway of the set is there for them. */
  forced: boolean
  /** Connections that were asked to leave and are gone. */
  moved = 0

  /** @param open every connection that is open now; later ones by `add`. */
  constructor(nowMs: number, windowMs: number, forced: boolean, open: readonly Connection[]) {
    this.#atMs = nowMs
    this.#windowMs = windowMs
    this.forced = forced
    this.#queue = [...open]
  }

  add(connection: Connection): void {
    this.#queue.push(connection)
  }

  /** Whose turn it is by now. @param held nobody may go: the window stands still. */
  due(nowMs: number, held: boolean): Connection[] {
    if (!held) this.#elapsedMs += nowMs - this.#atMs
    this.#atMs = nowMs
    if (held) return []
    const { length } = this.#queue
    const over = this.#elapsedMs >= this.#windowMs
    const until = over ? length : Math.ceil((length * this.#elapsedMs) / this.#windowMs)
    const due: Connection[] = []
    while (this.#past < until) {
      const connection = this.#queue[this.#past++]!
      if (connection.phase === 'open') due.push(connection)
    }
    return due
  }
}
