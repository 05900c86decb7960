/** A rest is so many times as long as the piece of work before it: where processors are busy pieces take longer, and come less often. */
const restTimes = 3
const restMaxMs = 1_000
/** Whoever has begun a piece and is not heard of again keeps nobody else from work for longer. */
const pieceMaxMs = 1_000

/**
 * Work that nobody waits for, copying slots that are still served and deleting what slots left behind: one piece at a time, with rests in
 * between, so that the users of the other slots hardly notice.
 */
export class QuietWork {
  #worker: object | undefined
  #beganMs = 0
  #untilMs = Number.NEGATIVE_INFINITY

  /** Whether a piece may be begun now; one's own may be begun anew at any time. */
  begin(worker: object, nowMs: number): boolean {
    if (nowMs < this.#untilMs && this.#worker !== worker) return false
    this.#worker = worker
    this.#beganMs = nowMs
    this.#untilMs = nowMs + pieceMaxMs
    return true
  }

  /** The piece is done, or came to nothing. */
  end(worker: object, nowMs: number): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    this.#untilMs = nowMs + Math.min((nowMs - this.#beganMs) * restTimes, restMaxMs)
  }
}
