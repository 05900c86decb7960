import type { FaultRecord } from './recovery.ts'

/** How long a gateway that is dead was still named as the way to some user. */
export interface WrongOnline {
  /** Index of the fault. */
  readonly fault: number
  readonly transfer: string
  /** Since the fault; 0 = it was never named after it. */
  readonly ms: number
}

/** Where a user is connected, by somebody's answer. */
export interface UserSight {
  readonly uid: string
  readonly routes: readonly { readonly transferId: string; readonly transferBootId: number }[]
}

/** One process of a gateway. */
interface Life {
  readonly transfer: string
  readonly firstMs: number
  lastAskedMs: number
  /** Groups of which a user was seen there. */
  readonly groups: Set<number>
}

/** An answer tells how it was when it was asked for. While nobody answers for longer than this, a gateway may have been named all the time. */
const silentMs = 1_000

/** What was answered to the question where users are, who were asked for group by group. Times by `performance.now`. */
export class PresenceLog {
  /** First and last sighting of each process of a gateway. */
  readonly #lives = new Map<string, Life>()
  /** User → the gateways that hold a connection of theirs, each time that those changed. */
  readonly #gateways = new Map<string, { atMs: number; names: string }[]>()
  /** Of each group: when it was asked for with an answer, ascending. */
  readonly #asked = new Map<number, number[]>()

  answered(group: number, askedMs: number, users: readonly UserSight[]): void {
    const answeredMs = performance.now()
    const asked = this.#asked.get(group) ?? []
    asked.push(askedMs)
    this.#asked.set(group, asked)
    for (const { uid, routes } of users) {
      this.#sawUser(uid, routes, answeredMs)
      for (const { transferId: transfer, transferBootId: bootId } of routes) {
        const key = `${transfer} ${bootId}`
        const life = this.#lives.get(key) ?? {
          ...{ transfer, firstMs: answeredMs, lastAskedMs: askedMs },
          groups: new Set()
        }
        this.#lives.set(key, life)
        life.lastAskedMs = Math.max(life.lastAskedMs, askedMs)
        life.groups.add(group)
      }
    }
  }

  /** The gateways that held a connection of a user at a time; empty: none that anybody knew of. */
  gatewaysOf(uid: string, atMs: number): string {
    return this.#gateways.get(uid)?.findLast(one => one.atMs <= atMs)?.names ?? ''
  }

  #sawUser(uid: string, routes: UserSight['routes'], atMs: number): void {
    const names = [...new Set(routes.map(({ transferId }) => transferId))].sort().join(', ')
    const changes = this.#gateways.get(uid) ?? []
    if (changes.at(-1)?.names === names) return
    changes.push({ atMs, names })
    this.#gateways.set(uid, changes)
  }

  /**
   * For each fault that ended gateways: when they were named for the last time, or may have been while nobody answered.
   * @param gatewaysOf of a node.
   */
  after(
    faults: readonly FaultRecord[],
    gatewaysOf: (node: string) => readonly string[],
    endMs: number
  ): WrongOnline[] {
    const found: WrongOnline[] = []
    for (const [fault, { action, nodes, atMs }] of faults.entries()) {
      if (action !== 'kill' && action !== 'wipe' && action !== 'bitRot') continue
      for (const transfer of nodes.flatMap(gatewaysOf)) {
        const dead = [...this.#lives.values()]
          .filter(one => one.transfer === transfer && one.firstMs < atMs)
          .sort((a, b) => b.firstMs - a.firstMs)[0]
        if (dead === undefined) continue
        found.push({ fault, transfer, ms: this.#namedUntil(dead, atMs, endMs) - atMs })
      }
    }
    return found
  }

  #namedUntil({ groups, lastAskedMs }: Life, atMs: number, endMs: number): number {
    const lastMs = Math.max(atMs, lastAskedMs)
    const next = [...groups].map(group => {
      return this.#asked.get(group)!.find(askedMs => askedMs > lastMs) ?? endMs
    })
    const againMs = Math.max(...next)
    return againMs - lastMs > silentMs ? againMs : lastMs
  }
}
