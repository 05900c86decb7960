import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import type { FaultOrder } from '../control/control-source.ts'
import type { LinkFault } from '../net/link-faults.ts'
import type { DiskFault } from '../storage/disk-faults.ts'
import type { NodeFaults } from './node-faults.ts'

const leaseMaxMs = 60_000
const delayMaxMs = 60_000
const flapMinMs = 10
const faultsMax = 1_024
const nameMax = 300
const clockOffsetMaxMs = 1e12

/** Disturbs this node for a drill, if the configuration lets it. */
export class FaultDesk {
  readonly #faults: NodeFaults | undefined
  readonly #log: Log
  #told = nothing

  constructor(faults: NodeFaults | undefined, log: Log) {
    this.#faults = faults
    this.#log = log
    if (faults !== undefined) log.warn('fault_control_enabled')
  }

  /** Throws FAULT_CONTROL_OFF, and USAGE for an order out of bounds, of which nothing is done. */
  set(order: FaultOrder): void {
    const faults = this.#faults
    if (faults === undefined) throw new RingsetError('FAULT_CONTROL_OFF')
    const { links, leaseMs, disk, clockOffsetMs } = order
    mustBe(links.length <= faultsMax, `there are at most ${faultsMax} disturbances`)
    mustBe(Math.abs(clockOffsetMs) <= clockOffsetMaxMs, `clocks differ by ${clockOffsetMaxMs} ms`)
    const ofLinks = links.map(checkedLink)
    const ofDisk = disk === undefined ? undefined : checkedDisk(disk)
    const facts = { links: links.length, ...ofDisk, clockOffsetMs }
    const told = JSON.stringify(facts)
    if (told === nothing) faults.stop()
    else {
      mustBe(leaseMs >= 1 && leaseMs <= leaseMaxMs, `a lease lasts 1 to ${leaseMaxMs} ms`)
      faults.links.set(ofLinks)
      faults.disk.set(ofDisk)
      faults.clockOffsetMs = clockOffsetMs
      faults.renew(leaseMs)
    }
    if (told === this.#told) return
    this.#told = told
    this.#log.warn('node_disturbed', facts)
  }
}

const nothing = JSON.stringify({ links: 0, clockOffsetMs: 0 })

function checkedLink(fault: FaultOrder['links'][number]): LinkFault {
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

function checkedDisk({ delayMs, jitterMs, failure }: NonNullable<FaultOrder['disk']>): DiskFault {
  mustBe(Math.max(delayMs, jitterMs) <= delayMaxMs, `a delay is at most ${delayMaxMs} ms`)
  if (failure !== '' && failure !== 'full' && failure !== 'sync') {
    throw new RingsetError('USAGE', 'a write fails as full or sync')
  }
  return { delayMs, jitterMs, failure: failure === '' ? 'none' : failure }
}

function mustBe(holds: boolean, rule: string): void {
  if (!holds) throw new RingsetError('USAGE', rule)
}
