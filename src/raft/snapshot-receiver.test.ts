import { describe, expect, it } from 'vitest'
import { crc32 } from '../base/crc32.ts'
import { silentLog } from '../base/ports.ts'
import { MemoryDisk } from '../storage/memory-store.ts'
import { ChunkWriter } from '../storage/snapshot-chunk.ts'
import { SnapshotReceiver } from './snapshot-receiver.ts'
import type { RaftMessage } from './types.ts'

const meta = {
  index: 20,
  term: 3,
  membership: { voters: [1, 2, 3], outgoing: [], learners: [] }
}

function chunkData(): Buffer {
  const writer = new ChunkWriter(64)
  writer.add(Buffer.from('key'), Buffer.from('value'))
  return writer.finish()
}

function receiverWhere(needed: boolean) {
  const disk = new MemoryDisk()
  const answers: RaftMessage[] = []
  const installed: number[] = []
  const receiver = new SnapshotReceiver({
    id: 2,
    store: disk.group('g'),
    log: silentLog,
    hardState: () => ({ term: 3, vote: 0, commit: 0 }),
    needed: () => needed,
    send: message => answers.push(message),
    wake: () => {},
    onInstalled: ({ index }) => installed.push(index)
  })
  const hand = (data: Buffer, crc = crc32(data)): void =>
    receiver.onChunk(
      {
        type: 'snapshot',
        from: 1,
        to: 2,
        term: 3,
        meta,
        snapshotId: 7,
        chunk: 0,
        last: true,
        crc,
        data
      },
      5
    )
  return { disk, answers, installed, hand }
}

describe('SnapshotReceiver', () => {
  it('switches when the last chunk is there, and answers once that is durable', () => {
    const { disk, answers, installed, hand } = receiverWhere(true)
    hand(chunkData())
    expect(answers).toEqual([])
    disk.completeAll()
    expect(installed).toEqual([20])
    expect(answers).toMatchObject([{ installed: true, index: 20 }])
    expect(disk.group('g').getState('key')?.toString()).toBe('value')
  })

  it('keeps its log when that holds the last entry of the snapshot already', () => {
    const { disk, answers, installed, hand } = receiverWhere(false)
    hand(chunkData())
    disk.completeAll()
    expect(installed).toEqual([])
    expect(answers).toMatchObject([{ installed: true, index: 20 }])
    expect(disk.group('g').getState('key')).toBeUndefined()
    expect(disk.group('g').firstIndex()).toBe(1)
  })

  it('does not answer a damaged chunk, and takes its repetition', () => {
    const { disk, answers, installed, hand } = receiverWhere(true)
    const damaged = chunkData()
    damaged[1]! ^= 1
    hand(damaged, crc32(chunkData()))
    expect(answers).toEqual([])
    hand(chunkData())
    disk.completeAll()
    expect(installed).toEqual([20])
  })
})
