import { RetryBudget } from './retry-budget.ts'

/** What a route client grants the requests of one set. */
export interface SetLane {
  /** Requests in flight or waiting. */
  pending: number
  readonly budget: RetryBudget
}

interface LaneOptions {
  readonly retryShare: number
  readonly retryFloorPerSecond: number
  readonly retryBurst: number
}

/** One lane per set: a dead set fills its own share and spends its own retries, and nobody else's (I-5). */
export class SetLanes {
  readonly #options: LaneOptions
  readonly #lanes = new Map<string, SetLane>()

  constructor(options: LaneOptions) {
    this.#options = options
  }

  /** @param setId empty for requests that cannot be placed yet. */
  of(setId: string, nowMs: number): SetLane {
    let lane = this.#lanes.get(setId)
    if (lane === undefined) {
      const { retryShare, retryFloorPerSecond, retryBurst } = this.#options
      const budget = new RetryBudget(nowMs, retryShare, retryFloorPerSecond, retryBurst)
      lane = { pending: 0, budget }
      this.#lanes.set(setId, lane)
    }
    return lane
  }
}
