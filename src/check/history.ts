import { type ErrorFacts, RingsetError } from '../base/errors.ts'

/** `info` = the outcome is unknown: the operation may take effect at any later time, or never. */
export type LineType = 'invoke' | 'ok' | 'fail' | 'info'

/** One line of a history; docs/history-format.md says what `key` and `value` hold for each `f`. */
export interface HistoryLine {
  /**
   * Nanoseconds since the start of the run; a safe integer that never goes back from line to line.
   */
  readonly time: number
  readonly process: string
  readonly type: LineType
  readonly f: string
  readonly key: string | null
  readonly value: unknown
  readonly node?: string
  readonly error?: string
}

/** The process name of injected faults. Judges skip its lines. */
export const nemesis = 'nemesis'

/** Longer lines are refused. */
export const lineBytesMax = 1024 * 1024

/** Longest name (process, session, uid, device, connection …) in UTF-16 code units. */
export const nameLengthMax = 1024

const utf8 = new TextDecoder('utf-8', { fatal: true })
const newline = 0x0a
const carriageReturn = 0x0d

/** HISTORY_INVALID for a line, counted from 1. */
export function invalidLine(line: number, problem: string, facts: ErrorFacts = {}): RingsetError {
  return new RingsetError('HISTORY_INVALID', `line ${line}: ${problem}`, { line, ...facts })
}

/**
 * Whether `value` can name something: a non-empty string without control characters, at most
 * `nameLengthMax` long.
 */
export function isName(value: unknown): value is string {
  if (typeof value !== 'string' || value.length === 0 || value.length > nameLengthMax) return false
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return false
  }
  return true
}

/**
 * Reads a history from the chunks of a file, cut anywhere. Yields one object a line, in order.
 * @throws HISTORY_INVALID with fact `line` on the first line that is no valid history line (wrong
 * UTF-8 and JSON included).
 */
export function* parseHistory(chunks: Iterable<Uint8Array>): Generator<HistoryLine> {
  let pending: Uint8Array[] = []
  let pendingBytes = 0
  let number = 0
  for (const chunk of chunks) {
    let start = 0
    for (;;) {
      const end = chunk.indexOf(newline, start)
      const piece = chunk.subarray(start, end < 0 ? chunk.length : end)
      if (pendingBytes + piece.length > lineBytesMax) {
        throw invalidLine(number + 1, `longer than ${lineBytesMax} bytes`)
      }
      if (end < 0) {
        pendingBytes += piece.length
        // The reader may use its buffer again, and slice() of a Buffer would not copy.
        if (piece.length > 0) pending.push(new Uint8Array(piece))
        break
      }
      number++
      const whole = pendingBytes === 0 ? piece : joined(pending, piece)
      yield parseLine(decode(whole, number), number)
      pending = []
      pendingBytes = 0
      start = end + 1
    }
  }
  if (pendingBytes > 0) {
    number++
    yield parseLine(decode(joined(pending, new Uint8Array(0)), number), number)
  }
}

/**
 * Reads one line without its line feed.
 * @throws HISTORY_INVALID with fact `line` = `number`.
 */
export function parseLine(text: string, number: number): HistoryLine {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch (cause) {
    throw new RingsetError(
      'HISTORY_INVALID',
      `line ${number}: not a JSON object`,
      { line: number },
      cause
    )
  }
  return checkLine(raw, number)
}

/**
 * One line of a history file, line feed included, fields in their fixed order.
 * @throws HISTORY_INVALID when the line could not be read back.
 */
export function formatLine(line: HistoryLine): string {
  const { time, process, type, f, key, value, node, error } = checkLine(line, 0)
  return `${JSON.stringify({ time, process, type, f, key, value, node, error })}\n`
}

function checkLine(raw: unknown, number: number): HistoryLine {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) {
    throw invalidLine(number, 'not a JSON object')
  }
  const { time, process, type, f, key = null, value = null, node, error } = raw as HistoryLine
  if (!Number.isSafeInteger(time) || time < 0) {
    throw invalidLine(number, '`time` is not a count of nanoseconds')
  }
  if (!isName(process)) throw invalidLine(number, '`process` is not a name')
  if (type !== 'invoke' && type !== 'ok' && type !== 'fail' && type !== 'info') {
    throw invalidLine(number, '`type` is not invoke, ok, fail or info')
  }
  if (!isName(f)) throw invalidLine(number, '`f` is not a name')
  if (key !== null && !isName(key)) throw invalidLine(number, '`key` is neither a name nor null')
  if (node !== undefined && !isName(node)) throw invalidLine(number, '`node` is not a name')
  if (error !== undefined && !isName(error)) throw invalidLine(number, '`error` is not a name')
  return {
    time,
    process,
    type,
    f,
    key,
    value,
    ...(node === undefined ? undefined : { node }),
    ...(error === undefined ? undefined : { error })
  }
}

function joined(pending: readonly Uint8Array[], last: Uint8Array): Uint8Array {
  let length = last.length
  for (const piece of pending) length += piece.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pending) {
    whole.set(piece, at)
    at += piece.length
  }
  whole.set(last, at)
  return whole
}

function decode(bytes: Uint8Array, number: number): string {
  const end = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length
  try {
    return utf8.decode(bytes.subarray(0, end))
  } catch (cause) {
    throw new RingsetError('HISTORY_INVALID', `line ${number}: not UTF-8`, { line: number }, cause)
  }
}
