import { afterEach, describe, expect, it } from 'vitest'
import type { Frame } from '../../src/protocol/frame.ts'
import { packet } from '../../src/protocol/packet.ts'
import { type NetworkUnderTest, startNetwork } from '../support/peer-network-harness.ts'
import { helloFrame, SilentNode } from '../support/raw-node.ts'
import { RawPeer } from '../support/raw-peer.ts'
import { until } from '../support/until.ts'

const closers: (() => unknown)[] = []

afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

/** Process `a` with endpoint `x`, and a hand-made one with `y` that it dials. */
async function dialing(limits: object, onHello?: (a: NetworkUnderTest) => void) {
  const a = await startNetwork({ nodeId: 'a', endpoints: ['x'], limits })
  const silent = new SilentNode('y', undefined, () => onHello?.(a))
  closers.push(
    () => silent.close(),
    () => a.network.close()
  )
  a.network.learn('y', await silent.listen())
  a.network.interest('y')
  await until('up', () => a.peers.includes('y up'))
  return { a, silent }
}

/** The endpoints of each announcement, in order, of those that came after the handshake. */
function announced(frames: readonly Frame[]): string[][] {
  return frames.flatMap(({ packet: got }) =>
    got.kind === 'WELCOME' ? [got.payload.endpoints.map(({ id }) => id)] : []
  )
}

const question = packet('LOOKUP', { uids: ['a'] })

describe('an endpoint is announced', () => {
  it('when it comes into being during the handshake, before anything comes from it', async () => {
    const { a, silent } = await dialing({}, ({ network }) => network.addLocal('late'))
    a.network.send('late', 'y', question)
    await until('asked', () => silent.frames.length >= 2)
    expect(silent.frames.map(({ packet: got, from }) => [got.kind, from])).toEqual([
      ['WELCOME', 0xff],
      ['LOOKUP', 1]
    ])
    expect(announced(silent.frames)).toEqual([['x', 'late']])
  })

  it('again on the link that takes over, where that has not told of it', async () => {
    const { a, silent } = await dialing({ suspectMs: 300, linkTimeoutMs: 100_000 })
    const raw = new RawPeer(Number(a.address.split(':')[1]))
    closers.push(() => raw.socket.destroy())
    raw.write(await helloFrame(raw, { nodeId: 'silent', bootId: 4, endpoints: [] }))
    await raw.first('WELCOME')
    a.network.addLocal('late')
    await until('told on the first', () => announced(silent.frames).length === 1)
    await until('the first proved dead', () => a.peers.includes('y down'))
    a.network.send('late', 'y', question)
    await raw.first('LOOKUP')
    expect(announced(raw.frames)).toEqual([['x'], ['x', 'late']])
  })

  it('as soon as there is room, when the queue was full', async () => {
    const { a, silent } = await dialing({ queueBytes: 1_000, urgentQueueBytes: -1 })
    a.network.send('x', 'y', packet('RAFT', { data: Buffer.alloc(500_000) }))
    a.network.addLocal('late')
    await until('announced', () => announced(silent.frames).length > 0)
    expect(announced(silent.frames)).toEqual([['x', 'late']])
  })
})
