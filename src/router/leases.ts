import type { EndpointId } from '../protocol/endpoint.ts'
import { transferEndpoint } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Admission, RouterParts } from './admission.ts'
import { writeExpireTransfer } from './commands.ts'
import type { Proposals } from './proposals.ts'
import type { Replies } from './replies.ts'
import { instanceId, instancesMax } from './transfers.ts'

interface Lease {
  readonly transferId: string
  readonly transferBootId: number
  untilMs: number
  connections: number
  expiring: boolean
}

/** Ticks further apart than this mean that this process stood still, and RENEWs may wait unread in its sockets. */
const stallMs = 100

/**
 * Leases of transfer instances, in the leader's memory only. One that is not renewed in time is declared dead through the log. A new leader first grants
 * one full lease to every instance it finds.
 */
export class Leases {
  readonly #parts: RouterParts
  readonly #admission: Admission
  readonly #proposals: Proposals
  readonly #replies: Replies
  readonly #leaseMs: number
  readonly #leases = new Map<string, Lease>()
  #lastTickMs: number

  constructor(
    parts: RouterParts,
    admission: Admission,
    proposals: Proposals,
    replies: Replies,
    leaseMs: number
  ) {
    this.#parts = parts
    this.#admission = admission
    this.#proposals = proposals
    this.#replies = replies
    this.#leaseMs = leaseMs
    this.#lastTickMs = parts.env.nowMs()
  }

  /** Connections of live instances, as they last reported. */
  get connections(): number {
    let sum = 0
    for (const lease of this.#leases.values()) sum += lease.connections
    return sum
  }

  onLeadership(leading: boolean): void {
    this.#leases.clear()
    this.#lastTickMs = this.#parts.env.nowMs()
    if (!leading) return
    const { machine, rows } = this.#parts
    for (const { transferId, transferBootId, alive } of machine.transfers.all(rows)) {
      if (alive) this.granted(transferId, transferBootId)
    }
  }

  /** One full lease from now on. */
  granted(transferId: string, transferBootId: number, connections?: number): void {
    const id = instanceId(transferId, transferBootId)
    const untilMs = this.#parts.env.nowMs() + this.#leaseMs
    const known = this.#leases.get(id)
    if (known !== undefined) {
      known.untilMs = untilMs
      known.connections = connections ?? known.connections
    } else if (this.#leases.size < instancesMax) {
      const fresh = { transferId, transferBootId, untilMs, expiring: false }
      this.#leases.set(id, { ...fresh, connections: connections ?? 0 })
    }
  }

  /** A route through the instance was registered: from now on its lease counts. */
  registered(transferId: string, transferBootId: number): void {
    if (!this.#leases.has(instanceId(transferId, transferBootId))) {
      this.granted(transferId, transferBootId)
    }
  }

  onRenew(from: EndpointId, request: Packet<'RENEW'>): void {
    const { transferId, transferBootId, connections } = request.payload
    if (from !== transferEndpoint(transferId)) {
      this.#replies.error(from, request, 'FORBIDDEN')
      return
    }
    const code = this.#admission.leadership()
    if (code !== undefined) {
      this.#replies.error(from, request, code, this.#admission.hint(code, request.slot))
      return
    }
    const { machine, rows } = this.#parts
    if (machine.transfers.dead(rows, transferId, transferBootId)) {
      this.#replies.error(from, request, 'TRANSFER_EXPIRED')
      return
    }
    this.granted(transferId, transferBootId, connections)
    this.#replies.ok(from, request, 'RENEW_OK', { leaseMs: this.#leaseMs })
  }

  tick(): void {
    const nowMs = this.#parts.env.nowMs()
    const stoodStillMs = nowMs - this.#lastTickMs
    this.#lastTickMs = nowMs
    for (const [id, lease] of this.#leases) {
      if (stoodStillMs > stallMs) lease.untilMs += stoodStillMs
      if (lease.untilMs <= nowMs && !lease.expiring) this.#expire(id, lease)
    }
  }

  #expire(id: string, lease: Lease): void {
    const { env, machine, rows } = this.#parts
    const { transferId, transferBootId } = lease
    if (!machine.transfers.alive(rows, transferId, transferBootId)) {
      // It never registered a route: there is nothing to drop.
      this.#leases.delete(id)
      return
    }
    const writer = this.#proposals.open()
    if (writer === undefined) return
    lease.expiring = true
    env.log.warn('transfer_lease_expired', { transferId, transferBootId })
    writeExpireTransfer(writer, transferId, transferBootId)
    this.#proposals.own(() => {
      if (!machine.transfers.alive(rows, transferId, transferBootId)) this.#leases.delete(id)
      else lease.expiring = false
    })
  }
}
