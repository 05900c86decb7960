import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { RingsetError } from '../base/errors.ts'
import {
  formatLine,
  type HistoryLine,
  lineBytesMax,
  nameLengthMax,
  parseHistory,
  parseLine
} from './history.ts'

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter(text => {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: names hold none.
  return !/[\u0000-\u001f\u007f-\u009f]/.test(text)
})

const line: fc.Arbitrary<HistoryLine> = fc.record(
  {
    time: fc.maxSafeNat(),
    process: name,
    type: fc.constantFrom('invoke', 'ok', 'fail', 'info'),
    f: name,
    key: fc.option(name),
    value: fc.jsonValue().map(value => (Object.is(value, -0) ? 0 : value)),
    node: name,
    error: name
  },
  { requiredKeys: ['time', 'process', 'type', 'f', 'key', 'value'] }
)

function* cut(bytes: Uint8Array, sizes: readonly number[]): Generator<Uint8Array> {
  // One buffer for all chunks, as a reader of files would.
  const buffer = Buffer.alloc(64)
  let at = 0
  for (let turn = 0; at < bytes.length; turn++) {
    const piece = bytes.subarray(at, at + (sizes[turn % sizes.length] ?? 1))
    buffer.set(piece)
    yield buffer.subarray(0, piece.length)
    at += piece.length
  }
}

function problem(text: string | Uint8Array): RingsetError | undefined {
  try {
    for (const _ of parseHistory([typeof text === 'string' ? Buffer.from(text) : text]));
    return undefined
  } catch (error) {
    return error as RingsetError
  }
}

const good = '{"time":1,"process":"a","type":"ok","f":"x","key":null,"value":null}'

describe('history lines', () => {
  it('come back as they were written, however the file is cut', () => {
    fc.assert(
      fc.property(
        fc.array(line, { maxLength: 5 }),
        fc.array(fc.integer({ min: 1, max: 64 }), { minLength: 1 }),
        (lines, sizes) => {
          const bytes = Buffer.from(lines.map(formatLine).join(''))
          const plain = JSON.parse(JSON.stringify(lines))
          expect(JSON.parse(JSON.stringify([...parseHistory(cut(bytes, sizes))]))).toEqual(plain)
        }
      )
    )
  })

  it('may end without a line feed and may use CR LF', () => {
    expect([...parseHistory([Buffer.from(`${good}\r\n${good}`)])]).toHaveLength(2)
  })

  it('may leave out key and value', () => {
    const read = parseLine('{"time":1,"process":"a","type":"ok","f":"x"}', 1)
    expect(read).toEqual({ time: 1, process: 'a', type: 'ok', f: 'x', key: null, value: null })
  })

  it.each([
    ['nothing', ''],
    ['half a line', '{"time":1,"process":"a","ty'],
    ['no object', '[1]'],
    ['null', 'null'],
    ['a negative time', good.replace('"time":1', '"time":-1')],
    ['a fraction of a nanosecond', good.replace('"time":1', '"time":1.5')],
    ['a time as text', good.replace('"time":1', '"time":"1"')],
    ['a time beyond exact integers', good.replace('"time":1', '"time":1e300')],
    ['no process', good.replace('"process":"a",', '')],
    ['a number as process', good.replace('"a"', '7')],
    ['an unknown type', good.replace('"ok"', '"maybe"')],
    ['an empty f', good.replace('"x"', '""')],
    ['a control character in a name', good.replace('"x"', '"\\u0007"')],
    ['an endless name', good.replace('"x"', `"${'x'.repeat(nameLengthMax + 1)}"`)],
    ['a number as key', good.replace('"key":null', '"key":3')],
    ['an object as node', good.replace('"key"', '"node":{},"key"')],
    ['a number as error', good.replace('"key"', '"error":5,"key"')]
  ])('are refused with their number: %s', (_, text) => {
    expect(problem(`${good}\n${text}\n${good}\n`)).toMatchObject({
      code: 'HISTORY_INVALID',
      facts: { line: 2 }
    })
  })

  it('are refused when they are not UTF-8', () => {
    const bytes = Buffer.concat([Buffer.from(`${good}\n{"`), Buffer.from([0xc3, 0x28, 0x0a])])
    expect(problem(bytes)).toMatchObject({ code: 'HISTORY_INVALID', facts: { line: 2 } })
  })

  it('are refused before they fill the memory', () => {
    let read = 0
    function* endless(): Generator<Uint8Array> {
      for (;;) {
        read++
        yield Buffer.alloc(65_536, 'x')
      }
    }
    const parse = () => [...parseHistory(endless())]
    expect(parse).toThrow(expect.objectContaining({ code: 'HISTORY_INVALID', facts: { line: 1 } }))
    expect(read).toBe(lineBytesMax / 65_536 + 1)
  })

  it('any bytes: a coded error with a line, or lines', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
        const error = problem(bytes)
        if (error !== undefined) expect(error.code).toBe('HISTORY_INVALID')
      })
    )
  })

  it('cannot be written in a form that could not be read', () => {
    const line: HistoryLine = { time: 0.5, process: 'a', type: 'ok', f: 'x', key: null, value: 0 }
    expect(() => formatLine(line)).toThrow(expect.objectContaining({ code: 'HISTORY_INVALID' }))
  })
})
