/** Larger ones are allocated by themselves, so that what remains of a slab when one does not fit is a small part of it. */
const sharedBelowBytes = 4096
const slabBytes = 64 * 1024

/**
 * Copies small buffers that live long into slabs of their own. A buffer of a few bytes keeps the whole pool alive that Node cut it
 * from, and everything else in the process takes its buffers from that pool: a thousand of them can cost eight kilobytes each. Here
 * those that come one after another lie side by side, and a slab goes when the last of its buffers does.
 */
export class ByteArena {
  #slab = Buffer.alloc(0)
  #usedBytes = 0

  /** The same bytes, or the same buffer where it already has its memory to itself. */
  keep(bytes: Buffer): Buffer {
    const length = bytes.length
    if (length >= sharedBelowBytes) return bytes
    if (length > this.#slab.length - this.#usedBytes) {
      this.#slab = Buffer.allocUnsafeSlow(slabBytes)
      this.#usedBytes = 0
    }
    const start = this.#usedBytes
    this.#usedBytes += length
    const kept = this.#slab.subarray(start, this.#usedBytes)
    kept.set(bytes)
    return kept
  }
}
