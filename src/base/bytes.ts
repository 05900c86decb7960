import { RingsetError } from './errors.ts'

/** Texts up to this many characters are written by a loop; their length takes one byte. */
const shortText = 48
const strict = new TextDecoder('utf-8', { fatal: true })

/**
 * Growing big-endian writer. `finish()` hands out a view of the inner buffer; a writer is used once, or `reset()` after the
 * bytes have been copied or sent.
 */
export class ByteWriter {
  #buffer: Buffer
  #at = 0

  constructor(initialBytes = 256) {
    this.#buffer = Buffer.allocUnsafe(initialBytes)
  }

  get length(): number {
    return this.#at
  }

  reset(): void {
    this.#at = 0
  }

  /** Forgets everything written after `length`. */
  truncate(length: number): void {
    if (length < this.#at) this.#at = length
  }

  #room(bytes: number): number {
    const at = this.#at
    const end = at + bytes
    if (end > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(end, this.#buffer.length * 2))
      this.#buffer.copy(grown, 0, 0, at)
      this.#buffer = grown
    }
    this.#at = end
    return at
  }

  u8(value: number): void {
    const at = this.#room(1)
    this.#buffer[at] = value
  }

  u16(value: number): void {
    const at = this.#room(2)
    this.#buffer.writeUInt16BE(value, at)
  }

  u32(value: number): void {
    const at = this.#room(4)
    this.#buffer.writeUInt32BE(value, at)
  }

  /** 48-bit unsigned integer. */
  u48(value: number): void {
    const at = this.#room(6)
    this.#buffer.writeUIntBE(value, at, 6)
  }

  /** Unsigned LEB128 of a safe integer: 7 bits a byte, low bits first. */
  varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.u8(rest)
  }

  /** Bytes without a length. */
  raw(bytes: Uint8Array): void {
    const at = this.#room(bytes.length)
    this.#buffer.set(bytes, at)
  }

  /** varint length, then the bytes. */
  bytes(bytes: Uint8Array): void {
    this.varint(bytes.length)
    this.raw(bytes)
  }

  /** varint byte length, then UTF-8. */
  string(text: string): void {
    if (text.length <= shortText && this.#ascii(text)) return
    const length = Buffer.byteLength(text, 'utf8')
    this.varint(length)
    const at = this.#room(length)
    this.#buffer.write(text, at, length, 'utf8')
  }

  /** For short texts a loop beats the call into native code. Writes nothing and returns false when some character is not ASCII. */
  #ascii(text: string): boolean {
    const length = text.length
    const at = this.#room(length + 1)
    const buffer = this.#buffer
    buffer[at] = length
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i)
      if (code > 0x7f) {
        this.#at = at
        return false
      }
      buffer[at + 1 + i] = code
    }
    return true
  }

  /** Makes room for `bytes` bytes and returns where they begin in `target`; the caller fills all of them in at once. */
  claim(bytes: number): number {
    return this.#room(bytes)
  }

  /** The inner buffer; valid until the next write. */
  get target(): Buffer {
    return this.#buffer
  }

  /** Overwrites a u32 written earlier (length prefixes). */
  patchU32(at: number, value: number): void {
    this.#buffer.writeUInt32BE(value, at)
  }

  /** The written bytes, as a view: valid until the next write after `reset()`. */
  finish(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }

  /** The written bytes, copied out. */
  copy(): Buffer {
    const length = this.#at
    const copy = Buffer.allocUnsafe(length)
    if (length > shortText) this.#buffer.copy(copy, 0, 0, length)
    else for (let i = 0; i < length; i++) copy[i] = this.#buffer[i]!
    return copy
  }
}

/** Bounds-checked big-endian reader; anything short or out of range throws BAD_PACKET. */
export class ByteReader {
  readonly #buffer: Buffer
  #at: number
  readonly #end: number

  constructor(buffer: Buffer, start = 0, end = buffer.length) {
    this.#buffer = buffer
    this.#at = start
    this.#end = end
  }

  get position(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  #take(bytes: number): number {
    const at = this.#at
    if (bytes > this.#end - at) throw new RingsetError('BAD_PACKET', 'a field runs past the end')
    this.#at = at + bytes
    return at
  }

  u8(): number {
    return this.#buffer[this.#take(1)]!
  }

  u16(): number {
    return this.#buffer.readUInt16BE(this.#take(2))
  }

  u32(): number {
    return this.#buffer.readUInt32BE(this.#take(4))
  }

  u48(): number {
    return this.#buffer.readUIntBE(this.#take(6), 6)
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break
        return value
      }
      scale *= 0x80
    }
    throw new RingsetError('BAD_PACKET', 'a number is over 53 bits')
  }

  /** Passes over bytes. */
  skip(length: number): void {
    this.#take(length)
  }

  /** A view of the next bytes; copy before keeping. */
  raw(length: number): Buffer {
    const at = this.#take(length)
    return this.#buffer.subarray(at, at + length)
  }

  /** varint length and a view of the bytes. @param limitBytes longer is BAD_PACKET. */
  bytes(limitBytes: number): Buffer {
    const length = this.varint()
    if (length > limitBytes) {
      throw new RingsetError('BAD_PACKET', 'a byte field is over its limit', { length, limitBytes })
    }
    return this.raw(length)
  }

  /**
   * varint length and UTF-8. A text that would take other bytes when it is written again, as one that is no UTF-8, is refused: it
   * could outgrow its limit on the way, and then be read by nobody.
   * @param limitBytes longer is BAD_PACKET.
   */
  string(limitBytes: number): string {
    const length = this.varint()
    if (length > limitBytes) {
      throw new RingsetError('BAD_PACKET', 'a string is over its limit', { length, limitBytes })
    }
    const at = this.#take(length)
    const text = this.#buffer.toString('utf8', at, at + length)
    // What cannot be decoded shows as this character, which may be meant, too.
    if (text.includes('\ufffd')) mustBeUtf8(this.#buffer.subarray(at, at + length))
    return text
  }

  /** Refuses left-over bytes. */
  end(): void {
    if (this.#at !== this.#end) throw new RingsetError('BAD_PACKET', 'bytes left over')
  }
}

function mustBeUtf8(bytes: Uint8Array): void {
  try {
    strict.decode(bytes)
  } catch {
    throw new RingsetError('BAD_PACKET', 'a text is not UTF-8')
  }
}
