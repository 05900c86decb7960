import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'

/**
 * Writes each distinct string once: 0 and the string the first time, then its number (1 = the first
 * one seen). Node ids, addresses and versions repeat over the processes of a node.
 */
export class StringPoolWriter {
  readonly #numbers = new Map<string, number>()
  readonly #writer: ByteWriter

  constructor(writer: ByteWriter) {
    this.#writer = writer
  }

  write(text: string): void {
    const number = this.#numbers.get(text)
    if (number !== undefined) {
      this.#writer.varint(number)
      return
    }
    this.#numbers.set(text, this.#numbers.size + 1)
    this.#writer.varint(0)
    this.#writer.string(text)
  }
}

export class StringPoolReader {
  readonly #texts: string[] = []
  readonly #reader: ByteReader

  constructor(reader: ByteReader) {
    this.#reader = reader
  }

  /**
   * @param limitBytes a longer new string is BAD_PACKET; one seen before is bounded by the limit it
   * was read under.
   */
  read(limitBytes: number): string {
    const number = this.#reader.varint()
    if (number === 0) {
      const text = this.#reader.string(limitBytes)
      this.#texts.push(text)
      return text
    }
    const text = this.#texts[number - 1]
    if (text === undefined) throw new RingsetError('BAD_PACKET', 'an unknown string number')
    return text
  }
}
