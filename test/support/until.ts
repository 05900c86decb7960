const patienceMs = 20_000

/** Resolves as soon as `condition` holds, looked at once per event-loop turn; rejects with `what` when it never does. */
export function until(what: string, condition: () => boolean): Promise<void> {
  const startMs = performance.now()
  return new Promise((resolve, reject) => {
    const look = () => {
      if (condition()) resolve()
      else if (performance.now() - startMs > patienceMs) reject(new Error(`never came: ${what}`))
      else setTimeout(look, 1)
    }
    look()
  })
}
