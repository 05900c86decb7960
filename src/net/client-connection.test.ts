import { createServer } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import {
  type ListenerTestOptions,
  type ListenerUnderTest,
  startListener
} from '../../test/support/client-listener-harness.ts'
import { FakeTableKeeper, fakeTable } from '../../test/support/fake-table-keeper.ts'
import { until } from '../../test/support/until.ts'
import type { RingsetError } from '../base/errors.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { listenOn } from './address.ts'
import { ClientConnection, type ClientConnectionOptions } from './client-connection.ts'

const started: ListenerUnderTest[] = []
const open: ClientConnection[] = []

async function start(options: ListenerTestOptions = {}): Promise<ListenerUnderTest> {
  const under = await startListener({
    onPacket: (listener, connId, got) => {
      if (got.kind === 'PING') {
        listener.send(connId, answer(got, 'PONG', { serverTimeMs: 1, more: false }))
      }
    },
    ...options
  })
  started.push(under)
  return under
}

interface Client {
  readonly connection: ClientConnection
  readonly received: Packet[]
  readonly closed: (RingsetError | undefined)[]
}

async function client(
  address: string,
  options: Partial<ClientConnectionOptions> = {}
): Promise<Client> {
  const received: Packet[] = []
  const closed: (RingsetError | undefined)[] = []
  const connection = await ClientConnection.connect(address, {
    onPacket: got => received.push(got),
    onClose: error => closed.push(error),
    ...options
  })
  open.push(connection)
  return { connection, received, closed }
}

afterEach(async () => {
  for (const connection of open.splice(0)) connection.close()
  await Promise.all(started.splice(0).map(under => under.listener.stop()))
})

const ping = (sequence: number) =>
  packet('PING', { intervalMs: 1, full: false, cursors: [] }, { bootId: 4, sequence })
const connectPacket = packet('CONNECT', {
  token: 't',
  deviceId: 'd',
  class: 'bot',
  sdkVersion: '1',
  connSeq: 1
})

describe('ClientConnection', () => {
  it('sends and receives in order', async () => {
    const under = await start()
    const { connection, received } = await client(under.address)
    connection.send(connectPacket)
    for (let i = 0; i < 100; i++) expect(connection.send(ping(i))).toBe(true)
    await until('all', () => received.length === 100)
    expect(received.map(got => got.sequence)).toEqual(received.map((_, i) => i))
  })

  it('tells why the other end closed it, once', async () => {
    const under = await start()
    const { connection, closed } = await client(under.address)
    await until('open', () => under.opened.length === 1)
    under.listener.close(under.opened[0]!, 'BAD_TOKEN', 'no')
    await until('closed', () => closed.length === 1)
    expect(closed[0]).toMatchObject({ code: 'BAD_TOKEN', message: 'no' })
    expect(connection.send(ping(1))).toBe(false)
    connection.close()
    expect(closed.length).toBe(1)
  })

  it('tells of a lost connection, and of its own close without an error', async () => {
    const under = await start()
    const lost = await client(under.address)
    await until('open', () => under.opened.length === 1)
    under.listener.close(under.opened[0]!)
    await until('closed', () => lost.closed.length === 1)
    expect(lost.closed[0]).toMatchObject({ code: 'UNREACHABLE' })
    const left = await client(under.address)
    left.connection.send(ping(1))
    left.connection.close()
    expect(left.connection.send(ping(2))).toBe(false)
    await until('closed', () => left.closed.length === 1)
    expect(left.closed).toEqual([undefined])
    await until('what was sent', () => under.received.length === 1)
    expect(left.received).toEqual([])
  })

  it('cannot connect to nobody, nor to nonsense', async () => {
    const server = createServer()
    const { port } = await listenOn(server, { host: '127.0.0.1', port: 0 }, console)
    await new Promise(resolve => server.close(resolve))
    const options = { onPacket: () => {}, onClose: () => {} }
    await expect(
      ClientConnection.connect(`tcp://127.0.0.1:${port}`, options)
    ).rejects.toMatchObject({ code: 'UNREACHABLE' })
    for (const address of ['nonsense', 'udp://x:1', 'x:0', 'x:70000', 'a b:1', '']) {
      await expect(ClientConnection.connect(address, options)).rejects.toMatchObject({
        code: 'CONFIG_INVALID'
      })
    }
  })

  it('closes with the code when the other end talks garbage', async () => {
    const server = createServer(socket => socket.end(Buffer.alloc(60)))
    const { port } = await listenOn(server, { host: '127.0.0.1', port: 0 }, console)
    const { closed } = await client(`127.0.0.1:${port}`)
    await until('closed', () => closed.length === 1)
    expect(closed[0]).toMatchObject({ code: 'BAD_FRAME' })
    server.close()
  })

  it('says when too much is unsent or a frame is too large', async () => {
    const under = await start()
    const limits = { queueBytes: 200_000, frameBytes: 50_000 }
    const { connection } = await client(under.address, { limits })
    connection.send(connectPacket)
    await until('in', () => under.received.length === 1)
    under.listener.setReading(under.opened[0]!, false)
    const send = (bytes: number) =>
      packet('SEND', { clientMsgId: 1, session: 's', type: 0, body: Buffer.alloc(bytes) })
    expect(connection.send(send(50_000))).toBe(false)
    await until('full', () => !connection.send(send(40_000)))
  })

  it('adopts the table it is given before the packet is delivered, and shows its epoch from then on', async () => {
    const under = await start({ table: fakeTable(6, 'six') })
    const keeper = new FakeTableKeeper()
    const epochs: number[] = []
    const { connection } = await client(under.address, {
      keeper,
      onPacket: () => epochs.push(keeper.view().epoch)
    })
    connection.send(connectPacket)
    connection.send(ping(1))
    connection.send(ping(2))
    await until('answered', () => epochs.length === 2)
    expect(epochs).toEqual([6, 6])
    connection.send(ping(3))
    await until('answered', () => epochs.length === 3)
    expect(under.received.at(-1)!.packet).toMatchObject({ epoch: 6, clusterTag: 7 })
    expect(keeper.adoptions).toEqual(['adopted'])
  })

  it('pulls the table when it is shown a newer one that does not come', async () => {
    const under = await start({ table: fakeTable(6, 'six') })
    const keeper = new FakeTableKeeper(fakeTable(5, 'five'))
    const { connection, received } = await client(under.address, { keeper })
    // Answered before it is let in, so without the table.
    connection.send(ping(1))
    await until('answered', () => received.length === 1)
    expect(keeper.view().epoch).toBe(5)
    await until('asked for', () => under.received.some(r => r.packet.kind === 'TABLE_PULL'))
  })
})
