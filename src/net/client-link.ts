import type { Socket } from 'node:net'
import type { RingsetError } from '../base/errors.ts'
import { type CarryMode, TableCarrier } from '../protocol/carrier.ts'
import type { Frame } from '../protocol/frame.ts'
import type { Packet } from '../protocol/packet.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import { PacketStream, type StreamOwner, type WriteTurn } from './packet-stream.ts'

/** What a client connection tells its listener. */
export interface ClientLinkHost {
  readonly turn: WriteTurn
  readonly carry: CarryMode
  readonly keeper: TableKeeper
  onLinkPacket(link: ClientLink, packet: Packet): void
  onLinkRefused(link: ClientLink, error: RingsetError): void
  onLinkGarbage(link: ClientLink, error: RingsetError): void
  onLinkClosed(link: ClientLink): void
}

/** One client's connection. There are very many of these: it holds no timer, no buffer and no closure of its own. */
export class ClientLink implements StreamOwner {
  readonly connId: number
  readonly stream: PacketStream
  readonly carrier: TableCarrier
  state: 'greeting' | 'authenticated' | 'closing' = 'greeting'
  /** When the state began. */
  sinceMs: number
  readonly #host: ClientLinkHost

  constructor(
    host: ClientLinkHost,
    connId: number,
    socket: Socket,
    nowMs: number,
    limitBytes: number
  ) {
    this.#host = host
    this.connId = connId
    this.sinceMs = nowMs
    this.carrier = new TableCarrier(host.carry, host.keeper)
    this.stream = new PacketStream(socket, this, host.turn, limitBytes)
  }

  /** A table that a client attaches is not looked at: clients cannot vouch for one. */
  onFrame(frame: Frame): void {
    this.carrier.heard(frame.packet.epoch)
    this.#host.onLinkPacket(this, frame.packet)
  }

  onRefused(error: RingsetError): void {
    this.#host.onLinkRefused(this, error)
  }

  onGarbage(error: RingsetError): void {
    this.#host.onLinkGarbage(this, error)
  }

  onClosed(): void {
    this.#host.onLinkClosed(this)
  }
}
