import type { Socket } from 'node:net'
import { ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import type { TableCarrier } from '../protocol/carrier.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader } from '../protocol/frame.ts'
import { isUrgent, type Packet } from '../protocol/packet.ts'
import type { TableView } from '../table/table-view.ts'
import { HeldFrames, type Lane, pieceBytes, type WriterPool } from './lane.ts'
import type { LinkGate } from './link-gate.ts'

/** A writer that held more than this is not kept for the next turn. */
const keptWriterBytes = 2 * pieceBytes
const keptWriters = 256

/**
 * Collects the streams that have something to write, and writes each of them once per event-loop turn. Writers are shared: an
 * idle stream holds none.
 */
export class WriteTurn implements WriterPool {
  #dirty: PacketStream[] = []
  #other: PacketStream[] = []
  #immediate: NodeJS.Immediate | undefined
  readonly #spare: ByteWriter[] = []
  readonly #run = () => this.flush()

  add(stream: PacketStream): void {
    this.#dirty.push(stream)
    this.#immediate ??= setImmediate(this.#run)
  }

  /** Writes now what was collected so far; otherwise that happens by itself at the end of the turn. */
  flush(): void {
    if (this.#immediate !== undefined) clearImmediate(this.#immediate)
    this.#immediate = undefined
    const streams = this.#dirty
    if (streams.length === 0) return
    this.#dirty = this.#other
    this.#other = streams
    for (let i = 0; i < streams.length; i++) streams[i]!.flush()
    streams.length = 0
  }

  /** @param busy a lot is likely to be written: do not begin small. */
  takeWriter(busy: boolean): ByteWriter {
    return this.#spare.pop() ?? new ByteWriter(busy ? keptWriterBytes : 512)
  }

  giveWriter(writer: ByteWriter): void {
    if (writer.length > keptWriterBytes || this.#spare.length >= keptWriters) return
    writer.reset()
    this.#spare.push(writer)
  }
}

/** Who deals with what a stream receives. A throw of `onFrame` is a broken invariant and is not caught. */
export interface StreamOwner {
  onFrame(frame: Frame): void
  /** UNKNOWN_KIND or BAD_PACKET, with the packet's ids as facts; the stream goes on. */
  onRefused(error: RingsetError): void
  /** BAD_FRAME or FRAME_TOO_LARGE: nothing more is read; the owner closes. */
  onGarbage(error: RingsetError): void
  /** The socket is closed; called once. */
  onClosed(): void
}

/**
 * A socket with frames on it. Nothing is read any more once `deaf` is set.
 *
 * As long as the socket takes what is written, frames leave in the order of `send`. While it does not, they are held back in two
 * lanes. Each time it has emptied itself everything urgent goes to it and then one piece of the rest: what is urgent waits for what
 * is on its way already, never for the queue, and the rest goes on however much is urgent.
 */
export class PacketStream {
  readonly socket: Socket
  readonly owner: StreamOwner
  deaf = false
  /** Only while the link is disturbed on purpose. */
  gate: LinkGate | undefined
  readonly #turn: WriteTurn
  readonly #reader: FrameReader
  #writer: ByteWriter | undefined
  #held: HeldFrames | undefined
  #reading = true
  /** The socket has closed while nothing could be heard of it. */
  #closedUnheard = false

  /** @param limitBytes largest frame accepted, to begin with. */
  constructor(socket: Socket, owner: StreamOwner, turn: WriteTurn, limitBytes: number) {
    this.socket = socket
    this.owner = owner
    this.#turn = turn
    this.#reader = new FrameReader(limitBytes)
    const owned = socket as OwnedSocket
    owned[streamOf] = this
    socket.on('data', onData)
    socket.on('drain', onDrain)
    socket.on('error', onError)
    socket.on('close', onClose)
  }

  set limitBytes(bytes: number) {
    this.#reader.limitBytes = bytes
  }

  /** Bytes that the operating system has not taken yet. */
  get backlogBytes(): number {
    const held = this.#held
    const heldBytes = held === undefined ? 0 : held.urgent.bytes + held.bulk.bytes
    const delayedBytes = this.gate?.pendingBytes ?? 0
    return (this.#writer?.length ?? 0) + heldBytes + delayedBytes + this.socket.writableLength
  }

  /** So many have come from the other end. */
  get bytesRead(): number {
    return this.gate?.heardBytes ?? this.socket.bytesRead
  }

  /** Nobody listens at the other end's address. */
  get refused(): boolean {
    const cause = this.socket.errored as NodeJS.ErrnoException | null
    return cause?.code === 'ECONNREFUSED' && !this.#closedUnheard
  }

  /** What of it is urgent and held back. */
  get urgentBytes(): number {
    return this.#held?.urgent.bytes ?? 0
  }

  /**
   * Queues one frame for the end of the turn, or for when the socket takes more, stamped with `view`, with its table when `carrier`
   * says so (no carrier: never). False when nothing was queued: the socket is closed or the frame is over `limitBytes`.
   */
  send(
    packet: Packet,
    to: number,
    from: number,
    view: TableView,
    carrier: TableCarrier | undefined,
    limitBytes: number
  ): boolean {
    if (!this.socket.writable) return false
    const writer = this.#open(packet)
    const start = writer.length
    const { epoch, clusterTag } = view
    const table = carrier?.attachment(view)
    if (table !== undefined) {
      const size = encodeFrame(writer, packet, to, from, clusterTag, epoch, table)
      if (size <= limitBytes) {
        carrier!.attached(epoch)
        return true
      }
      writer.truncate(start)
    }
    if (encodeFrame(writer, packet, to, from, clusterTag, epoch) <= limitBytes) return true
    writer.truncate(start)
    return false
  }

  /** Queues bytes that are whole frames. False when the socket is closed. */
  sendEncoded(frames: Buffer): boolean {
    if (!this.socket.writable) return false
    this.#open(undefined).raw(frames)
    return true
  }

  #open(packet: Packet | undefined): ByteWriter {
    const writer = this.#writer
    if (writer !== undefined && writer.length < pieceBytes) return writer
    if (writer !== undefined) this.flush()
    if (this.#held !== undefined || this.#busy()) {
      this.#held ??= new HeldFrames()
      const urgent = packet !== undefined && isUrgent(packet)
      return (urgent ? this.#held.urgent : this.#held.bulk).open(this.#turn, !urgent)
    }
    this.#writer = this.#turn.takeWriter(this.socket.writableLength > 0)
    this.#turn.add(this)
    return this.#writer
  }

  /** The socket has more than it takes at once; it will say when it has got rid of all. */
  #busy(): boolean {
    if (this.gate?.full) return true
    return this.socket.writableLength > 0 && this.socket.writableNeedDrain
  }

  flush(): void {
    const writer = this.#writer
    if (writer === undefined) return
    this.#writer = undefined
    this.#write(writer)
  }

  #write(writer: ByteWriter): void {
    if (writer.length === 0 || !this.socket.writable) {
      this.#turn.giveWriter(writer)
      return
    }
    if (this.gate !== undefined) {
      this.gate.write(writer.finish())
      this.#turn.giveWriter(writer)
      return
    }
    this.socket.write(writer.finish())
    // Nothing left in the socket means that the kernel has copied the bytes; otherwise they belong to the socket until sent.
    if (this.socket.writableLength === 0) this.#turn.giveWriter(writer)
  }

  #writeAll(lane: Lane): void {
    for (let piece = lane.take(); piece !== undefined; piece = lane.take()) this.#write(piece)
  }

  /** The socket is empty again. */
  drained(): void {
    const held = this.#held
    if (held === undefined || this.gate?.full) return
    do {
      this.#writeAll(held.urgent)
      const piece = held.bulk.take()
      if (piece === undefined) {
        this.#held = undefined
        return
      }
      this.#write(piece)
    } while (!this.#busy())
  }

  /** Flushes and sends FIN; what still arrives is discarded. The owner destroys the socket if the other end does not close. */
  finish(): void {
    this.deaf = true
    this.flush()
    if (this.#held !== undefined) {
      this.#writeAll(this.#held.urgent)
      this.#writeAll(this.#held.bulk)
      this.#held = undefined
    }
    this.socket.resume()
    if (this.gate === undefined) this.socket.end()
    else this.gate.end()
  }

  /** Closes at once; the owner is told as ever. */
  destroy(): void {
    this.deaf = true
    this.gate?.stop()
    this.gate = undefined
    if (this.#closedUnheard) this.closed()
    else this.socket.destroy()
  }

  /** The socket has closed: the owner is told now, or when it can be heard. */
  closed(): void {
    this.#closedUnheard = this.gate?.silent ?? false
    if (this.#closedUnheard) return
    this.deaf = true
    this.gate?.stop()
    this.gate = undefined
    this.owner.onClosed()
  }

  /** Stops and resumes reading: backpressure. */
  setReading(reading: boolean): void {
    this.#reading = reading
    this.flow()
  }

  /** Reads from the socket if owner and gate let it; a gate that is not needed any more goes. */
  flow(): void {
    if (this.#closedUnheard && this.gate?.silent === false) {
      this.closed()
      return
    }
    if (this.deaf || (this.#reading && !this.gate?.deaf)) this.socket.resume()
    else this.socket.pause()
    if (this.gate?.idle) this.gate = undefined
  }

  received(chunk: Buffer): void {
    if (this.deaf) return
    const reader = this.#reader
    reader.push(chunk)
    while (!this.deaf && this.#more()) {
      const frame = this.#decode()
      if (frame !== undefined) this.owner.onFrame(frame)
    }
  }

  #more(): boolean {
    try {
      return this.#reader.next()
    } catch (error) {
      this.#garbage(error)
      return false
    }
  }

  #decode(): Frame | undefined {
    const reader = this.#reader
    try {
      return decodeFrame(reader.buffer, reader.start, reader.end)
    } catch (error) {
      if (!(error instanceof RingsetError)) throw error
      if (error.code === 'BAD_FRAME') this.#garbage(error)
      else this.owner.onRefused(error)
      return undefined
    }
  }

  #garbage(error: unknown): void {
    if (!(error instanceof RingsetError)) throw error
    this.deaf = true
    this.owner.onGarbage(error)
  }
}

const streamOf = Symbol('stream')
type OwnedSocket = Socket & { [streamOf]: PacketStream }

// One function each for all sockets: a closure per connection costs memory.
function onData(this: Socket, chunk: Buffer): void {
  const stream = (this as OwnedSocket)[streamOf]
  if (stream.gate === undefined) stream.received(chunk)
  else stream.gate.received(chunk)
}

function onDrain(this: Socket): void {
  ;(this as OwnedSocket)[streamOf].drained()
}

/** 'close' follows and tells the owner. */
function onError(): void {}

function onClose(this: Socket): void {
  ;(this as OwnedSocket)[streamOf].closed()
}
