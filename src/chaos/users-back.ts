import type { FaultRecord } from './recovery.ts'
import { isNodeAction, isOperation } from './scenario.ts'

/** A device was without a gateway. Times by `performance.now`. */
export interface Outage {
  /** The gateway that it had before. */
  readonly transfer: string
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

/** Follows whether devices are connected, and to what. */
export class ConnectionLog {
  readonly outages: Outage[] = []
  /** Device → the gateway that it has. */
  readonly #gateways = new Map<string, string>()
  readonly #open = new Map<string, Outage>()

  /** @param transfer undefined: to one that nobody knows. */
  connected(device: string, transfer: string | undefined): void {
    const outage = this.#open.get(device)
    if (outage !== undefined) outage.backMs = performance.now()
    this.#open.delete(device)
    if (transfer === undefined) this.#gateways.delete(device)
    else this.#gateways.set(device, transfer)
  }

  lost(device: string): void {
    const transfer = this.#gateways.get(device)
    if (transfer === undefined) return
    this.#gateways.delete(device)
    const outage = { transfer, lostMs: performance.now(), backMs: 0 }
    this.#open.set(device, outage)
    this.outages.push(outage)
  }

  /** It goes away by itself. */
  left(device: string): void {
    this.#gateways.delete(device)
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
  return faults.flatMap(({ action, nodes, atMs, undoneMs }, fault) => {
    if (isOperation(action) || isNodeAction(action)) return []
    return nodes.flatMap(gatewaysOf).flatMap(transfer => {
      const own = outages.filter(one => {
        const meanwhile = one.lostMs >= atMs && one.lostMs <= (undoneMs || endMs)
        return meanwhile && one.transfer === transfer
      })
      const ms = own.map(({ backMs }) => (backMs || endMs) - atMs)
      return ms.length === 0 ? [] : [{ fault, transfer, ms }]
    })
  })
}
