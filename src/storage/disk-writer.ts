import { crc32 } from 'node:zlib'
import { RingsetError } from '../base/errors.ts'
import type { Log, Metrics } from '../base/ports.ts'
import type { DiskFaults } from './disk-faults.ts'
import { superKey } from './keys.ts'
import type { MetaFile } from './meta-file.ts'
import { encodeSuper } from './state-codec.ts'
import type { Sweeper } from './sweeper.ts'
import { type Level, WriteBatch } from './write-batch.ts'

/** Whoever has something to write: one group, or the database itself. */
export interface BatchSource {
  /** Adds everything queued so far. */
  stage(batch: WriteBatch): void
  /** What the last `stage` added is in the database. */
  wrote(): void
  /** CRC-32 of the state as staged; the database's digest is the XOR over all sources. */
  digest(): number
}

export interface DiskWriterParts {
  readonly level: Level
  readonly meta: MetaFile
  readonly sweeper: Sweeper
  readonly log: Log
  readonly metrics: Metrics
  /** Super records are kept for this many bytes of batches, which must be more than the write-ahead log can hold. */
  readonly superWindowBytes: number
  /** Only where the disk may be disturbed on purpose. */
  readonly faults?: DiskFaults | undefined
  fail(error: RingsetError): void
}

const floorSteps = 8

/**
 * The one writer of a process. At most one batch is under way; whatever is queued meanwhile, by whichever group, is the next one
 * (double buffering, Ongaro's dissertation §10.2). Every batch carries a super record, so that a batch missing from the middle or
 * from the end of the write-ahead log shows at the next opening.
 */
export class DiskWriter {
  readonly #parts: DiskWriterParts
  #sequence: number
  #floor: number
  #sweptTo: number
  #chain = 0
  #digest = 0
  #digests = new Map<BatchSource, number>()
  #queued = new Set<BatchSource>()
  #written = new Set<BatchSource>()
  #callbacks: (() => void)[] = []
  #served: (() => void)[] = []
  #sync = false
  #busy = false
  #scheduled = false
  #failed = false
  #idle: (() => void)[] = []
  #floorMarks: number[] = []
  #bytesSinceMark = 0
  #durableSequence = 0

  /** @param sequence batches count on from it; super records up to it are of no use any more. */
  constructor(parts: DiskWriterParts, sequence: number) {
    this.#parts = parts
    this.#sequence = sequence
    this.#floor = sequence + 1
    this.#sweptTo = sequence + 1
  }

  /** Every batch up to this one is on the disk. */
  get durableSequence(): number {
    return this.#durableSequence
  }

  /** Counts a source in of which nothing needs writing. */
  adopt(source: BatchSource): void {
    const digest = source.digest()
    this.#digests.set(source, digest)
    this.#digest ^= digest
  }

  /** Queues what `source` has to write. `done` runs in a later turn, in the order of the calls; never after a failure. */
  enqueue(source: BatchSource, sync: boolean, done: () => void): void {
    this.#queued.add(source)
    this.#callbacks.push(done)
    if (sync) this.#sync = true
    this.#schedule()
  }

  /** Queues without waiting for it; joins the next batch. */
  touch(source: BatchSource): void {
    this.#queued.add(source)
    this.#schedule()
  }

