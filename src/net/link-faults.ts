import { type FaultPorts, freeLine, type LinePlan } from './delay-line.ts'
import { LinkGate } from './link-gate.ts'
import type { PacketStream } from './packet-stream.ts'

/** Stands for everybody who is no node: clients of gateways, and logic clients. */
export const clientPeer = 'clients'

/** One disturbance of all links to one peer, as seen from this process. */
export interface LinkFault {
  /** Id of the other node, or `clients`. */
  readonly peer: string
  /** `host:port` of its listener, by which it is known while it is dialed; empty for clients. */
  readonly address: string
  readonly direction: 'out' | 'in' | 'both'
  readonly cut: boolean
  /** With `cut`: so long cut, so long healed, over and over. 0 = cut throughout. */
  readonly flapMs: number
  readonly delayMs: number
  readonly jitterMs: number
  /** 0 to 1; see `LinePlan`. */
  readonly lossShare: number
  /** 0 = as fast as it goes. */
  readonly bytesPerSecond: number
}

interface Watched {
  /** Empty until it has said who it is. */
  peer: string
  readonly address: string
  /** A connection cannot be made unless both directions work. */
  greeting: boolean
}

/**
 * The disturbances of a process's links. Links tell it of themselves; without any fault it does nothing to them, and a process in which
 * faults are not enabled has none of these.
 */
export class LinkFaults {
  readonly #ports: FaultPorts
  readonly #watched = new Map<PacketStream, Watched>()
  #faults: readonly LinkFault[] = []
  /** Of `#faults`, those that flap and are healed at the moment. */
  readonly #resting = new Set<LinkFault>()
  #cancelFlaps: (() => void)[] = []

  constructor(ports: FaultPorts) {
    this.#ports = ports
  }

  /** Number of disturbances in force. */
  get size(): number {
    return this.#faults.length
  }

  /** From now on these, and no others. */
  set(faults: readonly LinkFault[]): void {
    if (JSON.stringify(faults) === JSON.stringify(this.#faults)) return
    for (const cancel of this.#cancelFlaps) cancel()
    this.#cancelFlaps = []
    this.#resting.clear()
    this.#faults = faults
    for (const [i, fault] of faults.entries()) if (fault.flapMs > 0) this.#flap(i, fault)
    this.#apply()
  }

  #flap(i: number, fault: LinkFault): void {
    this.#cancelFlaps[i] = this.#ports.after(fault.flapMs, () => {
      if (!this.#resting.delete(fault)) this.#resting.add(fault)
      this.#flap(i, fault)
      this.#apply()
    })
  }

  /** A connection is being made. @param address where to, if from here. @param peer who it is, if known. */
  watch(stream: PacketStream, address = '', peer = ''): void {
    const watched = { peer, address, greeting: peer === '' }
    this.#watched.set(stream, watched)
    this.#applyTo(stream, watched)
  }

  /** The other end has proved who it is. */
  named(stream: PacketStream, peer: string): void {
    const watched = this.#watched.get(stream)
    if (watched === undefined) return
    watched.peer = peer
    watched.greeting = false
    this.#applyTo(stream, watched)
  }

  forget(stream: PacketStream): void {
    this.#watched.delete(stream)
  }

  stop(): void {
    this.set([])
  }

  #apply(): void {
    for (const [stream, watched] of this.#watched) this.#applyTo(stream, watched)
  }

  #applyTo(stream: PacketStream, watched: Watched): void {
    let out = this.#plan(watched, 'out')
    let into = this.#plan(watched, 'in')
    if (watched.greeting && (out.cut || into.cut)) {
      out = { ...out, cut: true }
      into = { ...into, cut: true }
    }
    if (out === freeLine && into === freeLine) {
      stream.gate?.heal()
      return
    }
    if (out.cut) stream.flush()
    stream.gate ??= new LinkGate(stream, this.#ports)
    stream.gate.disturb(out, into)
  }

  /** All faults of a direction together; the very `freeLine` when there are none. */
  #plan({ peer, address }: Watched, direction: 'out' | 'in'): LinePlan {
    let plan = freeLine
    for (const fault of this.#faults) {
      const meant = fault.peer === peer || (address !== '' && fault.address === address)
      const there = fault.direction === direction || fault.direction === 'both'
      if (!meant || !there || this.#resting.has(fault)) continue
      const rates = [plan.bytesPerSecond, fault.bytesPerSecond].filter(rate => rate > 0)
      plan = {
        cut: plan.cut || fault.cut,
        delayMs: plan.delayMs + fault.delayMs,
        jitterMs: plan.jitterMs + fault.jitterMs,
        lossShare: Math.max(plan.lossShare, fault.lossShare),
        bytesPerSecond: rates.length === 0 ? 0 : Math.min(...rates)
      }
    }
    return plan
  }
}
