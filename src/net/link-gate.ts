import { DelayLine, type FaultPorts, freeLine, type LinePlan } from './delay-line.ts'
import type { PacketStream } from './packet-stream.ts'

/** Stands between a stream and its socket while their link is disturbed. */
export class LinkGate {
  readonly #stream: PacketStream
  readonly #out: DelayLine
  readonly #in: DelayLine
  #heardBytes: number | undefined
  #changing = false

  constructor(stream: PacketStream, ports: FaultPorts) {
    this.#stream = stream
    const { socket } = stream
    const onReset = (): void => {
      socket.resetAndDestroy()
    }
    this.#out = new DelayLine(ports, {
      deliver: bytes => {
        if (bytes === undefined) socket.end()
        else if (socket.writable) socket.write(bytes)
      },
      onRoom: () => stream.drained(),
      onReset
    })
    this.#in = new DelayLine(ports, {
      deliver: bytes => stream.received(bytes!),
      onRoom: () => stream.flow(),
      onReset
    })
  }

  /** Nothing is done and nothing is on its way: the stream can do without. */
  get idle(): boolean {
    return !this.#changing && this.#out.idle && this.#in.idle
  }

  /** Nothing more may be written; the stream is told when it may. */
  get full(): boolean {
    return this.#out.full
  }

  /** Nothing more may be read; the stream is told when it may. */
  get deaf(): boolean {
    return this.#in.full
  }

  /** Nothing is heard of the other end, not even that it is gone. */
  get silent(): boolean {
    return this.#in.plan.cut
  }

  /** Written, and not in the socket yet. */
  get pendingBytes(): number {
    return this.#out.bytes
  }

  /** Bytes that came from the other end before it fell silent; undefined while it is heard. */
  get heardBytes(): number | undefined {
    return this.#heardBytes
  }

  disturb(out: LinePlan, into: LinePlan): void {
    const { socket } = this.#stream
    this.#changing = true
    if (into.cut !== this.silent) this.#heardBytes = into.cut ? socket.bytesRead : undefined
    this.#out.plan = out
    this.#in.plan = into
    this.#changing = false
    this.#stream.flow()
  }

  /** @param bytes are copied. */
  write(bytes: Buffer): void {
    this.#out.push(Buffer.from(bytes))
    if (this.idle) this.#stream.flow()
  }

  end(): void {
    this.#out.push(undefined)
  }

  /** @param chunk is copied when it has to wait. */
  received(chunk: Buffer): void {
    if (this.#in.idle) {
      this.#stream.received(chunk)
      return
    }
    this.#in.push(Buffer.from(chunk))
    if (this.#in.full) this.#stream.flow()
  }

  stop(): void {
    this.#out.stop()
    this.#in.stop()
  }

  /** Heals both directions; what is on its way still comes in order. */
  heal(): void {
    this.disturb(freeLine, freeLine)
  }
}
