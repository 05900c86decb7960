import type { Metrics } from '../base/ports.ts'
import { type CarryMode, TableCarrier } from '../protocol/carrier.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { linkIndex } from '../protocol/frame.ts'
import { isUrgent, type Packet, packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { PacketStream } from './packet-stream.ts'
import type { PeerLimits } from './peer-limits.ts'

export interface AnnouncedEndpoint {
  readonly index: number
  readonly id: string
}

/** What sending needs of its network. */
export interface SendContext {
  readonly keeper: TableKeeper
  readonly limits: PeerLimits
  readonly metrics: Metrics
  readonly carry: CarryMode
  readonly nodeId: string
  readonly bootId: number
  announced(): AnnouncedEndpoint[]
}

/** A connection as its process sees it. */
export interface ProcessLink {
  /** This side made it. */
  readonly dialed: boolean
  readonly open: boolean
  readonly stream: PacketStream
  /** How many endpoints of this process the other side was told of on it. */
  announced: number
  process: PeerProcess | undefined
  suspect(): void
  destroy(): void
}

/**
 * Another process, as long as there is a link to it. There are two links when both sides dialed at once; then each side goes on
 * sending on the one that opened first for it, so that packets stay in order, and listens on both.
 */
export class PeerProcess {
  readonly key: string
  readonly bootId: number
  readonly links: ProcessLink[]
  /** The other process's endpoints by its index. */
  readonly endpoints: (EndpointId | undefined)[] = []
  readonly carrier: TableCarrier
  sending: ProcessLink
  readonly #context: SendContext

  constructor(key: string, bootId: number, link: ProcessLink, context: SendContext) {
    this.key = key
    this.bootId = bootId
    this.sending = link
    this.links = [link]
    this.#context = context
    this.carrier = new TableCarrier(context.carry, context.keeper)
  }

  /**
   * Tells of endpoints that came into being after, or during, the handshake of the link in use. Refused by a full queue it changes
   * nothing and may be called again.
   */
  announce(): void {
    const { nodeId, bootId } = this.#context
    const { sending } = this
    const endpoints = this.#context.announced()
    if (sending.announced === endpoints.length) return
    const mac = Buffer.alloc(0)
    const welcome = packet('WELCOME', { nodeId, bootId, endpoints, mac, hints: [] })
    if (this.sendOwn(welcome)) sending.announced = endpoints.length
  }

  /** Sends as the link itself. */
  sendOwn(own: Packet, link = this.sending): boolean {
    return this.send(own, linkIndex, linkIndex, link)
  }

  /** False when the packet was dropped: the queue is full, the frame too large, or the link closing. */
  send(sent: Packet, to: number, from: number, link = this.sending): boolean {
    const { limits, keeper, metrics } = this.#context
    const { stream } = link
    if (link.open && hasRoom(stream, sent, limits)) {
      const { carrier } = this
      const tables = carrier.attachments
      const taken = stream.send(sent, to, from, keeper.view(), carrier, limits.frameBytes)
      if (carrier.attachments !== tables) metrics.count('link_tables_sent_total')
      if (taken) return true
    }
    metrics.count('link_dropped_total')
    return false
  }
}

/** What is urgent has room of its own: a queue full of other things must not cost an election. */
function hasRoom(stream: PacketStream, sent: Packet, limits: PeerLimits): boolean {
  if (stream.backlogBytes <= limits.queueBytes) return true
  return isUrgent(sent) && stream.urgentBytes <= limits.urgentQueueBytes
}
