import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'

type Deliver = (to: EndpointId, from: EndpointId, packet: Packet) => void

/** Packets between endpoints of one process: handed over as they are, in order, in a later slice of the event loop. */
export class LocalQueue {
  readonly #limitPackets: number
  readonly #deliver: Deliver
  #to: EndpointId[] = []
  #from: EndpointId[] = []
  #packets: Packet[] = []
  #stopped = false
  #immediate: NodeJS.Immediate | undefined
  readonly #run = () => this.drain()

  constructor(limitPackets: number, deliver: Deliver) {
    this.#limitPackets = limitPackets
    this.#deliver = deliver
  }

  /** False when the queue is full. */
  add(to: EndpointId, from: EndpointId, packet: Packet): boolean {
    if (this.#stopped || this.#packets.length >= this.#limitPackets) return false
    this.#immediate ??= setImmediate(this.#run)
    this.#to.push(to)
    this.#from.push(from)
    this.#packets.push(packet)
    return true
  }

  /** What is still queued is dropped. */
  stop(): void {
    this.#stopped = true
  }

  /** Hands over what is queued now instead of later. False when there was nothing. Not to be called from inside a delivery. */
  drain(): boolean {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.#immediate = undefined
    if (this.#packets.length === 0) return false
    const to = this.#to
    const from = this.#from
    const packets = this.#packets
    this.#to = []
    this.#from = []
    this.#packets = []
    for (let i = 0; i < packets.length && !this.#stopped; i++) {
      this.#deliver(to[i]!, from[i]!, packets[i]!)
    }
    return true
  }
}
