import { type ErrorCode, errorCodeOf, errorCodes } from '../base/error-codes.ts'
import type { RingsetError } from '../base/errors.ts'
import type { Log, Metrics } from '../base/ports.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { type Frame, linkIndex } from '../protocol/frame.ts'
import type { KindName } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { PeerLink } from './peer-link.ts'
import type { AnnouncedEndpoint, PeerProcess } from './peer-process.ts'

/** What a guest may send; all else is FORBIDDEN. */
const guestKinds: ReadonlySet<KindName> = new Set<KindName>([
  'APPEND',
  'REGISTER',
  'UNREGISTER',
  'LOOKUP',
  'LATEST',
  'HISTORY_READ',
  'SYNC',
  'SEQUENCE',
  'TABLE_PULL',
  'LINK_PING',
  'LINK_PONG',
  'ERROR'
])

export interface ReceiverContext {
  readonly keeper: TableKeeper
  readonly metrics: Metrics
  readonly log: Log
  /** Endpoints of this process by index. */
  readonly localIds: readonly EndpointId[]
  nowMs(): number
  bind(link: PeerLink, endpoints: readonly AnnouncedEndpoint[]): void
  onPacket(to: EndpointId, from: EndpointId, packet: Packet): void
}

/** What happens to a frame on an open link: stamp and table first, then the link's own kinds, then the endpoints. */
export class PeerReceiver {
  readonly #context: ReceiverContext

  constructor(context: ReceiverContext) {
    this.#context = context
  }

  receive(process: PeerProcess, link: PeerLink, frame: Frame): void {
    const { packet: received } = frame
    if (link.trusted) this.#readStamp(process, link, frame)
    else process.carrier.heard(received.epoch)
    const own = this.#context.keeper.view().clusterTag
    if (own !== 0 && received.clusterTag !== 0 && own !== received.clusterTag) {
      this.#refuse(process, link, frame, 'WRONG_CLUSTER')
    } else if (!link.trusted && !guestKinds.has(received.kind)) {
      this.#refuse(process, link, frame, 'FORBIDDEN')
    } else if (!this.#isForLink(process, link, frame)) {
      this.#deliver(process, link, frame)
    }
  }

  /** A frame that could not be decoded is answered, unless it was an answer itself. */
  refused(process: PeerProcess, link: PeerLink, error: RingsetError): void {
    const { kind, to, from, ...ids } = error.facts
    this.#context.metrics.count('link_refused_total')
    if (kind === 'ERROR') return
    const code = errorCodes[error.code].number
    const text = error.message.slice(0, 200)
    const payload = { code, text, retryAfterMs: 0, hint: undefined }
    const { bootId, sequence } = ids as { bootId: number; sequence: number }
    const sent = packet('ERROR', payload, { bootId, sequence })
    process.send(sent, from as number, to as number, link)
  }

  #refuse(process: PeerProcess, link: PeerLink, frame: Frame, code: ErrorCode): void {
    const { packet: received, to, from } = frame
    this.#context.metrics.count('link_refused_total')
    if (received.kind === 'ERROR') return
    const { number, summary: text } = errorCodes[code]
    const payload = { code: number, text, retryAfterMs: 0, hint: undefined }
    process.send(answer(received, 'ERROR', payload), from, to, link)
  }

  /** Adopting comes before delivering: a role never acts on a packet by an older table than the packet brought (E-8). */
  #readStamp(process: PeerProcess, link: PeerLink, frame: Frame): void {
    const { keeper, metrics, log } = this.#context
    const { carrier } = process
    carrier.heard(frame.packet.epoch)
    const { table } = frame
    if (table !== undefined && !table.equals(keeper.view().encoded)) {
      const adoption = keeper.adopt(Buffer.from(table))
      metrics.count(`link_tables_${adoption}_total`)
      // Whoever has it already, or lacks what an update is of, is not to be worried about.
      if (adoption === 'malformed' || adoption === 'foreign' || adoption === 'conflict') {
        log.warn('link_table_refused', { nodeId: link.nodeId, adoption })
      }
    }
    this.catchUp(process, link)
  }

  /** Asks for the table of the other end when it is newer and has not come by itself. A client does so on opening: nobody may write to it. */
  catchUp(process: PeerProcess, link: PeerLink): void {
    const { epoch } = this.#context.keeper.view()
    const { carrier } = process
    if (carrier.shownEpoch > epoch && carrier.pulls(epoch, this.#context.nowMs())) {
      process.sendOwn(packet('TABLE_PULL', {}), link)
    }
  }

  /** True when the packet was for the link and is dealt with. */
  #isForLink(process: PeerProcess, link: PeerLink, frame: Frame): boolean {
    const { packet: received, to, from } = frame
    switch (received.kind) {
      case 'LINK_PING':
        process.sendOwn(packet('LINK_PONG', {}), link)
        return true
      case 'LINK_PONG':
        return true
      case 'TABLE_PULL':
        process.carrier.asked()
        process.send(answer(received, 'TABLE', {}), from, to, link)
        return true
      case 'TABLE':
        return to === linkIndex
      case 'WELCOME':
        if (received.payload.bootId === process.bootId) {
          this.#context.bind(link, received.payload.endpoints)
        }
        return true
      case 'HELLO':
      case 'CHALLENGE':
        this.#refuse(process, link, frame, 'UNEXPECTED_PACKET')
        return true
      case 'ERROR':
        if (to !== linkIndex) return false
        link.failure = errorCodeOf(received.payload.code)
        return true
      default:
        return false
    }
  }

  #deliver(process: PeerProcess, link: PeerLink, frame: Frame): void {
    const from = process.endpoints[frame.from]
    const to = this.#context.localIds[frame.to]
    if (from === undefined) this.#refuse(process, link, frame, 'FORBIDDEN')
    else if (to === undefined) this.#refuse(process, link, frame, 'UNREACHABLE')
    else this.#context.onPacket(to, from, frame.packet)
  }
}
