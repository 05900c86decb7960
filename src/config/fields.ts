import { z } from 'zod'

/** What every field of the configuration says about itself; `ringset config explain` and docs/configuration.md print it. */
export interface FieldNote {
  /** One sentence: what the field is. */
  readonly about: string
  /** What more or less of it costs. */
  readonly tradeOff: string
}

export type Unit = 'milliseconds' | 'bytes' | 'count' | 'port' | 'text' | 'yes or no'

interface Range {
  readonly initial: number
  readonly min: number
  readonly max: number
}

export const kib = 1024
export const mib = 1024 * kib

const meta = (unit: Unit, note: FieldNote) => ({
  description: note.about,
  unit,
  tradeOff: note.tradeOff
})

const bounded = (unit: Unit, range: Range, note: FieldNote) =>
  z.int().min(range.min).max(range.max).default(range.initial).meta(meta(unit, note))

export const milliseconds = (range: Range, note: FieldNote) => bounded('milliseconds', range, note)
export const bytes = (range: Range, note: FieldNote) => bounded('bytes', range, note)
export const count = (range: Range, note: FieldNote) => bounded('count', range, note)

export const yesOrNo = (initial: boolean, note: FieldNote) =>
  z.boolean().default(initial).meta(meta('yes or no', note))

export const word = <const T extends readonly [string, ...string[]]>(
  words: T,
  initial: T[number],
  note: FieldNote
) =>
  z
    .enum(words)
    .default(initial as never)
    .meta(meta('text', note))

/** Required: a port has no sensible default. */
export const port = (note: FieldNote) => z.int().min(1).max(65_535).meta(meta('port', note))

/** 1–255, as a replica id travels in one byte. */
export const replicaNumber = (note: FieldNote) => z.int().min(1).max(255).meta(meta('count', note))

const printable = /^[^\p{Cc}\p{Cs}]+$/u
const labelPattern = /^[A-Za-z0-9._:+-]+$/

/** Ids become parts of endpoint names and of folder names. */
export const id = (note: FieldNote) =>
  z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/, {
      error: 'must be 1 to 63 letters, digits, - or _, and start with a letter or digit'
    })
    .meta(meta('text', note))

/** Text as `text` takes it, that may be left out. */
export const label = (limit: number, note: FieldNote) =>
  z
    .string()
    .max(limit)
    .regex(labelPattern, { error: 'must be letters, digits and . _ : + -' })
    .optional()
    .meta({ ...meta('text', note), optional: true })

/** Required: the beginning of a uid. */
export const prefix = (limitBytes: number, note: FieldNote) =>
  z
    .string()
    .refine(value => printable.test(value) && Buffer.byteLength(value, 'utf8') <= limitBytes, {
      error: `must be 1 to ${limitBytes} bytes without control characters`
    })
    .meta(meta('text', note))

/** Printable text of at most `limit` ASCII characters without spaces. */
export const text = (initial: string, limit: number, note: FieldNote) =>
  z
    .string()
    .max(limit)
    .regex(/^[A-Za-z0-9._:-]+$/, { error: 'must be letters, digits and . _ : -' })
    .default(initial)
    .meta(meta('text', note))
