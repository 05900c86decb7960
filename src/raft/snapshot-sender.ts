import { crc32 } from '../base/crc32.ts'
import type { Log } from '../base/ports.ts'
import { CatchUps } from './catch-up.ts'
import type { GroupStore, SnapshotSource } from './store.ts'
import type { RaftMessage, ReplicaId } from './types.ts'

interface SenderPorts {
  readonly id: ReplicaId
  readonly store: GroupStore
  readonly log: Log
  readonly chunkBytes: number
  term(): number
  /** The index up to which a follower is known to hold the log. */
  match(peer: ReplicaId): number
  send(message: RaftMessage): void
  wake(): void
  onEnd(peer: ReplicaId, ok: boolean, index: number): void
}

export const defaultChunkBytes = 128 * 1024
/** Streams are counted upwards, round and round in a term. */
export const streamsPerTerm = 0x10_0000
/** Ticks without an answer before the chunk in flight is sent again, and before the stream is given up. */
const resendTicks = 30
const giveUpTicks = 500
/** How many answers to one chunk may name an earlier one, as answers do that come late, before they are believed. */
const doubtsMax = 6

interface Stream {
  readonly source: SnapshotSource
  readonly snapshotId: number
  chunk: number
  crc: number
  /** The chunk in flight, kept until it is acknowledged; undefined while the source reads. */
  data: Buffer | undefined
  last: boolean
  /** How often the chunk in flight was sent again because an answer named an earlier one. */
  doubts: number
  ticksSinceSend: number
  ticksSinceAnswer: number
}

/** Streams snapshots to followers that are behind the log: one chunk in flight each, resent when unanswered, resumed by chunk number. */
export class SnapshotSender {
  readonly #ports: SenderPorts
  readonly #streams = new Map<ReplicaId, Stream>()
  readonly #catchUps: CatchUps
  #lastId = 0

  constructor(ports: SenderPorts) {
    this.#ports = ports
    this.#catchUps = new CatchUps(ports.match)
  }

  /** The log is needed from this index on by those that get a snapshot or have installed one of late; Infinity when nobody does. */
  logNeededFrom(): number {
    let lowest = this.#catchUps.neededFrom()
    for (const { source } of this.#streams.values()) lowest = Math.min(lowest, source.meta.index)
    return lowest
  }

  start(peer: ReplicaId): void {
    if (this.#streams.has(peer)) return
    const source = this.#ports.store.openSnapshot()
    // Unique per leader and term: a follower must never splice chunks of two frozen views.
    this.#lastId = (this.#lastId + 1) % streamsPerTerm
    const snapshotId = this.#ports.term() * streamsPerTerm + this.#lastId
    const stream: Stream = {
      source,
      snapshotId,
      chunk: -1,
      crc: 0,
      data: undefined,
      last: false,
      doubts: 0,
      ticksSinceSend: 0,
      ticksSinceAnswer: 0
    }
    this.#streams.set(peer, stream)
    this.#catchUps.end(peer)
    this.#ports.log.info('snapshot_send_started', { peer, index: source.meta.index })
    this.#next(peer, stream)
  }

  #next(peer: ReplicaId, stream: Stream): void {
    stream.data = undefined
    stream.source.next(this.#ports.chunkBytes, ({ data, last }) => {
      if (this.#streams.get(peer) !== stream) return
      stream.chunk += 1
      stream.crc = crc32(data, stream.crc)
      stream.data = data
      stream.last = last
      stream.doubts = 0
      this.#sendChunk(peer, stream)
      this.#ports.wake()
    })
  }

  #sendChunk(peer: ReplicaId, stream: Stream): void {
    stream.ticksSinceSend = 0
    this.#ports.send({
      type: 'snapshot',
      from: this.#ports.id,
      to: peer,
      term: this.#ports.term(),
      meta: stream.source.meta,
      snapshotId: stream.snapshotId,
      chunk: stream.chunk,
      last: stream.last,
      crc: stream.crc,
      data: stream.data!
    })
  }

  onAnswer(message: RaftMessage & { type: 'snapshotAnswer' }): void {
    const stream = this.#streams.get(message.from)
    if (stream === undefined || stream.snapshotId !== message.snapshotId) return
    stream.ticksSinceAnswer = 0
    if (message.installed) this.#end(message.from, stream, true, message.index)
    else if (stream.data === undefined) return
    else if (message.nextChunk === stream.chunk + 1 && !stream.last)
      this.#next(message.from, stream)
    else if (message.nextChunk >= stream.chunk) return
    else if (stream.doubts === doubtsMax) {
      // The follower lost chunks that a frozen view cannot give twice: start over with a new view.
      this.#end(message.from, stream, false, 0)
    } else {
      // Or the answer is an earlier one that came late.
      stream.doubts++
      this.#sendChunk(message.from, stream)
    }
  }

  tick(): void {
    this.#catchUps.tick()
    for (const [peer, stream] of this.#streams) {
      stream.ticksSinceSend += 1
      stream.ticksSinceAnswer += 1
      if (stream.ticksSinceAnswer > giveUpTicks) this.#end(peer, stream, false, 0)
      else if (stream.data !== undefined && stream.ticksSinceSend >= resendTicks) {
        this.#sendChunk(peer, stream)
      }
    }
  }

  stopAll(): void {
    for (const [, stream] of this.#streams) stream.source.close()
    this.#streams.clear()
    this.#catchUps.clear()
  }

  #end(peer: ReplicaId, stream: Stream, ok: boolean, index: number): void {
    stream.source.close()
    this.#streams.delete(peer)
    if (ok) this.#catchUps.begin(peer, stream.source.meta.index, this.#ports.store.lastIndex())
    this.#ports.log.info('snapshot_send_ended', { peer, ok, index, chunks: stream.chunk + 1 })
    this.#ports.onEnd(peer, ok, index)
    this.#ports.wake()
  }
}
