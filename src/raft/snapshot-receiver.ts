import { crc32 } from '../base/crc32.ts'
import { RingsetError } from '../base/errors.ts'
import type { Log } from '../base/ports.ts'
import { streamsPerTerm } from './snapshot-sender.ts'
import type { GroupStore } from './store.ts'
import type { HardState, RaftMessage, ReplicaId, SnapshotMeta } from './types.ts'

interface ReceiverPorts {
  readonly id: ReplicaId
  readonly store: GroupStore
  readonly log: Log
  hardState(): HardState
  /** False when the log holds everything up to the snapshot: entries behind it, acknowledged already, would be lost. */
  needed(meta: SnapshotMeta): boolean
  send(message: RaftMessage): void
  wake(): void
  onInstalled(meta: SnapshotMeta): void
}

type Chunk = RaftMessage & { type: 'snapshot' }

/** Receives one snapshot at a time beside the live state and switches to it when it is whole. */
export class SnapshotReceiver {
  readonly #ports: ReceiverPorts
  #snapshotId = -1
  #nextChunk = 0
  #crc = 0
  #crcKnown = false
  /** The switch has been handed to the disk and is not durable yet. */
  finishing = false

  constructor(ports: ReceiverPorts) {
    this.#ports = ports
  }

  onChunk(message: Chunk, commit: number): void {
    if (this.finishing) return
    if (message.meta.index <= commit) {
      this.#answer(message, message.chunk + 1, true, commit)
      return
    }
    if (this.#isOlder(message)) return
    if (message.snapshotId !== this.#snapshotId) this.#begin(message)
    if (message.chunk === this.#nextChunk) this.#store(message)
    // All chunks outlived a crash and only the switch did not.
    else if (message.last && message.chunk === this.#nextChunk - 1) this.#finish(message)
    else this.#answer(message, this.#nextChunk, false, 0)
  }

  /** A late chunk of a stream that was given up must not end the one that took its place. */
  #isOlder({ snapshotId }: Chunk): boolean {
    const ahead = this.#snapshotId - snapshotId
    return ahead > 0 && ahead < streamsPerTerm / 2
  }

  #begin(message: Chunk): void {
    this.#nextChunk = this.#ports.store.beginInstall(message.meta, message.snapshotId)
    this.#snapshotId = message.snapshotId
    this.#crc = 0
    // Resuming after a restart the earlier chunks' running sum is unknown; their own checks hold them.
    this.#crcKnown = this.#nextChunk === 0
    this.#ports.log.info('snapshot_receive_started', {
      from: message.from,
      index: message.meta.index,
      held: this.#nextChunk
    })
  }

  #store(message: Chunk): void {
    const crc = crc32(message.data, this.#crc)
    const sound = !this.#crcKnown || crc === message.crc
    try {
      if (!sound) throw new RingsetError('DATA_DAMAGED', 'a snapshot chunk fails its checksum')
      this.#ports.store.installChunk(message.chunk, message.data, () => this.#stored(message))
    } catch (error) {
      // Without an answer the sender repeats the chunk, and gives up in the end.
      this.#ports.log.warn('snapshot_chunk_refused', { from: message.from, error: String(error) })
      return
    }
    this.#crc = message.crc
    this.#crcKnown = true
    this.#nextChunk += 1
    if (message.last) this.#finish(message)
  }

  /** Only now, so that no more than a chunk ever waits for the disk. */
  #stored(message: Chunk): void {
    if (message.last || message.snapshotId !== this.#snapshotId) return
    this.#answer(message, message.chunk + 1, false, 0)
    this.#ports.wake()
  }

  #finish(message: Chunk): void {
    if (!this.#ports.needed(message.meta)) {
      this.#snapshotId = -1
      this.#answer(message, message.chunk + 1, true, message.meta.index)
      return
    }
    this.finishing = true
    const hardState = { ...this.#ports.hardState(), commit: message.meta.index }
    this.#ports.store.finishInstall(hardState, () => {
      this.finishing = false
      this.#snapshotId = -1
      this.#ports.log.info('snapshot_installed', { index: message.meta.index })
      this.#ports.onInstalled(message.meta)
      this.#answer(message, message.chunk + 1, true, message.meta.index)
      this.#ports.wake()
    })
  }

  #answer(message: Chunk, nextChunk: number, installed: boolean, index: number): void {
    this.#ports.send({
      type: 'snapshotAnswer',
      from: this.#ports.id,
      to: message.from,
      term: message.term,
      snapshotId: message.snapshotId,
      nextChunk,
      installed,
      index
    })
  }
}
