import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import { decodeFrame, encodeFrame, type Frame, FrameReader, headerBytes } from './frame.ts'
import { type KindName, kinds } from './kinds.ts'
import { noSlot, type Packet, packet } from './packet.ts'

function encoded(sent: Packet, table?: Buffer): Buffer {
  const writer = new ByteWriter()
  encodeFrame(writer, sent, 1, 2, 0xabcd, 9, table)
  return writer.copy()
}

function decoded(bytes: Buffer): Frame {
  return decodeFrame(bytes, 0, bytes.length)
}

function errorOf(action: () => unknown): RingsetError {
  try {
    action()
  } catch (error) {
    if (error instanceof RingsetError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

/** All frames in a stream that arrives cut at the given sizes. */
function readAll(stream: Buffer, sizes: readonly number[], limitBytes = 1 << 20): Frame[] {
  const reader = new FrameReader(limitBytes)
  const frames: Frame[] = []
  let at = 0
  for (let i = 0; at < stream.length; i++) {
    const size = sizes.length === 0 ? stream.length : sizes[i % sizes.length]!
    reader.push(Buffer.from(stream.subarray(at, at + size)))
    while (reader.next()) frames.push(decodeFrame(reader.buffer, reader.start, reader.end))
    at += size
  }
  return frames
}

const header = fc.record({
  hop: fc.nat(15),
  priority: fc.nat(15),
  bootId: fc.nat(2 ** 48 - 1),
  sequence: fc.nat(2 ** 48 - 1),
  deadlineMs: fc.nat(0xffff),
  slot: fc.nat(0xffff),
  slotEpoch: fc.nat(0xffff_ffff),
  term: fc.nat(0xffff_ffff)
})
const text = fc
  .string({ maxLength: 20, unit: 'grapheme' })
  .filter(value => Buffer.byteLength(value) <= 64)
const payload = fc.record({
  session: text,
  uid: text,
  deviceId: text,
  clientMsgId: fc.nat(Number.MAX_SAFE_INTEGER),
  type: fc.nat(255),
  body: fc.uint8Array({ maxLength: 3_000 }).map(bytes => Buffer.from(bytes))
})
const anyPacket = fc.tuple(payload, header).map(([p, h]) => packet('APPEND', p, h))
const anyTable = fc.option(
  fc.uint8Array({ maxLength: 500 }).map(bytes => Buffer.from(bytes)),
  { nil: undefined }
)

describe('encodeFrame', () => {
  it('lays every field where the protocol says', () => {
    const sent = packet(
      'RAFT',
      { data: Buffer.from('hi') },
      {
        hop: 3,
        priority: 5,
        bootId: 0x010203040506,
        sequence: 0x0708090a0b0c,
        deadlineMs: 0x0d0e,
        slot: 0x0f10,
        slotEpoch: 0x11121314,
        term: 0x15161718
      }
    )
    expect(encoded(sent).toString('hex')).toBe(
      '00000027' + // length of the rest: 36 bytes of header, 3 of payload
        '01' + // version
        '60' + // kind 96
        '00' + // no table
        '35' + // hop, priority
        '010203040506' +
        '0708090a0b0c' +
        '0d0e' +
        '0102' + // to, from
        'abcd' + // cluster tag
        '00000009' + // epoch
        '0f10' +
        '11121314' +
        '15161718' +
        '026869'
    )
  })

  it('puts an attached table before the payload', () => {
    const bytes = encoded(packet('LINK_PING', {}), Buffer.from('table'))
    expect(bytes.readUInt32BE(0)).toBe(bytes.length - 4)
    expect(bytes[6]).toBe(1)
    expect(bytes.subarray(headerBytes).toString('hex')).toBe('000000057461626c65')
    expect(decoded(bytes).table?.toString()).toBe('table')
  })

  it('appends behind what the writer holds, also when it grows', () => {
    const writer = new ByteWriter(8)
    writer.raw(Buffer.from('before'))
    const size = encodeFrame(writer, packet('LINK_PING', {}), 0, 0, 0, 0)
    expect(size).toBe(headerBytes)
    const bytes = writer.copy()
    expect(bytes.toString('utf8', 0, 6)).toBe('before')
    expect(decodeFrame(bytes, 6, 46).packet.kind).toBe('LINK_PING')
  })

  it.each([
    [70_000, 65_535],
    [0.2, 1],
    [-5, 1],
    [0, 0]
  ])('sends a deadline of %d ms as %d', (deadlineMs, sent) => {
    const bytes = encoded(packet('LINK_PING', {}, { deadlineMs }))
    expect(decoded(bytes).packet.deadlineMs).toBe(sent)
  })
})

describe('decodeFrame', () => {
  it('gives back what was encoded', () => {
    fc.assert(
      fc.property(anyPacket, anyTable, (sent, table) => {
        const frame = decoded(encoded(sent, table))
        expect(frame.packet).toEqual({ ...sent, clusterTag: 0xabcd, epoch: 9 })
        expect([frame.to, frame.from]).toEqual([1, 2])
        expect(frame.table).toEqual(table)
      })
    )
  })

  it('knows every kind by its number', () => {
    const numbers = Object.values(kinds).map(kind => kind.number)
    expect(new Set(numbers).size).toBe(numbers.length)
    const bytes = encoded(packet('LINK_PING', {}))
    for (const name of Object.keys(kinds) as KindName[]) {
      bytes[5] = kinds[name].number
      const outcome = kinds[name].payload.minBytes === 0 ? decoded(bytes).packet.kind : name
      expect(outcome).toBe(name)
      if (kinds[name].payload.minBytes > 0) {
        expect(errorOf(() => decoded(bytes)).facts.kind).toBe(name)
      }
    }
  })

  it('refuses another version, unknown flags and a cut header as BAD_FRAME', () => {
    const bytes = encoded(packet('LINK_PING', {}))
    expect(errorOf(() => decodeFrame(bytes, 0, 39)).code).toBe('BAD_FRAME')
    const version = Buffer.from(bytes)
    version[4] = 2
    expect(errorOf(() => decoded(version)).code).toBe('BAD_FRAME')
    const flags = Buffer.from(bytes)
    flags[6] = 2
    expect(errorOf(() => decoded(flags)).code).toBe('BAD_FRAME')
  })

  it('keeps the ids of a packet it cannot read, so that it can be answered', () => {
    const ids = { bootId: 0xa1b2c3d4e5f6, sequence: 42 }
    const unknown = encoded(packet('LINK_PING', {}, ids))
    unknown[5] = 250
    const expected = { ...ids, to: 1, from: 2, slot: noSlot }
    const error = errorOf(() => decoded(unknown))
    expect(error.code).toBe('UNKNOWN_KIND')
    expect(error.facts).toMatchObject({ ...expected, kind: 250 })

    const malformed = encoded(packet('SEQUENCE', { name: 'n', count: 1 }, ids))
    malformed[headerBytes] = 100
    const bad = errorOf(() => decoded(malformed))
    expect(bad.code).toBe('BAD_PACKET')
    expect(bad.facts).toMatchObject({ ...expected, kind: 'SEQUENCE' })
  })

  it('refuses bytes left over and a table that runs past the end as BAD_PACKET', () => {
    const long = Buffer.concat([encoded(packet('LINK_PING', {})), Buffer.from('x')])
    expect(errorOf(() => decoded(long)).code).toBe('BAD_PACKET')
    const table = encoded(packet('LINK_PING', {}), Buffer.from('table'))
    table.writeUInt32BE(6, headerBytes)
    expect(errorOf(() => decoded(table)).code).toBe('BAD_PACKET')
    expect(errorOf(() => decodeFrame(table, 0, headerBytes + 2)).code).toBe('BAD_PACKET')
  })

  it('throws nothing but coded errors, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.constantFrom(...Object.values(kinds).map(kind => kind.number)),
        fc.boolean(),
        (noise, number, sane) => {
          const bytes = Buffer.concat([encoded(packet('LINK_PING', {})), noise])
          if (!sane) bytes.set(noise.subarray(0, headerBytes))
          bytes[5] = number
          try {
            decoded(bytes)
          } catch (error) {
            expect(error).toBeInstanceOf(RingsetError)
          }
        }
      ),
      { numRuns: 2_000 }
    )
  })

  it('copies a small blob out of a big buffer and leaves a big one where it is', () => {
    const append = (body: Buffer) =>
      packet('RAFT', { data: body }, { bootId: 1, sequence: 1 }) as Packet
    const big = Buffer.alloc(64 * 1024)
    const small = encoded(append(Buffer.alloc(100, 7)))
    small.copy(big)
    const kept = decodeFrame(big, 0, small.length).packet as Packet<'RAFT'>
    expect(kept.payload.data).toEqual(Buffer.alloc(100, 7))
    expect(kept.payload.data.buffer).not.toBe(big.buffer)

    const large = encoded(append(Buffer.alloc(40_000, 7)))
    large.copy(big)
    const viewed = decodeFrame(big, 0, large.length).packet as Packet<'RAFT'>
    expect(viewed.payload.data.buffer).toBe(big.buffer)
  })
})

