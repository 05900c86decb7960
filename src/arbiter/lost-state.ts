import type { RoleEnv } from '../protocol/role.ts'

/**
 * Whether this group has lost its state. A leader has applied every table there ever was; if its process holds on to a newer one, any
 * further table would give an old epoch a second content (E-3), so nothing is changed any more until an operator steps in (E-2).
 */
export class LostState {
  readonly #env: RoleEnv
  readonly #patienceMs: number
  #behindSinceMs: number | undefined
  #lost = false

  constructor(env: RoleEnv, patienceMs: number) {
    this.#env = env
    this.#patienceMs = patienceMs
  }

  get lost(): boolean {
    return this.#lost
  }

  /** The process holds a newer table just now. */
  get behind(): boolean {
    return this.#behindSinceMs !== undefined
  }

  reset(): void {
    this.#behindSinceMs = undefined
    this.#lost = false
  }

  /** @param own epoch of the group's table. @param known epoch of the process's. */
  check(own: number, known: number): void {
    if (known <= own) {
      this.reset()
      return
    }
    const nowMs = this.#env.nowMs()
    // For a moment a follower may be ahead: the leader's own disk can be the slowest of the majority.
    this.#behindSinceMs ??= nowMs
    if (this.#lost || nowMs - this.#behindSinceMs < this.#patienceMs) return
    this.#lost = true
    this.#env.metrics.count('arbiter_state_lost_total')
    this.#env.log.error('arbiter.state_lost', { known, own })
  }
}
