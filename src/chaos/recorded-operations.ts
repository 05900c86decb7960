import type { HistoryRecorder } from './history-recorder.ts'

/** Operations that a recorder is told of, and what they end with. */
export class RecordedOperations {
  /** Error code → how many ended with it. */
  readonly errors = new Map<string, number>()
  readonly #history: HistoryRecorder
  /** Who → lanes that are free. */
  readonly #lanes = new Map<string, number[]>()

  constructor(history: HistoryRecorder) {
    this.#history = history
  }

  /** One process of a history does one thing at a time, so each operation takes a free lane of `who`. @returns undefined when it failed. */
  async recorded<T>(
    who: string,
    f: string,
    key: string,
    request: unknown,
    work: () => Promise<T>,
    answerOf: (result: T) => unknown
  ): Promise<T | undefined> {
    const free = this.#lanes.get(who) ?? [0]
    const lane = free.pop()!
    if (free.length === 0) free.push(lane + 1)
    this.#lanes.set(who, free)
    const process = `${who}#${lane}`
    try {
      return await this.#history.operation(process, f, key, request, work, answerOf)
    } catch (error) {
      const { code = 'INTERNAL' } = error as { code?: string }
      this.errors.set(code, (this.errors.get(code) ?? 0) + 1)
      return undefined
    } finally {
      free.push(lane)
    }
  }
}
