import { connect, type Socket } from 'node:net'
import { ByteWriter } from '../../src/base/bytes.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../../src/protocol/frame.ts'
import type { KindName } from '../../src/protocol/kinds.ts'
import type { Packet } from '../../src/protocol/packet.ts'
import { until } from './until.ts'

/** The bytes of one frame. */
export function frameOf(
  packet: Packet,
  at: { to?: number; from?: number; clusterTag?: number; epoch?: number; table?: Buffer } = {}
): Buffer {
  const writer = new ByteWriter()
  const { to = 0xff, from = 0xff, clusterTag = 0, epoch = 0, table } = at
  encodeFrame(writer, packet, to, from, clusterTag, epoch, table)
  return writer.copy()
}

/** A socket without manners: writes any bytes, keeps every frame that comes back. */
export class RawPeer {
  readonly socket: Socket
  readonly frames: Frame[] = []
  closed = false

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, noDelay: true })
    const reader = new FrameReader(1 << 24)
    this.socket.on('data', (chunk: Buffer) => {
      reader.push(chunk)
      while (reader.next()) this.frames.push(decodeFrame(reader.buffer, reader.start, reader.end))
    })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.closed = true
    })
  }

  write(...pieces: (Buffer | string)[]): void {
    for (const piece of pieces) this.socket.write(piece)
  }

  /** The first packet of the kind, waited for. */
  async first<K extends KindName>(kind: K): Promise<Packet<K>> {
    const find = () => this.frames.find(frame => frame.packet.kind === kind)
    await until(`${kind} from the other end`, () => find() !== undefined || this.closed)
    const frame = find()
    if (frame === undefined) throw new Error(`closed without ${kind}`)
    return frame.packet as Packet<K>
  }

  /** Error numbers received so far. */
  get errors(): number[] {
    return this.frames.flatMap(({ packet }) =>
      packet.kind === 'ERROR' ? [packet.payload.code] : []
    )
  }

  gone(): Promise<void> {
    return until('the other end closes', () => this.closed)
  }
}
