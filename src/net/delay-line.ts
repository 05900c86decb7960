/** What a disturbed link does to the bytes of one direction. */
export interface LinePlan {
  /** Nothing passes: what is on its way waits until it does again. */
  readonly cut: boolean
  readonly delayMs: number
  /** Up to so much more, evenly; the order stays. */
  readonly jitterMs: number
  /** Share of the segments that are lost once, and of those again. */
  readonly lossShare: number
  /** 0 = as fast as it goes. */
  readonly bytesPerSecond: number
}

export const freeLine: LinePlan = {
  cut: false,
  delayMs: 0,
  jitterMs: 0,
  lossShare: 0,
  bytesPerSecond: 0
}

/** Time and chance for faults; the node's own, or a test's. */
export interface FaultPorts {
  nowMs(): number
  /** 0 to below 1. */
  random(): number
  /** Runs something once; returns what takes it back. */
  after(ms: number, run: () => void): () => void
}

const segmentBytes = 1_460
/** The least that TCP waits for before it sends again what was lost; twice that the next time. */
const resendMs = 200
const resendsMax = 6
/** Of the lost segments, so many end the connection. */
const resetShare = 0.01
/** What may be on its way at once, as in the buffers of a system. */
const windowBytes = 64 * 1024
const delayedWindowBytes = 1024 * 1024

interface LineOwner {
  /** In the order of `push`. @param bytes undefined: the end. */
  deliver(bytes: Buffer | undefined): void
  /** There is room again, after there was none. */
  onRoom(): void
  /** The connection breaks. */
  onReset(): void
}

/** Bytes of one direction of a connection on their way through a bad network. TCP stays what it is: late or broken, never out of order or with holes. */
export class DelayLine {
  readonly #ports: FaultPorts
  readonly #owner: LineOwner
  readonly #queue: { readonly dueMs: number; readonly bytes: Buffer | undefined }[] = []
  #plan = freeLine
  #freeAtMs = 0
  #lastDueMs = 0
  #cancel: (() => void) | undefined
  #full = false
  /** On their way. */
  bytes = 0

  constructor(ports: FaultPorts, owner: LineOwner) {
    this.#ports = ports
    this.#owner = owner
  }

  get plan(): LinePlan {
    return this.#plan
  }

  set plan(plan: LinePlan) {
    this.#plan = plan
    this.#run()
  }

  /** No more should be pushed until `onRoom`. */
  get full(): boolean {
    const { cut, bytesPerSecond } = this.#plan
    const full = cut || this.bytes >= (bytesPerSecond > 0 ? windowBytes : delayedWindowBytes)
    if (full) this.#full = true
    return full
  }

  /** Nothing is done and nothing is on its way. */
  get idle(): boolean {
    return this.#plan === freeLine && this.#queue.length === 0
  }

  /** @param bytes owned by the line from now on; undefined: the end. */
  push(bytes: Buffer | undefined): void {
    const nowMs = this.#ports.nowMs()
    const { bytesPerSecond, delayMs, jitterMs } = this.#plan
    const sizeBytes = bytes?.length ?? 0
    const startMs = Math.max(nowMs, this.#freeAtMs)
    this.#freeAtMs = bytesPerSecond > 0 ? startMs + (sizeBytes * 1_000) / bytesPerSecond : nowMs
    const lateMs = delayMs + jitterMs * this.#ports.random() + this.#resentMs(sizeBytes)
    this.#lastDueMs = Math.max(this.#lastDueMs, this.#freeAtMs + lateMs)
    this.#queue.push({ dueMs: this.#lastDueMs, bytes })
    this.bytes += sizeBytes
    this.#run()
  }

  /** Drops everything. */
  stop(): void {
    this.#cancel?.()
    this.#cancel = undefined
    this.#queue.length = 0
    this.bytes = 0
  }

  /** How much later the worst of the segments arrives because of losses. */
  #resentMs(sizeBytes: number): number {
    const { lossShare } = this.#plan
    if (lossShare === 0) return 0
    let worst = 0
    for (let sent = 0; sent < sizeBytes; sent += segmentBytes) {
      let times = 0
      while (times < resendsMax && this.#ports.random() < lossShare) times++
      if (times > 0 && this.#ports.random() < resetShare) this.#owner.onReset()
      worst = Math.max(worst, times)
    }
    return resendMs * (2 ** worst - 1)
  }

  #run(): void {
    this.#cancel?.()
    this.#cancel = undefined
    if (this.#plan.cut) return
    while (this.#queue.length > 0) {
      const { dueMs, bytes } = this.#queue[0]!
      const waitMs = dueMs - this.#ports.nowMs()
      if (waitMs > 0) {
        this.#cancel = this.#ports.after(waitMs, () => this.#run())
        break
      }
      this.#queue.shift()
      this.bytes -= bytes?.length ?? 0
      this.#owner.deliver(bytes)
    }
    if (!this.#full || this.full) return
    this.#full = false
    this.#owner.onRoom()
  }
}
