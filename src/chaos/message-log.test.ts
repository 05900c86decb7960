import { describe, expect, it } from 'vitest'
import { MessageLog, numberIn } from './message-log.ts'
import type { MessagePath } from './message-sample.ts'

const path: MessagePath = {
  session: 'p2p:ann:bob',
  sender: 'ann',
  receiver: 'bob',
  senderSet: 's1',
  homeSet: 's1',
  receiverSet: 's2'
}

describe('the number of a message', () => {
  it('is its text, and none that was ever sent for any other text', () => {
    expect(numberIn('12')).toBe(12)
    for (const text of ['', '1x', '-1', '1.5', '9'.repeat(16)]) {
      expect(numberIn(text), text).toBe(Number.MAX_SAFE_INTEGER)
    }
  })
})

describe('the log of messages', () => {
  it('gives back what was written to it, message by message', () => {
    const log = new MessageLog()
    const back = { ...path, sender: 'bob', receiver: 'ann' }
    const count = 20_000
    for (let i = 0; i < count; i++) expect(log.add(i % 2 ? back : path, i + 1, i / 2)).toBe(i)
    log.acked(9_000, 5_000.5)
    log.delivered(9_000, 5_001)
    log.delivered(count - 1, 20_000)
    const samples = log.samples()
    expect(log.count).toBe(count)
    expect(samples).toHaveLength(count)
    expect(samples[0]).toEqual({ ...path, number: 1, dueMs: 0, ackedMs: 0, deliveredMs: 0 })
    const seen = { ackedMs: 5_000.5, deliveredMs: 5_001 }
    expect(samples[9_000]).toEqual({ ...path, number: 9_001, dueMs: 4_500, ...seen })
    const last = { number: count, dueMs: (count - 1) / 2, ackedMs: 0, deliveredMs: 20_000 }
    expect(samples.at(-1)).toEqual({ ...back, ...last })
  })
})
