import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { ByteWriter } from '../../src/base/bytes.ts'
import { crc32OfString } from '../../src/base/crc32.ts'
import { createToken } from '../../src/net/token.ts'
import { decodeFrame, encodeFrame, linkIndex } from '../../src/protocol/frame.ts'
import { type Packet, packet } from '../../src/protocol/packet.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import type { RoutingTable } from '../../src/table/table.ts'
import { decodeTable, encodeTable } from '../../src/table/table-codec.ts'
import { withKinds } from './pages.ts'

const text = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8')

/** The bytes of the block ```hex NAME: what stands in front of the remark, which two blanks separate. */
function bytesOf(name: string): Buffer {
  const block = new RegExp(`^\`\`\`hex ${name}\\n([^\`]*)^\`\`\``, 'm').exec(text)?.[1]
  expect(block, name).toBeDefined()
  const lines = block!.trimEnd().split('\n')
  const hex = lines.map(line => line.split('  ')[0]!.replaceAll(' ', ''))
  for (const part of hex) expect(part).toMatch(/^([0-9a-f]{2})+$/)
  return Buffer.from(hex.join(''), 'hex')
}

function frameOf(sent: Packet, clusterTag: number, epoch: number): Buffer {
  const writer = new ByteWriter()
  encodeFrame(writer, sent, linkIndex, linkIndex, clusterTag, epoch)
  return writer.copy()
}

const secret = Buffer.from([...Array(32).keys()])
const token = createToken(secret, 'ann', 1_900_000_000_000)
const ids = { bootId: 0x0123456789ab, sequence: 1 }
const session = p2pSession('bob', 'ann')

const examples = {
  CONNECT: frameOf(
    packet('CONNECT', {
      token,
      deviceId: 'd1',
      class: 'mobile',
      sdkVersion: '1',
      connSeq: 1
    }),
    0,
    0
  ),
  SEND: frameOf(
    packet('SEND', { clientMsgId: 1, session, type: 0, body: Buffer.from('hello') }, ids),
    0,
    0
  ),
  ACK: frameOf(
    packet(
      'ACK',
      { clientMsgId: 1, session, msgid: 300, duplicate: false, atMs: 1_700_000_000_000 },
      ids
    ),
    0x4d2e,
    7
  )
}

const node = { nodeId: 'n1', address: '127.0.0.1:7101' }
const table: RoutingTable = {
  clusterId: '0a1b2c3d4e5f',
  epoch: 7,
  slotCount: 16,
  runs: [{ first: 0, count: 16, setId: 's1', slotEpoch: 1 }],
  moves: [],
  grey: [],
  tenants: [],
  pins: [],
  sets: [
    {
      id: 's1',
      zone: 'default',
      state: 'active',
      weight: 1,
      transfers: [
        {
          ...node,
          id: 't1',
          bootId: 1,
          state: 'up',
          version: '0.1.0',
          weight: 1,
          clientAddresses: ['tcp://127.0.0.1:7121']
        }
      ],
      logics: [],
      routers: [{ ...node, replicaId: 1, role: 'voter', bootId: 1, state: 'up' }]
    }
  ],
  arbiters: [{ ...node, replicaId: 1 }]
}

describe('docs/protocol.md', () => {
  it('has the number and the fields of every kind (`npm run docs` writes them)', () => {
    expect(withKinds(text)).toBe(text)
  })

  it.each(Object.entries(examples))('shows the bytes of %s as they are', (kind, frame) => {
    expect(bytesOf(kind).toString('hex')).toBe(frame.toString('hex'))
    expect(decodeFrame(frame, 0, frame.length).packet.kind).toBe(kind)
    expect(text).toContain(`${kind}, ${frame.length} bytes`)
  })

  it('shows a token, a session and slots as they are', () => {
    expect(text).toContain(token.split('.')[3])
    expect(text).toContain(`| \`bob\`, \`ann\` | \`${session}\` |`)
    expect(text).toContain(`| \`a/b\`, \`50%\` | \`${p2pSession('a/b', '50%')}\` |`)
    for (const uid of ['ann', 'bob']) {
      const hash = crc32OfString(uid)
      expect(text).toContain(`| \`${uid}\` | \`${hash.toString(16)}\` | ${hash % 1_024} |`)
    }
    const key = routingKey(session, parseSession(session))
    const hash = crc32OfString(session).toString(16)
    expect(text).toContain(
      `crc32(\`${session}\`) = \`${hash}\`, even, so its routing key is \`${key}\``
    )
  })

  it('shows a routing table as it is', () => {
    expect(bytesOf('table').toString('hex')).toBe(encodeTable(table).toString('hex'))
    expect(decodeTable(bytesOf('table'))).toEqual(table)
  })
})
