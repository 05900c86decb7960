import { statfs } from 'node:fs/promises'
import type { Log, Metrics } from '../base/ports.ts'

export interface DiskGuardOptions {
  readonly directory: string
  /** Below so much free space the disk counts as nearly full; 0: never. */
  readonly reserveBytes: number
  readonly log: Log
  readonly metrics: Metrics
  nowMs(): number
  /** @returns the groups whose leadership is on its way to a replica whose disk has room. */
  handOver(): readonly string[]
  /** Bytes that may still be written into the directory. */
  freeBytes?(directory: string): Promise<number>
}

const checkMs = 1_000
/** No other hand-over for this long: one that does not come off holds up the group each time. */
const restMs = 10_000
/** So much of the reserve has to be free on top of it before the disk counts as roomy again. */
const marginShare = 0.1

/**
 * Watches the free space of the data folder. A full disk stops the process in the middle of its work; before that its routers take
 * no more messages and its leaders hand over, while everything goes on that frees space or takes little.
 */
export class DiskGuard {
  readonly #options: DiskGuardOptions
  readonly #freeBytes: (directory: string) => Promise<number>
  #low = false
  #checking = false
  #timer: NodeJS.Timeout | undefined
  #restUntilMs = Number.NEGATIVE_INFINITY

  constructor(options: DiskGuardOptions) {
    this.#options = options
    this.#freeBytes = options.freeBytes ?? freeBytesOf
  }

  /** The disk is nearly full. */
  get low(): boolean {
    return this.#low
  }

  start(): void {
    if (this.#options.reserveBytes === 0) return
    this.#timer = setInterval(() => void this.check(), checkMs).unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** One look at a time: a disk that does not answer is asked no further. */
  async check(): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    try {
      this.#judge(await this.#freeBytes(this.#options.directory))
    } catch (error) {
      this.#options.log.warn('disk_space_unknown', { error })
    } finally {
      this.#checking = false
    }
  }

  #judge(freeBytes: number): void {
    const { reserveBytes, log, metrics, nowMs, handOver } = this.#options
    metrics.gauge('disk_free_bytes', freeBytes)
    const low = freeBytes < reserveBytes + (this.#low ? reserveBytes * marginShare : 0)
    if (low !== this.#low) {
      this.#low = low
      if (low) log.error('disk_nearly_full', { freeBytes, reserveBytes })
      else log.info('disk_has_room', { freeBytes })
    }
    if (!low || nowMs() < this.#restUntilMs) return
    const groups = handOver()
    if (groups.length === 0) return
    this.#restUntilMs = nowMs() + restMs
    log.warn('leaders_leave_full_disk', { groups })
  }
}

async function freeBytesOf(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize
}
