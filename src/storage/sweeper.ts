import type { KeyRange } from './keys.ts'
import type { Level } from './write-batch.ts'

const sliceKeys = 10_000

/**
 * Deletes key ranges that nothing refers to any more, one slice after the other, off the main thread and without sync. What a
 * crash leaves undone is found and scheduled again at the next opening.
 */
export class Sweeper {
  readonly #level: Level
  readonly #fail: (error: Error) => void
  readonly #ranges: KeyRange[] = []
  #running: Promise<void> | undefined
  #stopped = false

  constructor(level: Level, fail: (error: Error) => void) {
    this.#level = level
    this.#fail = fail
  }

  add(range: KeyRange): void {
    this.#ranges.push(range)
    this.#running ??= this.#run()
  }

  /** Resolves when the slice under way is done. */
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  async #run(): Promise<void> {
    try {
      for (;;) {
        const range = this.#ranges.shift()
        if (range === undefined || this.#stopped) break
        await this.#sweep(range)
      }
    } catch (error) {
      this.#fail(error as Error)
    }
    this.#running = undefined
  }

  /** No slice begins before the first key that the one before has left: LevelDB would walk over every key deleted so far. */
  async #sweep({ gte, lt }: KeyRange): Promise<void> {
    let from = gte
    while (!this.#stopped) {
      const [first] = await this.#level.keys({ gte: from, lt, limit: 1, fillCache: false }).all()
      if (first === undefined) return
      from = first
      await this.#level.clear({ gte: from, lt, limit: sliceKeys })
    }
  }
}
