import { type ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import { ownersOf, runsOf, slotEpochsOf } from './runs.ts'
import type { RoutingTable, SlotRun } from './table.ts'

/**
 * Slot owners and ownership epochs as two independent columns. Epochs are runs (nearly all slots
 * share one). Owners are runs while few sets own long stretches, else, as the ring scatters them,
 * set numbers packed to the fewest bits: whichever is smaller, runs when equal.
 */
const asRuns = 0
const asBits = 1

/**
 * Writes the owner column and the epoch column of `table.runs`; sets are named by their place in
 * `table.sets`.
 */
export function writeSlots(writer: ByteWriter, table: RoutingTable): void {
  const numbers = new Map(table.sets.map((set, i) => [set.id, i]))
  const owners = ownersOf(table.runs).map(setId => numbers.get(setId)!)
  const runs = new ByteWriter(1_024)
  writeRuns(runs, owners)
  const bits = bitsFor(table.sets.length)
  if (runs.length <= Math.ceil((owners.length * bits) / 8)) {
    writer.u8(asRuns)
    writer.raw(runs.finish())
  } else {
    writer.u8(asBits)
    writer.raw(pack(owners, bits))
  }
  writeRuns(writer, slotEpochsOf(table.runs))
}

/**
 * Reads what `writeSlots` wrote; throws BAD_PACKET unless it covers exactly `slotCount` slots with
 * known sets.
 */
export function readSlots(
  reader: ByteReader,
  slotCount: number,
  setIds: readonly string[]
): SlotRun[] {
  const form = reader.u8()
  if (form > asBits) throw new RingsetError('BAD_PACKET', 'an unknown slot column form')
  const bits = bitsFor(setIds.length)
  const numbers =
    form === asRuns
      ? readRuns(reader, slotCount)
      : unpack(reader.raw(Math.ceil((slotCount * bits) / 8)), slotCount, bits)
  const owners = numbers.map(number => {
    const setId = setIds[number]
    if (setId === undefined) throw new RingsetError('BAD_PACKET', 'a slot names an unknown set')
    return setId
  })
  return runsOf(owners, readRuns(reader, slotCount))
}

function bitsFor(setCount: number): number {
  return 32 - Math.clz32(Math.max(1, setCount - 1))
}

function writeRuns(writer: ByteWriter, values: readonly number[]): void {
  let first = 0
  for (let slot = 1; slot <= values.length; slot++) {
    if (slot < values.length && values[slot] === values[first]) continue
    writer.varint(slot - first)
    writer.varint(values[first]!)
    first = slot
  }
}

function readRuns(reader: ByteReader, slotCount: number): number[] {
  const values: number[] = []
  while (values.length < slotCount) {
    const count = reader.varint()
    if (count === 0 || count > slotCount - values.length) {
      throw new RingsetError('BAD_PACKET', 'slot runs do not cover the slots', { slotCount })
    }
    const value = reader.varint()
    for (let i = 0; i < count; i++) values.push(value)
  }
  return values
}

function pack(values: readonly number[], bits: number): Buffer {
  const packed = Buffer.alloc(Math.ceil((values.length * bits) / 8))
  let at = 0
  for (const value of values) {
    for (let bit = bits - 1; bit >= 0; bit--, at++) {
      if ((value >>> bit) & 1) packed[at >>> 3]! |= 0x80 >>> (at & 7)
    }
  }
  return packed
}

function unpack(packed: Buffer, slotCount: number, bits: number): number[] {
  const values: number[] = []
  let at = 0
  for (let slot = 0; slot < slotCount; slot++) {
    let value = 0
    for (let bit = 0; bit < bits; bit++, at++) {
      value = (value << 1) | ((packed[at >>> 3]! >>> (7 - (at & 7))) & 1)
    }
    values.push(value)
  }
  return values
}
