import { LatencyRecorder, type LatencySummary } from './latency.ts'

/**
 * Starts operation number `n` and resolves when it is done; rejects when it failed. `worker` is below the number in flight (closed loop) and
 * runs one operation at a time; 0 in an open loop. `startedMs`: when it was started or due.
 */
export type Operation = (n: number, worker: number, startedMs: number) => Promise<unknown>

export interface LoadResult extends LatencySummary {
  readonly perSecond: number
  readonly seconds: number
  readonly failed: number
}

export interface LoadPlan {
  readonly warmupSeconds: number
  readonly seconds: number
  /** Called when the warm-up ends and when the measured window ends, to read counters. */
  onWindow?(edge: 'start' | 'end'): Promise<void>
}

/**
 * Closed loop: `inFlight` workers, each starts its next operation when the last one is done. Measures throughput; a stall stops the
 * workers too, so its latencies are only those of requests that were sent.
 */
export async function closedLoop(
  operation: Operation,
  plan: LoadPlan & { readonly inFlight: number }
): Promise<LoadResult> {
  const window = new Window(plan)
  let next = 0
  const work = async (worker: number): Promise<void> => {
    while (!window.over) {
      const startedMs = performance.now()
      await window.observe(operation(next++, worker, startedMs), startedMs)
    }
  }
  const workers = Promise.all(Array.from({ length: plan.inFlight }, (_, worker) => work(worker)))
  const result = await window.run()
  await workers
  return result
}

/**
 * Open loop: `perSecond` operations are due at fixed instants whatever the system does, and each latency counts from the instant its
 * operation was due. A stall is therefore paid by every operation that should have run in it (no coordinated omission).
 */
export async function openLoop(
  operation: Operation,
  plan: LoadPlan & { readonly perSecond: number }
): Promise<LoadResult> {
  const window = new Window(plan)
  const startMs = performance.now()
  const intervalMs = 1_000 / plan.perSecond
  let next = 0
  const running = new Set<Promise<void>>()
  const pump = (): void => {
    if (window.over) return
    for (let dueMs = startMs + next * intervalMs; dueMs <= performance.now(); ) {
      const done = window.observe(operation(next++, 0, dueMs), dueMs)
      running.add(done)
      void done.then(() => running.delete(done))
      dueMs = startMs + next * intervalMs
    }
    setTimeout(pump, 1)
  }
  pump()
  const result = await window.run()
  await Promise.all(running)
  return result
}

/** The measured stretch of a run: what ends inside it counts. */
class Window {
  readonly #plan: LoadPlan
  readonly #latencies = new LatencyRecorder()
  #measuring = false
  #failed = 0
  over = false

  constructor(plan: LoadPlan) {
    this.#plan = plan
  }

  async observe(done: Promise<unknown>, startedMs: number): Promise<void> {
    try {
      await done
      if (this.#measuring) this.#latencies.record(performance.now() - startedMs)
    } catch {
      if (this.#measuring) this.#failed += 1
    }
  }

  async run(): Promise<LoadResult> {
    const { warmupSeconds, seconds, onWindow } = this.#plan
    await pause(warmupSeconds * 1_000)
    await onWindow?.('start')
    this.#measuring = true
    const startedMs = performance.now()
    await pause(seconds * 1_000)
    this.#measuring = false
    const tookSeconds = (performance.now() - startedMs) / 1_000
    await onWindow?.('end')
    this.over = true
    const summary = this.#latencies.summary()
    return {
      ...summary,
      perSecond: summary.count / tookSeconds,
      seconds: tookSeconds,
      failed: this.#failed
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