  /** Resolves when nothing is queued or under way. */
  settled(): Promise<void> {
    if (this.#failed || (!this.#busy && this.#queued.size === 0)) return Promise.resolve()
    return new Promise(resolve => this.#idle.push(resolve))
  }

  /** Stops for good: nothing is written and no callback runs any more. */
  halt(): void {
    this.#failed = true
    for (const resolve of this.#idle.splice(0)) resolve()
  }

  /** The batch starts once the code that runs now has queued all it has. */
  #schedule(): void {
    if (this.#busy || this.#scheduled || this.#failed) return
    this.#scheduled = true
    queueMicrotask(this.#submit)
  }

  #submit = (): void => {
    this.#scheduled = false
    if (this.#failed) return
    this.#busy = true
    const sources = this.#queued
    this.#queued = this.#written
    this.#written = sources
    const callbacks = this.#callbacks
    this.#callbacks = this.#served
    this.#served = callbacks
    const sync = this.#sync
    this.#sync = false

    const batch = new WriteBatch(this.#parts.level)
    for (const source of sources) {
      source.stage(batch)
      const digest = source.digest()
      this.#digest ^= (this.#digests.get(source) ?? 0) ^ digest
      this.#digests.set(source, digest)
    }
    this.#stageSuper(batch)
    if (batch.metaFirst) this.#parts.meta.write(() => this.#write(batch, sync))
    else this.#write(batch, sync)
  }

  #stageSuper(batch: WriteBatch): void {
    this.#sequence++
    this.#bytesSinceMark += batch.sizeBytes
    if (this.#bytesSinceMark * floorSteps > this.#parts.superWindowBytes) {
      this.#bytesSinceMark = 0
      this.#floorMarks.push(this.#sequence)
      if (this.#floorMarks.length > floorSteps + 1) this.#raiseFloor(this.#floorMarks.shift()!)
    }
    const key = superKey(this.#sequence)
    const value = sealSuper(key, this.#floor, this.#digest, this.#chain)
    this.#chain = value.readUInt32BE(value.length - 4)
    batch.put(key, value)
  }

  /** Sweeps up to the floor before: the batch that carries the new one is not written yet. */
  #raiseFloor(floor: number): void {
    this.#parts.sweeper.add({ gte: superKey(this.#sweptTo), lt: superKey(this.#floor) })
    this.#sweptTo = this.#floor
    this.#floor = floor
  }

  #write(batch: WriteBatch, sync: boolean): void {
    if (this.#failed) return
    const sequence = this.#sequence
    const startMs = performance.now()
    const { faults } = this.#parts
    const written = faults === undefined ? batch.write(sync) : faults.write(batch, sync)
    written.then(
      () => this.#wrote(sequence, sync, batch, performance.now() - startMs),
      error => this.#fail(error)
    )
  }

  #wrote(sequence: number, sync: boolean, batch: WriteBatch, tookMs: number): void {
    if (this.#failed) return
    const { metrics } = this.#parts
    metrics.count(sync ? 'storage_synced_batches_total' : 'storage_unsynced_batches_total')
    metrics.count('storage_written_bytes_total', batch.sizeBytes)
    metrics.observe('storage_batch_operations', batch.operations)
    metrics.observe('storage_batch_ms', tookMs)
    if (sync) this.#durableSequence = sequence
    for (const source of this.#written) source.wrote()
    this.#written.clear()
    this.#busy = false
    for (const done of this.#served) {
      done()
      if (this.#failed) return
    }
    this.#served.length = 0
    if (this.#queued.size > 0) this.#schedule()
    else if (!this.#busy) for (const resolve of this.#idle.splice(0)) resolve()
  }

  #fail(error: Error): void {
    if (this.#failed) return
    this.halt()
    this.#parts.fail(diskFailed(error))
  }
}

/** A super record as stored: see `encodeSuper`; its checksum is the next one's `chainBefore`. */
function sealSuper(key: Buffer, floor: number, digest: number, chain: number): Buffer {
  const body = encodeSuper(floor, digest >>> 0, chain)
  const value = Buffer.allocUnsafe(body.length + 4)
  value.set(body)
  value.writeUInt32BE(crc32(body, crc32(key)), body.length)
  return value
}

/** What a failed write means. Of LevelDB's own corruption nothing is known but that its files cannot be used any more. */
export function diskFailed(error: Error): RingsetError {
  const cause = error.cause as Error | undefined
  const text = `${error.message} ${cause?.message ?? ''}`.trim()
  if ((error as NodeJS.ErrnoException).code === 'LEVEL_CORRUPTION') {
    return new RingsetError('DATA_DAMAGED', 'the database is damaged', { detail: text }, error)
  }
  const full = /ENOSPC|no space left/i.test(text)
  return new RingsetError(
    'DISK_FAILED',
    full ? 'the disk of the data folder is full' : 'a write to the data folder failed',
    { full, detail: text },
    error
  )
}
