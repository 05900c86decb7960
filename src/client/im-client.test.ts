import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FakeTableKeeper } from '../../test/support/fake-table-keeper.ts'
import { until } from '../../test/support/until.ts'
import { noMetrics, silentLog } from '../base/ports.ts'
import { ClientListener } from '../net/client-listener.ts'
import { breakMessage } from '../protocol/eras.ts'
import type { Message } from '../protocol/kinds.ts'
import { answer, type Packet, packet } from '../protocol/packet.ts'
import { p2pSession } from '../protocol/session.ts'
import type { ClientEvents } from '../transfer/client-links.ts'
import { MemoryStore } from './cursor-store.ts'
import { ImClient } from './im-client.ts'
import type { ImClientOptions } from './im-types.ts'

const session = p2pSession('ann', 'bob')

/** A gateway with one timeline and no cluster behind it, on a real port. */
class Gateway implements ClientEvents {
  readonly listener = new ClientListener({
    carry: 'stamp',
    keeper: new FakeTableKeeper(),
    log: silentLog,
    metrics: noMetrics,
    clock: { nowMs: () => performance.now(), wallMs: () => Date.now() }
  })
  readonly timeline: Message[] = []
  readonly online = new Set<number>()
  readonly connects: Packet<'CONNECT'>['payload'][] = []
  byes = 0
  address = ''
  /** ACKs and pushes are lost while set. */
  mute = false

  async listen(): Promise<void> {
    const { host, port } = await this.listener.listen({ host: '127.0.0.1', port: 0 }, this)
    this.address = `tcp://${host}:${port}`
  }

  onClientOpen(): void {}

  onClientClosed(connId: number): void {
    this.online.delete(connId)
  }

