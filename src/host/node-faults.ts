import type { Clock } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { LinkFaults } from '../net/link-faults.ts'
import { DiskFaults } from '../storage/disk-faults.ts'

/** Time and chance for faults. */
export interface NodeFaultPorts {
  nowMs(): number
  /** 0 to below 1. */
  float(): number
  /** Runs something once; returns what takes it back. */
  after(ms: number, run: () => void): () => void
}

/** What a process does to itself on purpose; one in which `cluster.faultControl` is off has none of it. */
export class NodeFaults {
  readonly links: LinkFaults
  readonly disk: DiskFaults
  /** The wall clock is so far ahead. */
  clockOffsetMs = 0
  readonly #ports: NodeFaultPorts
  #cancelLease: (() => void) | undefined

  constructor(ports: NodeFaultPorts) {
    this.#ports = ports
    this.links = new LinkFaults({
      nowMs: () => ports.nowMs(),
      random: () => ports.float(),
      after: (ms, run) => ports.after(ms, run)
    })
    this.disk = new DiskFaults(ports)
  }

  /** A clock that reads as it is told to. */
  disturbed({ nowMs, wallMs }: Clock): Clock {
    return { nowMs, wallMs: () => wallMs() + this.clockOffsetMs }
  }

  /** Everything ends after so long, unless this is called again. */
  renew(leaseMs: number): void {
    this.#cancelLease?.()
    this.#cancelLease = this.#ports.after(leaseMs, () => this.stop())
  }

  /** Heals everything. */
  stop(): void {
    this.#cancelLease?.()
    this.#cancelLease = undefined
    this.links.stop()
    this.disk.set(undefined)
    this.clockOffsetMs = 0
  }
}

/** On the time and the chance of this process. */
export function createNodeFaults(bootId: number): NodeFaults {
  const random = new Prng(bootId, 'faults')
  return new NodeFaults({
    nowMs: () => performance.now(),
    float: () => random.float(),
    after: (ms, run) => {
      const timer = setTimeout(run, ms)
      return () => clearTimeout(timer)
    }
  })
}
