import type { Clock } from '../../src/base/ports.ts'
import { noMetrics, silentLog } from '../../src/base/ports.ts'
import { Prng } from '../../src/base/prng.ts'
import type { LinkFaults } from '../../src/net/link-faults.ts'
import type { PeerLimits } from '../../src/net/peer-limits.ts'
import type { LinkPurpose } from '../../src/net/peer-link.ts'
import { PeerNetwork } from '../../src/net/peer-network.ts'
import type { CarryMode } from '../../src/protocol/carrier.ts'
import type { LeaderHint } from '../../src/protocol/kinds.ts'
import type { Packet } from '../../src/protocol/packet.ts'
import { FakeTableKeeper } from './fake-table-keeper.ts'

export const realClock: Clock = { nowMs: () => performance.now(), wallMs: () => Date.now() }
export const testSecret = Buffer.from('a secret for tests only, 32 byte')

export interface Received {
  readonly to: string
  readonly from: string
  readonly packet: Packet
  /** Epoch in force when the packet was delivered. */
  readonly epoch: number
}

/** A `PeerNetwork` on a free port of this machine that writes down whatever it is told. */
export interface NetworkUnderTest {
  readonly network: PeerNetwork
  readonly keeper: FakeTableKeeper
  readonly received: Received[]
  /** `id up`, `id down`, `id refused`, in order. */
  readonly peers: string[]
  readonly hints: LeaderHint[]
  readonly counts: Map<string, number>
  /** Codes with which links were given up. */
  readonly failures: string[]
  address: string
}

export interface NetworkTestOptions {
  readonly nodeId: string
  readonly bootId?: number
  readonly secret?: Buffer
  readonly purpose?: LinkPurpose
  readonly port?: number
  readonly listens?: boolean
  readonly carry?: CarryMode
  readonly limits?: Partial<PeerLimits>
  readonly table?: Buffer
  readonly greetWith?: readonly LeaderHint[]
  readonly endpoints?: readonly string[]
  readonly faults?: LinkFaults
  /** False: `received` stays empty. */
  readonly records?: boolean
  onPacket?(to: string, from: string, packet: Packet): void
}

let lastBootId = 1_000

export async function startNetwork(options: NetworkTestOptions): Promise<NetworkUnderTest> {
  const keeper = new FakeTableKeeper(options.table)
  const counts = new Map<string, number>()
  const under = {
    keeper,
    received: [],
    peers: [],
    hints: [],
    failures: [],
    counts,
    address: ''
  } as Omit<NetworkUnderTest, 'network'> & { network?: PeerNetwork }
  const network = new PeerNetwork({
    nodeId: options.nodeId,
    bootId: options.bootId ?? ++lastBootId,
    secret: options.secret ?? testSecret,
    purpose: options.purpose ?? 'node',
    listen: options.listens === false ? undefined : { host: '127.0.0.1', port: options.port ?? 0 },
    carry: options.carry ?? 'stamp',
    limits: options.limits,
    faults: options.faults,
    keeper,
    log: {
      ...silentLog,
      warn: (event, facts) => {
        if (event === 'link_failed') under.failures.push(String(facts?.code))
      }
    },
    metrics: {
      ...noMetrics,
      count: (name, amount = 1) => counts.set(name, (counts.get(name) ?? 0) + amount)
    },
    clock: realClock,
    random: new Prng(options.bootId ?? 1),
    hints: () => options.greetWith ?? [],
    onHints: hints => under.hints.push(...hints),
    onPacket: (to, from, packet) => {
      const { epoch } = keeper.view()
      if (options.records !== false) under.received.push({ to, from, packet, epoch })
      options.onPacket?.(to, from, packet)
    },
    onPeer: (id, up, refused) =>
      under.peers.push(`${id} ${up ? 'up' : refused ? 'refused' : 'down'}`)
  })
  under.network = network
  for (const id of options.endpoints ?? []) network.addLocal(id)
  if (options.listens !== false) {
    const { host, port } = await network.listen()
    under.address = `${host}:${port}`
  }
  return under as NetworkUnderTest
}
