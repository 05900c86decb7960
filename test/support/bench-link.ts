/**
 * Micro-benchmark of frames and links: `node --import tsx test/support/bench-link.ts`. The other end of the loopback part is a
 * process of its own.
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ByteWriter } from '../../src/base/bytes.ts'
import { decodeFrame, encodeFrame, FrameReader } from '../../src/protocol/frame.ts'
import { answer, type Packet, packet } from '../../src/protocol/packet.ts'
import { type NetworkUnderTest, startNetwork } from './peer-network-harness.ts'
import { until } from './until.ts'

const body = Buffer.alloc(128, 'x')
const rounds = 5

function append(sequence: number): Packet {
  const payload = {
    session: 'p2p/alice-00001/bob-00002',
    uid: 'alice-00001',
    deviceId: 'phone-1',
    clientMsgId: sequence,
    type: 0,
    body
  }
  return packet('APPEND', payload, { bootId: 77, sequence, slot: 12, slotEpoch: 3, term: 4 })
}

function report(what: string, frames: number, seconds: number[]): void {
  const rates = seconds.map(s => frames / s / 1_000).sort((a, b) => a - b)
  const median = rates[rates.length >> 1]!
  console.log(`${what}: ${median.toFixed(0)} k/s (${rates.map(r => r.toFixed(0)).join(' ')})`)
}

/** CPU seconds, not elapsed ones: other processes on the machine then disturb less. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function benchCodec(): void {
  const perChunk = 256
  const chunks = 2_000
  const packets = Array.from({ length: perChunk }, (_, i) => append(i + 1))
  const writer = new ByteWriter(64 * 1024)
  const reader = new FrameReader(1 << 20)
  const encodeSeconds: number[] = []
  const decodeSeconds: number[] = []
  let decoded = 0
  for (let round = 0; round < rounds; round++) {
    let startSeconds = cpuSeconds()
    for (let i = 0; i < chunks; i++) {
      writer.reset()
      for (const sent of packets) encodeFrame(writer, sent, 0, 1, 9, 3)
    }
    encodeSeconds.push(cpuSeconds() - startSeconds)
    startSeconds = cpuSeconds()
    for (let i = 0; i < chunks; i++) {
      reader.push(writer.copy())
      while (reader.next()) {
        decoded += decodeFrame(reader.buffer, reader.start, reader.end).to === 0 ? 1 : 0
      }
    }
    decodeSeconds.push(cpuSeconds() - startSeconds)
  }
  if (decoded !== perChunk * chunks * rounds) throw new Error('frames got lost')
  const both = encodeSeconds.map((seconds, i) => seconds + decodeSeconds[i]!)
  const frames = perChunk * chunks
  console.log(`frames of ${Math.round(writer.length / perChunk)} bytes, per CPU second`)
  report('encode', frames, encodeSeconds)
  report('decode', frames, decodeSeconds)
  report('encode + decode', frames, both)
}

async function benchLoopback(): Promise<void> {
  const child = fork(fileURLToPath(import.meta.url), ['peer'], { execArgv: ['--import', 'tsx'] })
  const [address] = (await once(child, 'message')) as [string]
  let answers = 0
  let next: (() => void) | undefined
  const bench: NetworkUnderTest = await startNetwork({
    nodeId: 'bench',
    bootId: 1,
    listens: false,
    records: false,
    endpoints: ['bench'],
    onPacket: () => {
      answers++
      next?.()
    }
  })
  bench.network.learn('peer', address)
  bench.network.interest('peer')
  await until('connected', () => bench.peers.length === 1)
  await oneWay(bench, () => answers)
  for (const inFlight of [1, 64, 256]) {
    const seconds: number[] = []
    const requests = inFlight === 1 ? 20_000 : 200_000
    for (let round = 0; round < rounds; round++) {
      answers = 0
      let sent = 0
      const startMs = performance.now()
      next = () => {
        if (sent < requests) bench.network.send('bench', 'peer', append(++sent))
      }
      for (let i = 0; i < inFlight; i++) next()
      await until('answers', () => answers === requests)
      next = undefined
      seconds.push((performance.now() - startMs) / 1_000)
    }
    report(`request/response, ${inFlight} in flight`, requests, seconds)
  }
  await bench.network.close()
  child.kill()
}

/** Sequence 0 asks for no answer; the last frame of a round does. */
async function oneWay(bench: NetworkUnderTest, answers: () => number): Promise<void> {
  const frames = 300_000
  const plain = append(0)
  const seconds: number[] = []
  for (let round = 0; round < rounds; round++) {
    const before = answers()
    const startMs = performance.now()
    for (let sent = 0; sent < frames; ) {
      for (let i = 0; i < 500; i++) {
        bench.network.send('bench', 'peer', ++sent === frames ? append(1) : plain)
      }
      await new Promise(resolve => setImmediate(resolve))
    }
    await until('the last', () => answers() > before)
    seconds.push((performance.now() - startMs) / 1_000)
  }
  report('one way, 500 frames a turn', frames, seconds)
}

async function servePeer(): Promise<void> {
  const under: NetworkUnderTest = await startNetwork({
    nodeId: 'peer',
    bootId: 2,
    records: false,
    endpoints: ['peer'],
    onPacket: (to, from, received) => {
      if (received.sequence === 0) return
      const payload = { msgid: received.sequence, duplicate: false, atMs: 1_700_000_000_000 }
      under.network.send(to, from, answer(received, 'APPEND_OK', payload))
    }
  })
  process.send!(under.address)
}

if (process.argv[2] === 'peer') await servePeer()
else {
  benchCodec()
  if (process.argv[2] !== 'codec') await benchLoopback()
}
