import { type ByteReader, ByteWriter } from '../base/bytes.ts'
import { RingsetError } from '../base/errors.ts'
import { runsOf } from './runs.ts'
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
  const owners = table.runs.map(({ setId }) => numbers.get(setId)!)
  const runs = new ByteWriter(1_024)
  writeRuns(runs, table.runs, owners)
  const bits = bitsFor(table.sets.length)
  const packedBytes = Math.ceil((table.slotCount * bits) / 8)
  if (runs.length <= packedBytes) {
    writer.u8(asRuns)
    writer.raw(runs.finish())
  } else {
    writer.u8(asBits)
    writer.raw(pack(table.runs, owners, bits, packedBytes))
  }
  const slotEpochs = table.runs.map(({ slotEpoch }) => slotEpoch)
  writeRuns(writer, table.runs, slotEpochs)
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

/** @param values of each of the runs; neighbours may have the same. */
function writeRuns(writer: ByteWriter, runs: readonly SlotRun[], values: readonly number[]): void {
  let count = 0
  for (let i = 0; i < runs.length; i++) {
    count += runs[i]!.count
    if (i + 1 < runs.length && values[i + 1] === values[i]) continue
    writer.varint(count)
    writer.varint(values[i]!)
    count = 0
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

/** @param values of each of the runs. */
function pack(
  runs: readonly SlotRun[],
  values: readonly number[],
  bits: number,
  packedBytes: number
): Buffer {
  const packed = Buffer.alloc(packedBytes)
  let at = 0
  for (let i = 0; i < runs.length; i++) {
    const value = values[i]!
    for (let left = runs[i]!.count; left > 0; left--) {
      for (let bit = bits - 1; bit >= 0; bit--, at++) {
        if ((value >>> bit) & 1) packed[at >>> 3]! |= 0x80 >>> (at & 7)
      }
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
