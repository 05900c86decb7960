import { expect } from 'vitest'
import { type ErrorCode, errorCodes } from '../../src/base/error-codes.ts'
import { RingsetError } from '../../src/base/errors.ts'
import type { LeaderHint } from '../../src/protocol/kinds.ts'
import { answer, type Packet } from '../../src/protocol/packet.ts'
import { RouteClient } from '../../src/route/route-client.ts'
import type { RouteOptions } from '../../src/route/route-types.ts'
import type { TableView } from '../../src/table/table-view.ts'
import { FakeRoleEnv } from './fake-role-env.ts'
import { oneSetTable } from './router-table.ts'

/** A client against routers played by the test. */
export class RouteBench {
  readonly env = new FakeRoleEnv('logic/l1', 77)
  view: TableView = oneSetTable(3)
  readonly client: RouteClient
  readonly results: (Packet | RingsetError)[] = []

  constructor(options: Partial<RouteOptions> = {}) {
    this.env.view = () => this.view
    this.client = new RouteClient(this.env, options)
  }

  append(deadlineMs = 5_000, slot = 5): void {
    const body = Buffer.from('hi')
    const message = { session: 's', uid: 'u', deviceId: 'd', clientMsgId: 1, type: 0, body }
    this.client.request({ slot }, 'APPEND', message, {
      deadlineMs,
      onDone: result => this.results.push(result)
    })
  }

  /** What was sent since the last look: where to, and the packets. */
  take(): { to: string; packet: Packet }[] {
    return this.env.take()
  }

  /** The one packet sent since the last look. */
  one(): { to: string; packet: Packet } {
    const sent = this.take()
    expect(sent.map(({ to }) => to)).toHaveLength(1)
    return sent[0]!
  }

  pass(ms: number): void {
    for (const end = this.env.now + ms; this.env.now < end; ) {
      this.env.now += 10
      this.client.tick()
    }
  }

  ok(sent: { to: string; packet: Packet }, term = 4): void {
    const payload = { msgid: 9, duplicate: false, atMs: 1 }
    this.client.onPacket(sent.to, answer(sent.packet, 'APPEND_OK', payload, term))
  }

  error(
    sent: { to: string; packet: Packet },
    code: ErrorCode,
    extra: { retryAfterMs?: number; hint?: LeaderHint } = {}
  ): void {
    const { retryAfterMs = 0, hint } = extra
    const payload = { code: errorCodes[code].number, text: code, retryAfterMs, hint }
    this.client.onPacket(sent.to, answer(sent.packet, 'ERROR', payload))
  }

  get code(): string | undefined {
    const [result] = this.results
    return result instanceof RingsetError ? result.code : undefined
  }
}

export const hint = (replicaId: number, term: number): LeaderHint => ({
  setId: 's1',
  replicaId,
  term
})
