import { afterEach, describe, expect, it } from 'vitest'
import { packet, priorities } from '../../src/protocol/packet.ts'
import {
  type NetworkTestOptions,
  type NetworkUnderTest,
  startNetwork
} from '../support/peer-network-harness.ts'
import { helloFrame } from '../support/raw-node.ts'
import { RawPeer } from '../support/raw-peer.ts'
import { until } from '../support/until.ts'

const chunkBytes = 128 * 1024
/** Two pieces of a queue may be on their way when something urgent comes. */
const onTheWayBytes = 4 * chunkBytes
const queueBytes = 8 * 1024 * 1024
const urgentQueueBytes = 64 * 1024

const started: NetworkUnderTest[] = []
const raws: RawPeer[] = []

async function start(options: NetworkTestOptions): Promise<NetworkUnderTest> {
  const under = await startNetwork(options)
  started.push(under)
  return under
}

afterEach(async () => {
  for (const raw of raws.splice(0)) raw.socket.destroy()
  await Promise.all(started.splice(0).map(under => under.network.close()))
})

/** `a`, which has router x, and a node with router y on a connection to it that reads nothing at present. */
async function withSlowPeer(): Promise<{ a: NetworkUnderTest; raw: RawPeer }> {
  const limits = { queueBytes, urgentQueueBytes, linkTimeoutMs: 100_000 }
  const a = await start({ nodeId: 'a', endpoints: ['x'], limits })
  const raw = new RawPeer(Number(a.address.split(':')[1]))
  raws.push(raw)
  raw.write(await helloFrame(raw, { endpoints: [{ index: 0, id: 'y' }] }))
  await raw.first('WELCOME')
  raw.socket.pause()
  return { a, raw }
}

const chunk = (sequence: number) =>
  packet('RAFT', { data: Buffer.alloc(chunkBytes) }, { sequence, bootId: 5 })
const heartbeat = (sequence: number) =>
  packet('RAFT', { data: Buffer.alloc(30) }, { sequence, bootId: 5, priority: priorities.urgent })

/** Sends chunks until the queue is full; how many it took. */
function fill({ network }: NetworkUnderTest): number {
  let count = 0
  while (network.send('x', 'y', chunk(count + 1))) count++
  return count
}

/** How much of a kind has come, in order. */
function sequencesOf(raw: RawPeer, priority: number): number[] {
  return raw.frames
    .filter(({ packet: got }) => got.kind === 'RAFT' && got.priority === priority)
    .map(({ packet: got }) => got.sequence)
}

describe('a peer that reads slowly', () => {
  it('gets heartbeats behind what is on its way, not behind the queue', async () => {
    const { a, raw } = await withSlowPeer()
    const chunks = fill(a)
    const sentBytes = chunks * chunkBytes
    expect(sentBytes).toBeGreaterThan(queueBytes)
    for (let i = 1; i <= 20; i++) expect(a.network.send('x', 'y', heartbeat(i))).toBe(true)
    raw.socket.resume()
    await until('everything has come', () => {
      return sequencesOf(raw, priorities.normal).length === chunks
    })
    expect(sequencesOf(raw, priorities.urgent)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
    expect(sequencesOf(raw, priorities.normal)).toEqual(
      Array.from({ length: chunks }, (_, i) => i + 1)
    )
    const last = raw.frames.findIndex(({ packet: got }) => {
      return got.priority === priorities.urgent && got.sequence === 20
    })
    const before = raw.frames.slice(0, last).filter(({ packet: got }) => got.kind === 'RAFT')
    // All that the kernel had taken when the queue was full was ahead of them; the queue was not.
    const aheadBytes = (before.length - 19) * chunkBytes
    expect(aheadBytes).toBeLessThan(sentBytes - queueBytes + onTheWayBytes)
  })

  it('has room for heartbeats when its queue is full, with a bound of their own', async () => {
    const { a, raw } = await withSlowPeer()
    fill(a)
    let urgent = 0
    while (a.network.send('x', 'y', heartbeat(urgent + 1))) urgent++
    expect(urgent).toBeGreaterThan(500)
    expect(urgent).toBeLessThan(1_500)
    expect(a.network.send('x', 'y', chunk(0))).toBe(false)
    raw.socket.resume()
    await until('the heartbeats', () => sequencesOf(raw, priorities.urgent).length === urgent)
    await until('it takes more', () => a.network.send('x', 'y', chunk(0)))
  })

  it('does not hold up what goes to another', async () => {
    const { a, raw } = await withSlowPeer()
    const b = await start({ nodeId: 'b', endpoints: ['z'] })
    a.network.learn('z', b.address)
    a.network.interest('z')
    await until('b is there', () => a.peers.includes('z up'))
    const chunks = fill(a)
    for (let i = 1; i <= 20; i++) a.network.send('x', 'z', i % 2 === 0 ? chunk(i) : heartbeat(i))
    await until('b has all of its own', () => b.received.length === 20)
    expect(new Set(b.received.map(({ packet: got }) => got.sequence)).size).toBe(20)
    expect(sequencesOf(raw, priorities.normal)).toEqual([])
    raw.socket.resume()
    await until('the slow one, too', () => {
      return sequencesOf(raw, priorities.normal).length === chunks
    })
  })
})
