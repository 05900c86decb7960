import { connect, type Socket } from 'node:net'
import { errorCodeOf } from '../base/error-codes.ts'
import { RingsetError } from '../base/errors.ts'
import { TableCarrier } from '../protocol/carrier.ts'
import { type Frame, linkIndex } from '../protocol/frame.ts'
import { hardLimits } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import { parseAddress } from './address.ts'
import { PacketStream, type StreamOwner, WriteTurn } from './packet-stream.ts'

export interface ClientConnectionLimits {
  /** Largest frame sent or accepted. */
  readonly frameBytes: number
  /** Unsent bytes over which `send` is false. */
  readonly queueBytes: number
  readonly connectTimeoutMs: number
}

export interface ClientConnectionOptions {
  /** Adopts the tables that the other end attaches; without it the stamp shows that none is known. */
  readonly keeper?: TableKeeper | undefined
  readonly limits?: Partial<ClientConnectionLimits> | undefined
  onPacket(packet: Packet): void
  /** Once, when an established connection ended; undefined after an own `close`. */
  onClose(error: RingsetError | undefined): void
}

const defaultLimits: ClientConnectionLimits = {
  frameBytes: hardLimits.frameBytes,
  queueBytes: 4 * 1024 * 1024,
  connectTimeoutMs: 5_000
}

/** All connections of the process write in one turn and share buffers, so that thousands are cheap. */
const sharedTurn = new WriteTurn()

const noTable: TableView = {
  table: undefined,
  epoch: 0,
  clusterTag: 0,
  contentHash: 0,
  slotOf: () => {
    throw new RingsetError('NO_TABLE')
  },
  owner: () => undefined,
  set: () => undefined,
  move: () => undefined,
  encoded: Buffer.alloc(0)
}

/** A client's connection to a transfer: packets with stamps, nothing of what they mean. */
export class ClientConnection implements StreamOwner {
  readonly #options: ClientConnectionOptions
  readonly #limits: ClientConnectionLimits
  readonly #stream: PacketStream
  readonly #carrier = new TableCarrier('stamp')
  #closedByUs = false
  /** What the other end gave as its reason to close. */
  #farewell: RingsetError | undefined
  #established = false

  /** @param address `tcp://host:port`. Rejects with UNREACHABLE, or CONFIG_INVALID for a bad address. */
  static connect(address: string, options: ClientConnectionOptions): Promise<ClientConnection> {
    return new Promise((resolve, reject) => {
      const { host, port } = parseAddress(address)
      const socket = connect({ host, port, noDelay: true })
      const connection = new ClientConnection(socket, options)
      const fail = (cause?: unknown) => {
        clearTimeout(timer)
        socket.destroy()
        reject(new RingsetError('UNREACHABLE', undefined, { address }, cause))
      }
      const timer = setTimeout(fail, connection.#limits.connectTimeoutMs)
      socket.once('error', fail)
      socket.once('connect', () => {
        clearTimeout(timer)
        socket.removeListener('error', fail)
        connection.#established = true
        resolve(connection)
      })
    })
  }

  private constructor(socket: Socket, options: ClientConnectionOptions) {
    this.#options = options
    this.#limits = { ...defaultLimits, ...options.limits }
    this.#stream = new PacketStream(socket, this, sharedTurn, this.#limits.frameBytes)
  }

  #view(): TableView {
    return this.#options.keeper?.view() ?? noTable
  }

  /** False when the packet was dropped: the connection is closed, the frame too large, or too much is unsent. */
  send(sent: Packet): boolean {
    const { frameBytes, queueBytes } = this.#limits
    if (this.#closedByUs || this.#stream.backlogBytes > queueBytes) return false
    // A client never attaches its table: nobody would believe it.
    return this.#stream.send(sent, linkIndex, linkIndex, this.#view(), undefined, frameBytes)
  }

  /** Sends what is queued, then closes. Nothing more is delivered; `onClose` follows. */
  close(): void {
    if (this.#closedByUs) return
    this.#closedByUs = true
    this.#stream.finish()
    const { socket } = this.#stream
    const timer = setTimeout(() => socket.destroy(), 1_000)
    socket.once('close', () => clearTimeout(timer))
  }

  onFrame(frame: Frame): void {
    const { packet: received, table } = frame
    this.#readStamp(received.epoch, table)
    if (received.kind === 'LINK_PING') {
      this.send(answer(received, 'LINK_PONG', {}))
      return
    }
    if (received.kind === 'TABLE' || received.kind === 'LINK_PONG') return
    if (received.kind === 'ERROR' && received.bootId === 0) {
      const { code, text } = received.payload
      this.#farewell = new RingsetError(errorCodeOf(code), text || undefined)
    }
    this.#options.onPacket(received)
  }

  #readStamp(epoch: number, table: Buffer | undefined): void {
    const { keeper } = this.#options
    if (keeper === undefined) return
    const carrier = this.#carrier
    carrier.heard(epoch)
    if (table !== undefined && !table.equals(keeper.view().encoded)) {
      keeper.adopt(Buffer.from(table))
    }
    const own = keeper.view().epoch
    if (carrier.shownEpoch > own && carrier.pulls(own, performance.now())) {
      this.send(packet('TABLE_PULL', {}))
    }
  }

  /** A newer server may send kinds that this client does not know. */
  onRefused(): void {}

  onGarbage(error: RingsetError): void {
    this.#farewell = error
    this.#stream.socket.destroy()
  }

  onClosed(): void {
    if (!this.#established) return
    if (this.#closedByUs) this.#options.onClose(undefined)
    else this.#options.onClose(this.#farewell ?? new RingsetError('UNREACHABLE', 'closed'))
  }
}
