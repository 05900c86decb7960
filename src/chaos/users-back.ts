import type { FaultRecord } from './recovery.ts'
import { isNodeAction, isOperation } from './scenario.ts'

/** A device was without a gateway. Times by `performance.now`. */
export interface Outage {
  /** The gateway that it had before. */
  readonly transfer: string
  /** Since when it had that. */
  readonly sinceMs: number
  readonly lostMs: number
  /** Connected again, to whichever; 0 = not yet. */
  backMs: number
}

/** How the devices of a gateway came back after a fault. */
export interface UsersBack {
  /** Index of the fault. */
  readonly fault: number
  readonly transfer: string
  /** For each device that lost it meanwhile: since the fault. */
  readonly ms: readonly number[]
}

/** So long after a fault is over devices may notice that it has cost them their gateway. */
const noticeMs = 5_000

/** Follows whether devices are connected, and to what. */
export class ConnectionLog {
  readonly #outages = new Set<Outage>()
  /** Device → the gateway that it has. */
  readonly #gateways = new Map<string, Pick<Outage, 'transfer' | 'sinceMs'>>()
  readonly #open = new Map<string, Outage>()

  get outages(): readonly Outage[] {
    return [...this.#outages]
  }

  /** @param transfer undefined: to one that nobody knows. */
  connected(device: string, transfer: string | undefined): void {
    const outage = this.#open.get(device)
    if (outage !== undefined) outage.backMs = performance.now()
    this.#open.delete(device)
    if (transfer === undefined) this.#gateways.delete(device)
    else this.#gateways.set(device, { transfer, sinceMs: performance.now() })
  }

  lost(device: string): void {
    const gateway = this.#gateways.get(device)
    if (gateway === undefined) return
    this.#gateways.delete(device)
    const outage = { ...gateway, lostMs: performance.now(), backMs: 0 }
    this.#open.set(device, outage)
    this.#outages.add(outage)
  }

  /** It goes away by itself: when it would have been back nobody can tell. */
  left(device: string): void {
    this.#gateways.delete(device)
    const outage = this.#open.get(device)
    if (outage !== undefined) this.#outages.delete(outage)
    this.#open.delete(device)
  }
}

/** For each fault that took gateways from devices. What operators do is no fault, and who never came back counts until the end. */
export function usersBack(
  faults: readonly FaultRecord[],
  outages: readonly Outage[],
  gatewaysOf: (node: string) => readonly string[],
  endMs: number
): UsersBack[] {
  const takes = faults.map(({ action, nodes }) => {
    return isOperation(action) || isNodeAction(action) ? [] : nodes.flatMap(gatewaysOf)
  })
  return faults.flatMap(({ atMs, undoneMs }, fault) => {
    const overMs = undoneMs || endMs
    return takes[fault]!.flatMap(transfer => {
      const later = faults.filter((one, i) => takes[i]!.includes(transfer) && one.atMs > overMs)
      const untilMs = Math.min(overMs + noticeMs, ...later.map(one => one.atMs))
      const own = outages.filter(({ transfer: lost, sinceMs, lostMs }) => {
        // Whoever came meanwhile and loses it then does so by how the fault is undone.
        const late = sinceMs <= atMs && lostMs <= untilMs
        return lost === transfer && lostMs >= atMs && (lostMs <= overMs || late)
      })
      const ms = own.map(({ backMs }) => (backMs || endMs) - atMs)
      return ms.length === 0 ? [] : [{ fault, transfer, ms }]
    })
  })
}
