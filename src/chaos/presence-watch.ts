import { setTimeout as pause } from 'node:timers/promises'
import { LogicClient } from '../client/client.ts'
import type { PresenceLog } from './presence-log.ts'

const everyMs = 250
const deadlineMs = 2_000

/** Asks over and over, set by set, where everybody is connected, as backends do. */
export class PresenceWatch {
  readonly #client: LogicClient
  readonly #groups: readonly (readonly string[])[]
  readonly #log: PresenceLog
  readonly #stop = new AbortController()
  #work: Promise<unknown> = Promise.resolve()

  /** @param groups users by the set that knows of them. @param name of the backend that asks. */
  constructor(
    addresses: readonly string[],
    secret: Buffer,
    groups: readonly (readonly string[])[],
    name: string,
    log: PresenceLog
  ) {
    this.#client = new LogicClient({ addresses: [...addresses], secret, name, deadlineMs })
    this.#groups = groups
    this.#log = log
  }

  async start(): Promise<void> {
    await this.#client.ready()
    this.#work = Promise.all(this.#groups.map((uids, group) => this.#poll(uids, group)))
  }

  async end(): Promise<void> {
    this.#stop.abort()
    await this.#work
    await this.#client.close().catch(() => {})
  }

  async #poll(uids: readonly string[], group: number): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      const askedMs = performance.now()
      await this.#client.lookup(uids).then(
        users => this.#log.answered(group, askedMs, users),
        () => {}
      )
      await pause(everyMs, undefined, { signal }).catch(() => {})
    }
  }
}
