import { vi } from 'vitest'

const patienceMs = 20_000

/** Resolves as soon as `condition` holds; rejects with `what` when it never does. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  try {
    await vi.waitUntil(condition, { timeout: patienceMs, interval: 1 })
  } catch (error) {
    throw new Error(`never came: ${what}`, { cause: error })
  }
}
