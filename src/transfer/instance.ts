import { RingsetError } from '../base/errors.ts'
import type { RoleEnv } from '../protocol/role.ts'
import type { RouteClient } from '../route/route-client.ts'

/**
 * One life of a gateway: `bootId` names it in every route, and a lease at the set's router leader
 * keeps those routes alive. When the lease has run out the routes are gone, so a new life begins
 * under a new id.
 */
export class Instance {
  readonly #env: RoleEnv
  readonly #route: RouteClient
  readonly #transferId: string
  readonly #setId: string
  readonly #renewMs: number
  readonly #onExpired: () => void
  #bootId: number
  #renewing = false
  #nextAtMs: number
  #renewedAtMs: number

  constructor(
    env: RoleEnv,
    route: RouteClient,
    who: { readonly transferId: string; readonly setId: string; readonly renewMs: number },
    onExpired: () => void
  ) {
    this.#env = env
    this.#route = route
    this.#transferId = who.transferId
    this.#setId = who.setId
    this.#renewMs = who.renewMs
    this.#onExpired = onExpired
    this.#bootId = env.random.id48()
    this.#nextAtMs = env.nowMs()
    this.#renewedAtMs = env.nowMs()
  }

  /** How long ago the lease was renewed; at first, since the start. */
  get silentMs(): number {
    return this.#env.nowMs() - this.#renewedAtMs
  }

  get bootId(): number {
    return this.#bootId
  }

  /** `bootId` was told that its lease is gone; ignored when that is an earlier life. */
  expired(bootId: number): void {
    if (bootId !== this.#bootId) return
    this.#bootId = this.#env.random.id48()
    this.#nextAtMs = this.#env.nowMs()
    this.#env.log.warn('transfer_instance_expired', { newBootId: this.#bootId })
    this.#env.metrics.count('transfer_instances_expired_total')
    this.#onExpired()
  }

  tick(connections: number): void {
    const now = this.#env.nowMs()
    if (this.#renewing || now < this.#nextAtMs) return
    this.#renewing = true
    this.#nextAtMs = now + this.#renewMs
    const bootId = this.#bootId
    const lease = { transferId: this.#transferId, transferBootId: bootId, connections }
    this.#route.request({ setId: this.#setId }, 'RENEW', lease, {
      deadlineMs: this.#renewMs * 2,
      priority: 1,
      onDone: result => {
        this.#renewing = false
        if (!(result instanceof RingsetError)) {
          this.#renewedAtMs = this.#env.nowMs()
          return
        }
        this.#env.metrics.count('transfer_renew_failures_total')
        if (result.code === 'TRANSFER_EXPIRED') this.expired(bootId)
      }
    })
  }
}
