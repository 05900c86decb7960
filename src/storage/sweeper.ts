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

  async #sweep(range: KeyRange): Promise<void> {
    while (!this.#stopped) {
      const left = await this.#level.keys({ ...range, limit: 1, fillCache: false }).all()
      if (left.length === 0) return
      await this.#level.clear({ ...range, limit: sliceKeys })
    }
  }
}
