import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'

/**
 * Field types of packet payloads. Every type states its own bound, so a decoder can allocate only what the received bytes
 * pay for: a count is checked against the bytes that are left before anything is built.
 */
export interface Field<T> {
  /** The smallest number of bytes a value can take. */
  readonly minBytes: number
  /** As docs/protocol.md calls it: `text ≤ 64`; of a struct its name, or its fields in braces. */
  readonly type: string
  /** The fields of a struct in the order they travel, `deviceId: text ≤ 64`; none for other types. */
  readonly parts: readonly string[]
  write(writer: ByteWriter, value: T): void
  /** Throws BAD_PACKET on anything out of range. */
  read(reader: ByteReader): T
}

const noParts: readonly string[] = []

export type ValueOf<F> = F extends Field<infer T> ? T : never

/** Unsigned integer up to 2^53 − 1, as a varint. */
export function uint(): Field<number> {
  return {
    minBytes: 1,
    type: 'uint',
    parts: noParts,
    write: (w, v) => w.varint(v),
    read: r => r.varint()
  }
}

/** One byte. */
export function u8(): Field<number> {
  return {
    minBytes: 1,
    type: 'u8',
    parts: noParts,
    write: (w, v) => w.u8(v),
    read: r => r.u8()
  }
}

/** 48-bit id (boot ids). */
export function id48(): Field<number> {
  return {
    minBytes: 6,
    type: 'u48',
    parts: noParts,
    write: (w, v) => w.u48(v),
    read: r => r.u48()
  }
}

export function bool(): Field<boolean> {
  return {
    minBytes: 1,
    type: 'bool',
    parts: noParts,
    write: (w, v) => w.u8(v ? 1 : 0),
    read: r => {
      const value = r.u8()
      if (value > 1) throw new RingsetError('BAD_PACKET', 'a boolean is neither 0 nor 1')
      return value === 1
    }
  }
}

/** UTF-8 text of at most `limitBytes`. */
export function text(limitBytes: number): Field<string> {
  return {
    minBytes: 1,
    type: `text ≤ ${limitBytes}`,
    parts: noParts,
    write: (w, v) => w.string(v),
    read: r => r.string(limitBytes)
  }
}

/** Opaque bytes of at most `limitBytes`; read as a view of the received buffer, copy before keeping. */
export function blob(limitBytes: number): Field<Buffer> {
  return {
    minBytes: 1,
    type: `bytes ≤ ${limitBytes}`,
    parts: noParts,
    write: (w, v) => w.bytes(v),
    read: r => r.bytes(limitBytes)
  }
}

/** One of a fixed list of words, as its index in one byte; the order of the list is the contract. */
export function oneOf<const T extends readonly string[]>(words: T): Field<T[number]> {
  return {
    minBytes: 1,
    type: `one of ${words.join(', ')}`,
    parts: noParts,
    write: (w, v) => w.u8(words.indexOf(v)),
    read: r => {
      const word = words[r.u8()]
      if (word === undefined) throw new RingsetError('BAD_PACKET', 'an unknown word number')
      return word
    }
  }
}

/** varint count, then the items; at most `limit`. */
export function list<T>(item: Field<T>, limit: number): Field<T[]> {
  return {
    minBytes: 1,
    type: `list ≤ ${limit} of ${item.type}`,
    parts: noParts,
    write: (w, values) => {
      w.varint(values.length)
      for (const value of values) item.write(w, value)
    },
    read: r => {
      const count = r.varint()
      if (count > limit || count * item.minBytes > r.remaining) {
        throw new RingsetError('BAD_PACKET', 'a list is over its limit', { count, limit })
      }
      const values: T[] = []
      for (let i = 0; i < count; i++) values.push(item.read(r))
      return values
    }
  }
}

/** A value that may be absent: one byte 0 or 1, then the value. */
export function optional<T>(item: Field<T>): Field<T | undefined> {
  return {
    minBytes: 1,
    type: `optional ${item.type}`,
    parts: noParts,
    write: (w, value) => {
      w.u8(value === undefined ? 0 : 1)
      if (value !== undefined) item.write(w, value)
    },
    read: r => (r.u8() === 0 ? undefined : item.read(r))
  }
}

type StructOf<S> = { [K in keyof S]: ValueOf<S[K]> }

/**
 * Named fields, one after the other in the order written here; names do not travel. @param name for layouts that several kinds
 * share.
 */
export function struct<const S extends Record<string, Field<never> | Field<unknown>>>(
  shape: S,
  name?: string
): Field<StructOf<S>> {
  const names = Object.keys(shape)
  const fields = names.map(name => shape[name] as Field<unknown>)
  const parts = fields.map((field, i) => `${names[i]}: ${field.type}`)
  let minBytes = 0
  for (const field of fields) minBytes += field.minBytes
  return {
    minBytes,
    type: name ?? `{ ${parts.join(', ')} }`,
    parts,
    write: (w, value) => {
      const source = value as Record<string, unknown>
      for (let i = 0; i < fields.length; i++) fields[i]!.write(w, source[names[i]!])
    },
    read: r => {
      const value: Record<string, unknown> = {}
      for (let i = 0; i < fields.length; i++) value[names[i]!] = fields[i]!.read(r)
      return value as StructOf<S>
    }
  }
}
