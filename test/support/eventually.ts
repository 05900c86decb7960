import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 20

/**
 * Resolves with the first answer of `look` that is neither false, null nor undefined. What `look` throws counts as "not yet" and is
 * told when `withinMs` have passed without one.
 */
export async function eventually<T>(
  what: string,
  withinMs: number,
  look: () => T | Promise<T>
): Promise<Exclude<T, false | null | undefined>> {
  const endMs = performance.now() + withinMs
  let last: unknown
  for (;;) {
    try {
      const found = await look()
      if (found !== false && found !== undefined && found !== null) {
        return found as Exclude<T, false | null | undefined>
      }
      last = undefined
    } catch (error) {
      last = error
    }
    if (performance.now() > endMs) {
      throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last })
    }
    await pause(pollMs)
  }
}
