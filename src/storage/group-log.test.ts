import { describe, expect, it } from 'vitest'
import { entryKinds } from '../raft/types.ts'
import { GroupLog } from './group-log.ts'

const count = 2_000
const dataBytes = 100

describe('the newest entries of a log', () => {
  it('hold little more than their bytes, whatever memory they came in', () => {
    const start = { index: 0, term: 0, chain: 0 }
    const log = new GroupLog(start, 1 << 20, () => expect.unreachable())
    for (let index = 1; index <= count; index++) {
      // As from a packet: a part of something larger that nobody else needs.
      const data = Buffer.alloc(8_192)
        .subarray(0, dataBytes)
        .fill(index % 256)
      log.append([{ index, term: 1, kind: entryKinds.normal, data }])
    }
    const entries = log.entries(1, count + 1, Number.POSITIVE_INFINITY)
    expect(entries.map(({ data }) => data[dataBytes - 1])).toEqual(
      entries.map((_, i) => (i + 1) % 256)
    )
    const memories = new Set(entries.map(({ data }) => data.buffer))
    const heldBytes = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0)
    expect(heldBytes).toBeLessThan(count * dataBytes * 1.5)
  })
})