describe('FrameReader', () => {
  it('finds the same packets however the stream is cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyPacket, anyTable), { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 200 }), { maxLength: 10 }),
        (sent, sizes) => {
          const stream = Buffer.concat(sent.map(([p, table]) => encoded(p, table)))
          const whole = readAll(stream, [])
          expect(whole.length).toBe(sent.length)
          expect(readAll(stream, sizes)).toEqual(whole)
        }
      )
    )
  })

  it('does not copy a frame that lies inside one chunk', () => {
    const chunk = Buffer.concat([
      encoded(packet('LINK_PING', {})),
      encoded(packet('LINK_PONG', {}))
    ])
    const reader = new FrameReader(1_000)
    reader.push(chunk)
    expect(reader.next()).toBe(true)
    expect(reader.buffer).toBe(chunk)
    expect(reader.next()).toBe(true)
    expect([reader.start, reader.end]).toEqual([40, 80])
    expect(reader.next()).toBe(false)
    expect(reader.buffer).not.toBe(chunk)
  })

  it('refuses a length over the limit before the bytes come, and one too short for a header', () => {
    const reader = new FrameReader(4_096)
    reader.push(Buffer.from('7fffffff', 'hex'))
    expect(errorOf(() => reader.next()).code).toBe('FRAME_TOO_LARGE')
    const pieces = new FrameReader(4_096)
    for (const byte of [0x00, 0x00, 0x0f]) {
      pieces.push(Buffer.from([byte]))
      expect(pieces.next()).toBe(false)
    }
    pieces.push(Buffer.from([0xfd]))
    expect(errorOf(() => pieces.next()).code).toBe('FRAME_TOO_LARGE')
    const short = new FrameReader(4_096)
    short.push(Buffer.from('00000023', 'hex'))
    expect(errorOf(() => short.next()).code).toBe('BAD_FRAME')
  })

  it('accepts a frame of exactly the limit, and a larger limit from the next frame on', () => {
    const frame = encoded(packet('RAFT', { data: Buffer.alloc(100) }))
    const reader = new FrameReader(frame.length)
    reader.push(Buffer.concat([frame, frame]))
    expect(reader.next()).toBe(true)
    reader.limitBytes = frame.length - 1
    expect(errorOf(() => reader.next()).code).toBe('FRAME_TOO_LARGE')
    const raised = new FrameReader(frame.length - 1)
    raised.limitBytes = frame.length
    raised.push(frame)
    expect(raised.next()).toBe(true)
  })

  it('takes no more memory than twice what has arrived, whatever was announced', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 3_000 }), { maxLength: 20 }), sizes => {
        const reader = new FrameReader(16 * 1024 * 1024)
        const start = Buffer.alloc(8)
        start.writeUInt32BE(16 * 1024 * 1024 - 4)
        reader.push(start)
        expect(reader.next()).toBe(false)
        let arrived = start.length
        for (const size of sizes) {
          reader.push(Buffer.alloc(size))
          expect(reader.next()).toBe(false)
          arrived += size
          expect(reader.heldBytes).toBe(arrived)
          expect(reader.capacityBytes).toBeLessThanOrEqual(Math.max(64, arrived * 2))
        }
      })
    )
  })

  it('throws nothing but coded errors on noise', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), fc.nat(50), (noise, size) => {
        try {
          readAll(Buffer.from(noise), [size + 1], 4_096)
        } catch (error) {
          expect(error).toBeInstanceOf(RingsetError)
        }
      })
    )
  })
})
