import { expect } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import type { KindName, Page, PayloadOf } from '../../src/protocol/kinds.ts'
import { answer, type Packet, packet } from '../../src/protocol/packet.ts'
import { compileTable } from '../../src/table/compile-table.ts'
import type { ProcessEntry } from '../../src/table/table.ts'
import { Transfer } from '../../src/transfer/transfer.ts'
import {
  defaultTransferLimits,
  defaultTransferTimes,
  type TransferLimits
} from '../../src/transfer/transfer-options.ts'
import { FakeClientLinks } from './fake-client-links.ts'
import { imTable, uidIn } from './fake-im-table.ts'
import { FakeRoleEnv } from './fake-role-env.ts'

interface FromTransfer<K extends KindName> {
  readonly to: string
  readonly packet: Packet<K>
}

/** A transfer `t1` of set `s1` on node `n1`; the test plays clients, logics and router. */
export class TransferBench {
  readonly env = new FakeRoleEnv('transfer/t1', 55)
  readonly links = new FakeClientLinks()
  view = imTable(2)
  readonly uid = uidIn(this.view, 's1')
  readonly stranger = uidIn(this.view, 's2')
  readonly transfer: Transfer
  #lastConnId = 0

  constructor(limits: Partial<TransferLimits> = {}) {
    this.env.view = () => this.view
    this.transfer = new Transfer(
      this.env,
      this.links,
      token => (token === 'bad' ? 'BAD_TOKEN' : { uid: token }),
      {
        id: 't1',
        setId: 's1',
        nodeId: 'n1',
        address: '127.0.0.1:7001',
        clientAddresses: ['tcp://127.0.0.1:7050'],
        version: '1',
        arbiters: [],
        limits: { ...defaultTransferLimits, ...limits },
        times: { ...defaultTransferTimes, heartbeatMinMs: 1_000, heartbeatMaxMs: 60_000 }
      }
    )
    this.transfer.start()
  }

  open(): number {
    this.transfer.onClientOpen(++this.#lastConnId)
    return this.#lastConnId
  }

  client(connId: number, sent: Packet): void {
    this.transfer.onClientPacket(connId, sent)
    this.transfer.flush()
  }

  connect(connId: number, uid = this.uid, deviceId = 'phone', connSeq = 1): void {
    const connect = { token: uid, deviceId, class: 'mobile' as const, sdkVersion: '1', connSeq }
    this.client(connId, packet('CONNECT', connect))
  }

  /** A connection that got CONNECTED. */
  online(uid = this.uid, deviceId = 'phone', connSeq = 1): number {
    const connId = this.open()
    this.connect(connId, uid, deviceId, connSeq)
    for (const open of this.take('OPEN')) this.reply(open, 'OPEN_OK', {})
    expect(this.links.take(connId, 'CONNECTED')).toHaveLength(1)
    return connId
  }

  /** Takes the packets of a kind sent to other processes. */
  take<K extends KindName>(kind: K): FromTransfer<K>[] {
    const taken = this.env.sent.filter(({ packet: one }) => one.kind === kind)
    for (const one of taken) this.env.sent.splice(this.env.sent.indexOf(one), 1)
    return taken as unknown as FromTransfer<K>[]
  }

  reply<K extends KindName>(request: FromTransfer<KindName>, kind: K, payload: PayloadOf<K>): void {
    this.transfer.onPacket(request.to, answer(request.packet, kind, payload))
    this.transfer.flush()
  }

  refuse(request: FromTransfer<KindName>, code: ErrorCode, retryAfterMs = 0): void {
    const payload = { code: errorCodes[code].number, text: '', retryAfterMs, hint: undefined }
    this.reply(request, 'ERROR', payload)
  }

  send(connId: number, sequence = 1, body = Buffer.from('hi')): void {
    const send = { clientMsgId: sequence, session: 'p2p/a/b', type: 0, body }
    this.client(connId, packet('SEND', send, { bootId: 9, sequence }))
  }

  deliver(connIds: number[], pages: Page[], transferBootId = this.transfer.transferBootId): void {
    const items = pages.map(page => ({ connIds, page }))
    this.transfer.onPacket('router/s1/1', packet('DELIVER', { transferBootId, items }))
    this.transfer.flush()
  }

  /** Lets time pass; the router grants every lease. */
  pass(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.transfer.tick()
      for (const renew of this.take('RENEW')) this.reply(renew, 'RENEW_OK', { leaseMs: 3_000 })
      this.take('ANNOUNCE')
      this.transfer.flush()
    }
  }
}

export const otherAddress = 'tcp://127.0.0.1:7060'

/** Gateway t1 with a neighbour t9 in its set. */
export class PairBench extends TransferBench {
  constructor() {
    super()
    this.neighbour('up')
  }

  neighbour(state: ProcessEntry['state']): void {
    const table = this.view.table!
    const sets = table.sets.map(set => {
      if (set.id !== 's1') return set
      const own = set.transfers.find(({ id }) => id === 't1')!
      const other = { ...own, id: 't9', nodeId: 'n9', state, clientAddresses: [otherAddress] }
      return { ...set, transfers: [own, other] }
    })
    this.view = compileTable({ ...table, epoch: table.epoch + 1, sets })
    this.transfer.onTable()
  }

  asked(connIds: readonly number[]): number[] {
    return connIds.filter(connId => this.links.take(connId, 'RECONNECT').length > 0)
  }

  lastAnnounced(): boolean | undefined {
    this.transfer.tick()
    return this.take('ANNOUNCE').at(-1)?.packet.payload.stopping
  }
}

/** Messages `from` to `to` of a session. */
export const page = (session: string, from: number, to: number): Page => ({
  session,
  first: 1,
  latest: to,
  messages: Array.from({ length: to - from + 1 }, (_, i) => ({
    msgid: from + i,
    from: 'a',
    deviceId: 'x',
    clientMsgId: from + i,
    type: 0,
    atMs: 1,
    body: Buffer.from('hello')
  }))
})
