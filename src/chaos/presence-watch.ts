import { setTimeout as pause } from 'node:timers/promises'
import { LogicClient } from '../client/client.ts'
import type { FaultRecord } from './recovery.ts'

const everyMs = 250
const deadlineMs = 2_000

/** How long a gateway that is dead was still named as the way to some user. */
export interface WrongOnline {
  /** Index of the fault. */
  readonly fault: number
  readonly transfer: string
  /** Since the fault; 0 = it was never named after it. */
  readonly ms: number
}

/** An answer by which a user is connected to a gateway. */
interface Sighting {
  readonly transfer: string
  readonly bootId: number
  /** When it was asked for. */
  readonly askedMs: number
  readonly answeredMs: number
}

/** Asks over and over, set by set, where everybody is connected, as backends do. */
export class PresenceWatch {
  readonly #client: LogicClient
  readonly #groups: readonly (readonly string[])[]
  readonly #stop = new AbortController()
  /** First and last sighting of each process of a gateway. */
  readonly #seen = new Map<string, { transfer: string; firstMs: number; lastAskedMs: number }>()
  /** User → the gateways that hold a connection of theirs, each time that those changed. */
  readonly #gateways = new Map<string, { atMs: number; names: string }[]>()
  #work: Promise<unknown> = Promise.resolve()

  /** @param groups users by the set that knows of them. @param name of the backend that asks. */
  constructor(
    addresses: readonly string[],
    secret: Buffer,
    groups: readonly (readonly string[])[],
    name: string
  ) {
    this.#client = new LogicClient({ addresses: [...addresses], secret, name, deadlineMs })
    this.#groups = groups
  }

  async start(): Promise<void> {
    await this.#client.ready()
    this.#work = Promise.all(this.#groups.map(uids => this.#poll(uids)))
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#work
    await this.#client.close().catch(() => {})
  }

  async #poll(uids: readonly string[]): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const askedMs = performance.now()
      const users = await this.#client.lookup(uids).catch(() => [])
      const answeredMs = performance.now()
      for (const { uid, routes } of users) {
        this.#sawUser(uid, routes, answeredMs)
        for (const { transferId: transfer, transferBootId: bootId } of routes) {
          this.#saw({ transfer, bootId, askedMs, answeredMs })
        }
      }
      await pause(everyMs, undefined, { signal }).catch(() => {})
    }
  }

  #saw({ transfer, bootId, askedMs, answeredMs }: Sighting): void {
    const key = `${transfer} ${bootId}`
    const known = this.#seen.get(key)
    if (known === undefined) {
      this.#seen.set(key, { transfer, firstMs: answeredMs, lastAskedMs: askedMs })
    } else {
      known.lastAskedMs = askedMs
    }
  }

  /** The gateways that held a connection of a user at a time; empty: none that anybody knew of. */
  gatewaysOf(uid: string, atMs: number): string {
    return this.#gateways.get(uid)?.findLast(one => one.atMs <= atMs)?.names ?? ''
  }

  #sawUser(uid: string, routes: readonly { transferId: string }[], atMs: number): void {
    const names = [...new Set(routes.map(({ transferId }) => transferId))].sort().join(', ')
    const changes = this.#gateways.get(uid) ?? []
    if (changes.at(-1)?.names === names) return
    changes.push({ atMs, names })
    this.#gateways.set(uid, changes)
  }

  /** For each fault that ended gateways: when they were named for the last time. @param gatewaysOf of a node. */
  after(
    faults: readonly FaultRecord[],
    gatewaysOf: (node: string) => readonly string[]
  ): WrongOnline[] {
    const found: WrongOnline[] = []
    for (const [fault, { action, nodes, atMs }] of faults.entries()) {
      if (action !== 'kill' && action !== 'wipe' && action !== 'bitRot') continue
      for (const transfer of nodes.flatMap(gatewaysOf)) {
        const dead = [...this.#seen.values()]
          .filter(one => one.transfer === transfer && one.firstMs < atMs)
          .sort((a, b) => b.firstMs - a.firstMs)[0]
        if (dead === undefined) continue
        found.push({ fault, transfer, ms: Math.max(0, dead.lastAskedMs - atMs) })
      }
    }
    return found
  }
}
