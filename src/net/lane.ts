import type { ByteWriter } from '../base/bytes.ts'

/** Where frames are written into, and what becomes of the space once the socket has the bytes. */
export interface WriterPool {
  /** @param busy a lot is likely to be written: do not begin small. */
  takeWriter(busy: boolean): ByteWriter
}

/**
 * So much is written without waiting for the end of the turn, and in one go: larger writes would not make fewer system calls worth
 * having.
 */
export const pieceBytes = 64 * 1024

/** Whole frames that wait for their socket, in order, in pieces of about 64 KiB or one frame. */
export class Lane {
  readonly #pieces: ByteWriter[] = []
  /** Of all pieces but the last, which may still grow. */
  #closedBytes = 0

  get bytes(): number {
    return this.#closedBytes + (this.#pieces.at(-1)?.length ?? 0)
  }

  /** The writer for the next frame. */
  open(pool: WriterPool, busy: boolean): ByteWriter {
    const last = this.#pieces.at(-1)
    if (last !== undefined && last.length < pieceBytes) return last
    this.#closedBytes += last?.length ?? 0
    const piece = pool.takeWriter(busy)
    this.#pieces.push(piece)
    return piece
  }

  /** The oldest piece. */
  take(): ByteWriter | undefined {
    const piece = this.#pieces.shift()
    if (piece !== undefined && this.#pieces.length > 0) this.#closedBytes -= piece.length
    return piece
  }
}

/** What a stream holds back while its socket takes no more. */
export class HeldFrames {
  readonly urgent = new Lane()
  readonly bulk = new Lane()
}
