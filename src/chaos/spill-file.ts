import { randomUUID } from 'node:crypto'
import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where bytes are in a spill file. */
export interface Span {
  readonly at: number
  readonly bytes: number
}

/**
 * Bytes put aside in the folder for temporary files, in a file that has lost its name as soon as it is open: nothing stays behind when it
 * is closed or its process ends, in whatever way.
 */
export class SpillFile {
  readonly #descriptor: number
  #end = 0
  #closed = false

  private constructor(descriptor: number) {
    this.#descriptor = descriptor
  }

  /** Undefined where no file can be made. */
  static open(folder = tmpdir()): SpillFile | undefined {
    const path = join(folder, `ringset-${randomUUID()}`)
    try {
      const descriptor = openSync(path, 'wx+', 0o600)
      unlinkSync(path)
      return new SpillFile(descriptor)
    } catch {
      return undefined
    }
  }

  /** Undefined when they are not there whole, as on a full disk: the caller has to keep them. */
  append(bytes: Uint8Array): Span | undefined {
    if (this.#closed) return undefined
    const span = { at: this.#end, bytes: bytes.length }
    try {
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, span.at + done)
      }
    } catch {
      return undefined
    }
    this.#end += bytes.length
    return span
  }

  /** @throws an error of the file system, also for what is not there. */
  read({ at, bytes }: Span): Buffer {
    if (this.#closed) throw new Error('the spill file is closed')
    const found = Buffer.allocUnsafe(bytes)
    for (let done = 0; done < bytes; ) {
      const count = readSync(this.#descriptor, found, done, bytes - done, at + done)
      if (count === 0) throw new Error('the spill file is too short')
      done += count
    }
    return found
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    closeSync(this.#descriptor)
  }
}
