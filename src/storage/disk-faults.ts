import type { Random } from '../base/ports.ts'
import type { WriteBatch } from './write-batch.ts'

/** What is wrong with the disk. */
export interface DiskFault {
  /** Every batch takes so much longer. */
  readonly delayMs: number
  /** And up to so much more, evenly. */
  readonly jitterMs: number
  /** Of the next batch: `full`, nothing of it is written · `sync`, it is written, and whether durably nobody knows. */
  readonly failure: 'none' | 'full' | 'sync'
}

const soundDisk: DiskFault = { delayMs: 0, jitterMs: 0, failure: 'none' }

/** Stands between the writer of a database and LevelDB in a process whose disk may be disturbed on purpose; no other process has one. */
export class DiskFaults {
  readonly #random: Pick<Random, 'float'>
  readonly #waiting = new Set<() => void>()
  #fault = soundDisk

  constructor(random: Pick<Random, 'float'>) {
    this.#random = random
  }

  /** @param fault undefined: the disk is as it is; batches that wait go on at once. */
  set(fault: DiskFault = soundDisk): void {
    const { delayMs, jitterMs, failure } = this.#fault
    const same =
      fault.delayMs === delayMs && fault.jitterMs === jitterMs && fault.failure === failure
    if (same) return
    this.#fault = fault
    for (const proceed of this.#waiting) proceed()
  }

  /** Writes a batch as such a disk would. */
  async write(batch: WriteBatch, sync: boolean): Promise<void> {
    const { delayMs, jitterMs } = this.#fault
    if (delayMs > 0 || jitterMs > 0) await this.#delay(delayMs + jitterMs * this.#random.float())
    const { failure } = this.#fault
    if (failure === 'full') {
      await batch.drop()
      throw ioError('No space left on device')
    }
    await batch.write(sync && failure === 'none')
    if (failure === 'sync') throw ioError('Input/output error')
  }

  /** Ends early when something else is wrong from then on. */
  #delay(ms: number): Promise<void> {
    return new Promise(resolve => {
      const proceed = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(proceed)
        resolve()
      }
      const timer = setTimeout(proceed, ms)
      this.#waiting.add(proceed)
    })
  }
}

/** In the words of LevelDB. */
function ioError(reason: string): Error {
  const error = new Error(`IO error: write-ahead log: ${reason}`)
  return Object.assign(error, { code: 'LEVEL_IO_ERROR' })
}
