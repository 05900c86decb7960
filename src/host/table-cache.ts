import { readFileSync } from 'node:fs'
import { open, rename } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import type { Log } from '../base/ports.ts'
import type { TableKeeper } from '../table/table-keeper.ts'

/** While slots move there are many tables a second, and each file that takes another's place makes the disk wait for it. */
const restMs = 1_000

/**
 * Remembers the newest table on disk, or one that was it a second ago, so that a node which restarts while no arbiter is to be had can
 * still route. Only a cache: an older file is simply older, a damaged one is ignored.
 */
export class TableCache {
  readonly #path: string
  readonly #log: Log
  #pending: Buffer | undefined
  #writing: Promise<void> | undefined
  readonly #closing = new AbortController()

  constructor(path: string, keeper: TableKeeper, log: Log) {
    this.#path = path
    this.#log = log
    try {
      const adoption = keeper.adopt(readFileSync(path))
      if (adoption !== 'adopted') log.warn('table_cache_ignored', { adoption })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
    keeper.onAdopted(view => {
      this.#pending = view.encoded
      this.#writing ??= this.#write()
    })
  }

  /** Resolves when everything adopted so far is written. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#writing
  }

  async #write(): Promise<void> {
    while (this.#pending !== undefined) {
      const encoded = this.#pending
      this.#pending = undefined
      const draft = `${this.#path}.draft`
      try {
        const file = await open(draft, 'w', 0o600)
        await file.writeFile(encoded)
        await file.close()
        await rename(draft, this.#path)
      } catch (error) {
        this.#log.warn('table_cache_failed', { error: String(error) })
      }
      const { signal } = this.#closing
      await pause(restMs, undefined, { signal, ref: false }).catch(() => {})
    }
    this.#writing = undefined
  }
}
