import { noMetrics, silentLog } from '../../src/base/ports.ts'
import type { ClientLimits } from '../../src/net/client-limits.ts'
import { ClientListener } from '../../src/net/client-listener.ts'
import type { LinkFaults } from '../../src/net/link-faults.ts'
import type { CarryMode } from '../../src/protocol/carrier.ts'
import type { Packet } from '../../src/protocol/packet.ts'
import { FakeTableKeeper } from './fake-table-keeper.ts'
import { realClock } from './peer-network-harness.ts'

/** A `ClientListener` whose transfer only writes down what it is told. */
export interface ListenerUnderTest {
  readonly listener: ClientListener
  readonly keeper: FakeTableKeeper
  readonly opened: number[]
  readonly closed: number[]
  readonly received: { readonly connId: number; readonly packet: Packet }[]
  readonly counts: Map<string, number>
  readonly port: number
  readonly address: string
}

export interface ListenerTestOptions {
  readonly limits?: Partial<ClientLimits>
  readonly table?: Buffer
  readonly carry?: CarryMode
  readonly faults?: LinkFaults
  /** False: `received` stays empty. */
  readonly records?: boolean
  /** Comes after `authenticated`, which every CONNECT leads to. */
  onPacket?(listener: ClientListener, connId: number, packet: Packet): void
}

export async function startListener(options: ListenerTestOptions = {}): Promise<ListenerUnderTest> {
  const keeper = new FakeTableKeeper(options.table)
  const counts = new Map<string, number>()
  const opened: number[] = []
  const closed: number[] = []
  const received: { connId: number; packet: Packet }[] = []
  const listener = new ClientListener({
    carry: options.carry ?? 'stamp',
    limits: options.limits,
    faults: options.faults,
    keeper,
    log: silentLog,
    metrics: {
      ...noMetrics,
      count: (name, amount = 1) => counts.set(name, (counts.get(name) ?? 0) + amount)
    },
    clock: realClock
  })
  const events = {
    onClientOpen: (connId: number) => opened.push(connId),
    onClientPacket: (connId: number, packet: Packet) => {
      if (options.records !== false) received.push({ connId, packet })
      if (packet.kind === 'CONNECT') listener.authenticated(connId)
      options.onPacket?.(listener, connId, packet)
    },
    onClientClosed: (connId: number) => closed.push(connId)
  }
  const { host, port } = await listener.listen({ host: '127.0.0.1', port: 0 }, events)
  const address = `tcp://${host}:${port}`
  return { listener, keeper, opened, closed, received, counts, port, address }
}
