import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RingsetError } from '../../src/base/errors.ts'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import type { GroupStore } from '../../src/raft/store.ts'
import { type Database, type DatabaseOptions, openDatabase } from '../../src/storage/database.ts'
import type { StoreHarness } from './store-contract.ts'

/** A folder that is removed at the end. */
export class TestFolder {
  readonly path = mkdtempSync(join(tmpdir(), 'ringset-storage-'))
  #next = 0

  sub(): string {
    return join(this.path, String(this.#next++))
  }

  /** A copy of a directory as it is on the disk now: what a killed process would leave. */
  copy(directory: string): string {
    const copy = this.sub()
    cpSync(directory, copy, { recursive: true })
    return copy
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }
}

export async function openAt(
  directory: string,
  extra: Partial<DatabaseOptions> = {}
): Promise<Database> {
  return openDatabase({
    directory,
    log: silentLog,
    metrics: noMetrics,
    clusterNodeIdentity: 'cluster/node-1',
    onFatal: (error: RingsetError) => {
      throw error
    },
    ...extra
  })
}

export function runAsync<T>(start: (done: (value: T) => void) => void): Promise<T> {
  return new Promise(resolve => start(resolve))
}

/** Real LevelDB; the tail in memory is tiny, so that reads go to the database. */
export class LevelHarness implements StoreHarness {
  readonly #folder = new TestFolder()
  #directory = this.#folder.sub()
  readonly #extra: Partial<DatabaseOptions>
  #database: Database | undefined

  constructor(extra: Partial<DatabaseOptions> = {}) {
    this.#extra = extra
  }

  async open(): Promise<this> {
    this.#database = await openAt(this.#directory, { tailLimitBytes: 300, ...this.#extra })
    return this
  }

  group(name: string): Promise<GroupStore> {
    return this.#database!.group(name)
  }

  run<T>(start: (done: (value: T) => void) => void): Promise<T> {
    return runAsync(start)
  }

  async reopen(): Promise<void> {
    await this.#database!.close()
    await this.open()
  }

  async crash(): Promise<void> {
    this.#directory = this.#folder.copy(this.#directory)
    await this.#database!.close()
    await this.open()
  }

  async dispose(): Promise<void> {
    await this.#database?.close()
    this.#folder.remove()
  }
}