  onClientPacket(connId: number, received: Packet): void {
    const reply = (sent: Packet): boolean => this.listener.send(connId, sent)
    if (received.kind === 'CONNECT') {
      this.connects.push(received.payload)
      if (received.payload.token !== 'good') {
        this.listener.close(connId, 'BAD_TOKEN')
        return
      }
      this.online.add(connId)
      this.listener.authenticated(connId)
      const bounds = { heartbeatMinMs: 1_000, heartbeatMaxMs: 60_000 }
      const welcome = { bootId: 1, connId, serverTimeMs: 1, bodyLimitBytes: 100, ...bounds }
      reply(packet('CONNECTED', welcome))
    } else if (received.kind === 'SEND') this.#append(connId, received)
    else if (received.kind === 'PING') {
      const cursor = received.payload.cursors[0]?.msgid ?? 0
      reply(packet('PUSH', { pages: [this.#page(cursor + 1, 100)] }))
      reply(answer(received, 'PONG', { serverTimeMs: 1, more: false }))
    } else if (received.kind === 'HISTORY') {
      const { from, limit } = received.payload
      reply(answer(received, 'HISTORY_OK', this.#page(from, limit)))
    } else if (received.kind === 'BYE') this.byes++
  }

  #append(connId: number, { payload, ...header }: Packet<'SEND'>): void {
    const { clientMsgId, type, body } = payload
    let known = this.timeline.find(one => one.clientMsgId === clientMsgId)
    const duplicate = known !== undefined
    if (!known) {
      const msgid = (this.timeline.at(-1)?.msgid ?? 0) + 1
      known = { msgid, from: 'ann', deviceId: 'd', clientMsgId, type, atMs: 7, body }
      this.timeline.push(known)
    }
    if (this.mute) return
    const { msgid, atMs } = known
    const ack = { clientMsgId, session: payload.session, msgid, duplicate, atMs }
    this.listener.send(connId, answer(header, 'ACK', ack))
    const push = packet('PUSH', { pages: [this.#page(msgid, 1)] })
    for (const one of this.online) this.listener.send(one, push)
  }

  #page(from: number, limit: number) {
    const latest = this.timeline.at(-1)?.msgid ?? 0
    const messages = this.timeline.filter(({ msgid }) => msgid >= from).slice(0, limit)
    return { session, first: 1, latest, messages }
  }

  cutAll(): void {
    for (const connId of [...this.online]) this.listener.close(connId)
  }
}

describe('ImClient', () => {
  let gateway: Gateway
  let clients: ImClient[]

  const make = (options: Partial<ImClientOptions> = {}): ImClient => {
    const addresses = [gateway.address]
    const client = new ImClient({ uid: 'ann', token: 'good', addresses, ...options })
    clients.push(client)
    return client
  }

  beforeEach(async () => {
    gateway = new Gateway()
    clients = []
    await gateway.listen()
  })
  afterEach(async () => {
    await Promise.all(clients.map(client => client.close()))
    await gateway.listener.stop()
  })

  it('sends, receives its own message too, reads history, says BYE', async () => {
    const client = make()
    const got: string[] = []
    client.onMessage(({ text, from, msgid }) => {
      got.push(`${from} #${msgid}: ${text}`)
    })
    await client.connect()
    const sent = await client.sendText('bob', 'hi')
    expect(sent).toEqual({ session, msgid: 1, duplicate: false, atMs: 7 })
    await until('its own message', () => got.length > 0)
    expect(got).toEqual(['ann #1: hi'])
    for (const text of ['b', 'c']) await client.sendText('bob', text)
    const { messages, latest } = await client.history({ session, limit: 2 })
    expect(latest).toBe(3)
    expect(messages.map(({ text }) => text)).toEqual(['b', 'c'])
    expect((await client.history({ session, from: 1, limit: 1 })).messages[0]!.text).toBe('hi')
    await client.close()
    expect(client.state).toBe('closed')
    await until('BYE', () => gateway.byes === 1)
  })

  it('reads the newest messages across breaks', async () => {
    const client = make()
    await client.connect()
    for (const text of ['a', 'b', 'c']) await client.sendText('bob', text)
    gateway.timeline.push(breakMessage(1, 3, 7))
    for (const text of ['d', 'e']) await client.sendText('bob', text)
    const newest = async (limit: number): Promise<string> => {
      const { messages } = await client.history({ session, limit })
      return messages.map(({ text }) => text).join(' ')
    }
    expect(await newest(2)).toBe('d e')
    expect(await newest(4)).toBe('c 3 d e')
    expect(await newest(100)).toBe('a b c 3 d e')
  })

  it('keeps what was sent before connecting, and repeats over a cut without doubling', async () => {
    const client = make()
    const states: string[] = []
    client.onState(state => states.push(state))
    const early = client.sendText('bob', 'early')
    await client.connect()
    expect(await early).toMatchObject({ msgid: 1 })
    gateway.mute = true
    const cut = client.sendText('bob', 'cut')
    await until('the second message', () => gateway.timeline.length === 2)
    gateway.mute = false
    gateway.cutAll()
    expect(await cut).toMatchObject({ msgid: 2, duplicate: true })
    expect(gateway.timeline).toHaveLength(2)
    expect(states).toEqual(['connecting', 'connected', 'waiting', 'connecting', 'connected'])
    expect(gateway.connects[1]!.connSeq).toBeGreaterThan(gateway.connects[0]!.connSeq)
  })

  it('goes on where its store ended, with new ids, as the same device', async () => {
    const store = new MemoryStore()
    const first = make({ store })
    const got: number[] = []
    const listen = ({ msgid }: { readonly msgid: number }): void => {
      got.push(msgid)
    }
    first.onMessage(listen)
    await first.connect()
    await first.sendText('bob', 'a')
    await until('a', () => got.length === 1)
    await first.close()
    await expect(first.sendText('bob', 'x')).rejects.toMatchObject({ code: 'CANCELLED' })
    const second = make({ store })
    second.onMessage(listen)
    await second.connect()
    await second.sendText('bob', 'b')
    await until('b', () => got.length === 2)
    expect(got).toEqual([1, 2])
    expect(second.deviceId).toBe(first.deviceId)
    const [a, b] = gateway.timeline
    expect(b!.clientMsgId).toBeGreaterThan(a!.clientMsgId)
  })

  it('waits for a listener that is at work, and remembers only what it has finished', async () => {
    const store = new MemoryStore()
    const client = make({ store })
    let finish = (): void => {}
    let began = 0
    client.onMessage(() => {
      began++
      return new Promise(resolve => {
        finish = resolve
      })
    })
    await client.connect()
    await client.sendText('bob', 'a')
    await client.sendText('bob', 'b')
    await until('the first delivery', () => began === 1)
    const closed = client.close()
    finish()
    await closed
    expect(began).toBe(1)
    expect((await store.load()).cursors).toEqual([{ session, msgid: 1 }])
  })

  it('offers a message again that its listener failed on', async () => {
    const client = make()
    const got: number[] = []
    let failures = 2
    client.onMessage(({ msgid }) => {
      if (failures-- > 0) return failures === 1 ? Promise.reject(new Error('no')) : fail()
      got.push(msgid)
      return undefined
    })
    await client.connect()
    await client.sendText('bob', 'a')
    await client.sendText('bob', 'b')
    await until('both', () => got.length === 2)
    expect(got).toEqual([1, 2])
  })

  it('rejects what is hopeless', async () => {
    const refused = make({ token: 'bad' })
    await expect(refused.connect()).rejects.toMatchObject({ code: 'BAD_TOKEN' })
    await expect(refused.sendText('bob', 'x')).rejects.toMatchObject({ code: 'BAD_TOKEN' })
    const client = make()
    await expect(client.send({ session: 'x', type: 0, body: '' })).rejects.toMatchObject({
      code: 'BAD_SESSION'
    })
    const body = Buffer.alloc(2 * 1024 * 1024)
    await expect(client.send({ session, type: 1, body })).rejects.toMatchObject({
      code: 'BODY_TOO_LARGE'
    })
    expect(() => make({ addresses: [] })).toThrowError(/address/)
    expect(() => make({ uid: '' })).toThrowError()
  })

  it('gives up connecting when told to', async () => {
    const client = make({ addresses: ['tcp://127.0.0.1:1'], connectDeadlineMs: 50 })
    await expect(client.connect()).rejects.toMatchObject({ code: 'TIMEOUT' })
    expect(client.state).toBe('closed')
  })

  it('asks for a fresh token for every attempt', async () => {
    let asked = 0
    const client = make({ token: () => Promise.resolve(++asked === 1 ? 'stale' : 'good') })
    await client.connect()
    expect(asked).toBe(2)
  })
})

function fail(): never {
  throw new Error('no')
}
