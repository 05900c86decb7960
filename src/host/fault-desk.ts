import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import type { FaultOrder } from '../control/control-source.ts'
import type { LinkFault, LinkFaults } from '../net/link-faults.ts'

const leaseMaxMs = 60_000
const delayMaxMs = 60_000
const flapMinMs = 10
const faultsMax = 1_024
const nameMax = 300

/** Disturbs the links of this node for a drill, if the configuration lets it. */
export class FaultDesk {
  readonly #faults: LinkFaults | undefined
  readonly #log: Log

  constructor(faults: LinkFaults | undefined, log: Log) {
    this.#faults = faults
    this.#log = log
    if (faults !== undefined) log.warn('fault_control_enabled')
  }

  /** Throws UNSUPPORTED, and USAGE for an order out of bounds. */
  set({ faults, leaseMs }: FaultOrder): void {
    if (this.#faults === undefined) {
      const text = 'nothing is disturbed here: `cluster.faultControl` is off in the configuration'
      throw new RingsetError('UNSUPPORTED', text)
    }
    mustBe(faults.length <= faultsMax, `there are at most ${faultsMax} disturbances`)
    const leased = faults.length === 0 || (leaseMs >= 1 && leaseMs <= leaseMaxMs)
    mustBe(leased, `a lease lasts 1 to ${leaseMaxMs} ms`)
    const before = this.#faults.size
    this.#faults.set(faults.map(checked), leaseMs)
    if (faults.length === before) return
    this.#log.warn('links_disturbed', { disturbances: faults.length })
  }
}

function checked(fault: FaultOrder['faults'][number]): LinkFault {
  const { peer, address, direction, flapMs, delayMs, jitterMs, lossShare } = fault
  mustBe(peer !== '' && peer.length <= nameMax && address.length <= nameMax, 'who is the peer?')
  mustBe(Math.max(delayMs, jitterMs) <= delayMaxMs, `a delay is at most ${delayMaxMs} ms`)
  mustBe(flapMs === 0 || flapMs >= flapMinMs, `a link flaps every ${flapMinMs} ms at the most`)
  mustBe(lossShare >= 0 && lossShare <= 1, 'a share is 0 to 1')
  if (direction !== 'out' && direction !== 'in' && direction !== 'both') {
    throw new RingsetError('USAGE', 'a direction is out, in or both')
  }
  return { ...fault, direction }
}

function mustBe(holds: boolean, rule: string): void {
  if (!holds) throw new RingsetError('USAGE', rule)
}
