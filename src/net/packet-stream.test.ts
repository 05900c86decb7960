import type { Socket } from 'node:net'
import { Duplex } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { FakeTableKeeper } from '../../test/support/fake-table-keeper.ts'
import { frameOf } from '../../test/support/raw-peer.ts'
import { decodeFrame, FrameReader } from '../protocol/frame.ts'
import { type Packet, packet, priorities } from '../protocol/packet.ts'
import { PacketStream, WriteTurn } from './packet-stream.ts'

const view = new FakeTableKeeper().view()
const frameLimit = 1 << 24
const owner = { onFrame() {}, onRefused() {}, onGarbage() {}, onClosed() {} }

/** Takes the bytes of a write only when told to, and reads the frames in them. */
class SlowSocket extends Duplex {
  readonly #reader = new FrameReader(frameLimit)
  #take: (() => void) | undefined
  /** Every write is taken at once. */
  free = false
  taken: string[] = []

  override _read(): void {}

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error) => void): void {
    this.#offer(Buffer.concat(chunks.map(({ chunk }) => chunk)), done)
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.#offer(chunk, done)
  }

  #offer(bytes: Buffer, done: () => void): void {
    // A write shows what it was handed at that moment, and keeps no view of it.
    this.#reader.push(Buffer.from(bytes))
    this.#take = () => {
      this.#take = undefined
      this.#read()
      done()
    }
    if (this.free) this.#take()
  }

  #read(): void {
    const reader = this.#reader
    while (reader.next()) {
      const { packet: got } = decodeFrame(reader.buffer, reader.start, reader.end)
      this.taken.push(`${got.priority === priorities.urgent ? 'u' : 'b'}${got.sequence}`)
    }
  }

  /** What is on its way is taken; false when nothing was. Returns once the stream has heard of it. */
  async takes(): Promise<boolean> {
    if (this.#take === undefined) return false
    this.#take()
    await new Promise(resolve => setImmediate(resolve))
    return true
  }
}

class Desk {
  readonly socket = new SlowSocket({ writableHighWaterMark: 16 * 1024 })
  readonly turn = new WriteTurn()
  readonly stream = new PacketStream(this.socket as unknown as Socket, owner, this.turn, frameLimit)
  #bulk = 0
  #urgent = 0

  #send(sent: Packet): void {
    expect(this.stream.send(sent, 0, 0, view, undefined, frameLimit)).toBe(true)
  }

  bulk(count: number, bytes = 32 * 1024): void {
    for (let i = 0; i < count; i++) {
      const data = Buffer.alloc(bytes)
      this.#send(packet('RAFT', { data }, { sequence: ++this.#bulk }))
    }
  }

  urgent(): void {
    const header = { sequence: ++this.#urgent, priority: priorities.urgent }
    this.#send(packet('RAFT', { data: Buffer.alloc(20) }, header))
  }

  /** What has arrived since the last look. */
  taken(): string[] {
    const { taken } = this.socket
    this.socket.taken = []
    return taken
  }

  async takeAll(): Promise<string[]> {
    while (await this.socket.takes());
    return this.taken()
  }
}

const bulks = (from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => `b${from + i}`)

describe('frames on a socket that takes what is written', () => {
  it('leave in the order of sending, urgent or not', () => {
    const desk = new Desk()
    desk.socket.free = true
    desk.bulk(3)
    desk.urgent()
    desk.bulk(1)
    desk.urgent()
    desk.turn.flush()
    expect(desk.taken()).toEqual(['b1', 'b2', 'b3', 'u1', 'b4', 'u2'])
    expect(desk.stream.backlogBytes).toBe(0)
  })
})

describe('frames on a socket that does not', () => {
  it('that are urgent wait for what is on its way, never for the queue', async () => {
    const desk = new Desk()
    desk.bulk(200)
    desk.turn.flush()
    desk.urgent()
    desk.urgent()
    expect(desk.taken()).toEqual([])
    await desk.socket.takes()
    expect(desk.taken()).toEqual(['b1', 'b2'])
    await desk.socket.takes()
    expect(desk.taken().slice(0, 2)).toEqual(['u1', 'u2'])
  })

  it('keep their order among their own kind, and all arrive', async () => {
    const desk = new Desk()
    const arrived: string[] = []
    for (let round = 0; round < 20; round++) {
      desk.bulk(3)
      desk.urgent()
      await desk.socket.takes()
      arrived.push(...desk.taken())
    }
    arrived.push(...(await desk.takeAll()))
    expect(arrived.filter(name => name.startsWith('b'))).toEqual(bulks(1, 60))
    expect(arrived.filter(name => name.startsWith('u'))).toEqual(
      Array.from({ length: 20 }, (_, i) => `u${i + 1}`)
    )
    expect(desk.stream.backlogBytes).toBe(0)
    desk.socket.free = true
    desk.bulk(1)
    desk.urgent()
    desk.turn.flush()
    expect(desk.taken()).toEqual(['b61', 'u21'])
  })

  it('that are not urgent go on however much is', async () => {
    const desk = new Desk()
    desk.bulk(20)
    desk.turn.flush()
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 400; i++) desk.urgent()
      await desk.socket.takes()
    }
    expect(desk.taken().filter(name => name.startsWith('b'))).toEqual(bulks(1, 20))
  })

  it('count in the backlog in whatever lane they are', async () => {
    const desk = new Desk()
    desk.bulk(10, 100_000)
    desk.turn.flush()
    const bulkBytes = desk.stream.backlogBytes
    expect(bulkBytes).toBeGreaterThan(1_000_000)
    expect(desk.stream.urgentBytes).toBe(0)
    desk.urgent()
    const { urgentBytes } = desk.stream
    expect(urgentBytes).toBeGreaterThan(20)
    expect(desk.stream.backlogBytes).toBe(bulkBytes + urgentBytes)
    await desk.takeAll()
    expect(desk.stream.backlogBytes + desk.stream.urgentBytes).toBe(0)
  })

  it('are all handed over when the stream is finished', async () => {
    const desk = new Desk()
    desk.bulk(10)
    desk.turn.flush()
    desk.urgent()
    desk.bulk(1)
    desk.stream.finish()
    const arrived = await desk.takeAll()
    expect(arrived).toEqual(['b1', 'b2', 'u1', ...bulks(3, 11)])
    expect(desk.socket.writableFinished).toBe(true)
  })

  it('that are whole frames already keep their place among those that are not urgent', async () => {
    const desk = new Desk()
    desk.bulk(4)
    desk.turn.flush()
    const whole = frameOf(packet('LINK_PING', {}, { sequence: 77 }))
    expect(desk.stream.sendEncoded(whole)).toBe(true)
    desk.bulk(1)
    expect(await desk.takeAll()).toEqual([...bulks(1, 4), 'b77', 'b5'])
  })
})
