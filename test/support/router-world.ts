import { ByteWriter } from '../../src/base/bytes.ts'
import { type EndpointId, routerEndpoint } from '../../src/protocol/endpoint.ts'
import type { KindName, PayloadOf } from '../../src/protocol/kinds.ts'
import { type Packet, type PacketHeader, packet } from '../../src/protocol/packet.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import type { RouterLimits } from '../../src/router/limits.ts'
import { type SlotState, slotStates } from '../../src/router/ownership.ts'
import { Router } from '../../src/router/router.ts'
import type { TableView } from '../../src/table/table-view.ts'
import { FakeDisk, FakeGroup, type FakeReplica } from './fake-replica.ts'
import { FakeRoleEnv, type SentPacket } from './fake-role-env.ts'

export interface WorldNode {
  readonly endpoint: EndpointId
  readonly setId: string
  readonly replicaId: number
  readonly env: FakeRoleEnv
  readonly router: Router
  readonly replica: FakeReplica
  readonly disk: FakeDisk
}

export interface WorldPacket extends SentPacket {
  readonly from: EndpointId
}

interface WorldOptions {
  readonly limits?: Partial<RouterLimits>
  readonly transferLeaseMs?: number
  /** Rows every replica starts with. */
  readonly rows?: ReadonlyMap<string, Buffer>
  readonly diskLow?: (setId: string, replicaId: number) => boolean
}

/** Router groups of three over a network without time; everything sent to other roles lands in `outside`. */
export class RouterWorld {
  readonly groups = new Map<string, FakeGroup>()
  readonly nodes = new Map<EndpointId, WorldNode>()
  /** Packets to endpoints that are not routers. */
  outside: WorldPacket[] = []
  /** Packets between routers that were carried. */
  carried: WorldPacket[] = []
  /** Endpoints whose packets, in and out, are lost. */
  readonly cut = new Set<EndpointId>()
  view: TableView
  readonly #options: WorldOptions
  #sequence = 0

  constructor(view: TableView, setIds: readonly string[], options: WorldOptions = {}) {
    this.view = view
    this.#options = options
    for (const setId of setIds) {
      this.groups.set(setId, new FakeGroup())
      for (const replicaId of [1, 2, 3]) this.#add(setId, replicaId)
      this.lead(setId, 1)
    }
  }

  #add(setId: string, replicaId: number): void {
    const endpoint = routerEndpoint(setId, replicaId)
    const env = new FakeRoleEnv(endpoint, 100 * this.nodes.size + 7)
    env.view = () => this.view
    const disk = new FakeDisk()
    for (const [key, value] of this.#options.rows ?? []) disk.rows.set(key, value)
    let replica: FakeReplica | undefined
    const { limits, transferLeaseMs = 1_000 } = this.#options
    const router = new Router(env, {
      setId,
      replicaId,
      identity: { nodeId: `n${replicaId}`, address: '127.0.0.1:1', version: '1' },
      arbiters: [],
      announceMs: 1_000,
      transferLeaseMs,
      // Its clock moves only when told to.
      limits: { gatherMs: 0, ...limits },
      diskLow: () => this.#options.diskLow?.(setId, replicaId) ?? false,
      replica: (machine, _send, onLeadership) => {
        replica = this.groups.get(setId)!.join(replicaId, machine, onLeadership, disk)
        return replica
      }
    })
    this.nodes.set(endpoint, {
      endpoint,
      setId,
      replicaId,
      env,
      router,
      replica: replica!,
      disk
    })
    router.start()
  }

  node(setId: string, replicaId: number): WorldNode {
    return this.nodes.get(routerEndpoint(setId, replicaId))!
  }

  leader(setId: string): WorldNode {
    return this.node(setId, this.groups.get(setId)!.leader)
  }

  /** Everything committed reaches the new leader before it leads. */
  lead(setId: string, replicaId: number): void {
    this.groups.get(setId)!.lead(replicaId)
    this.settle()
    for (const node of this.nodes.values()) if (node.setId === setId) node.router.tick()
    this.settle()
  }

  adopt(view: TableView): void {
    this.view = view
    for (const { router } of this.nodes.values()) router.onTable()
  }

  /** Flushes and carries packets until nothing moves. */
  settle(rounds = 200): void {
    for (let round = 0; round < rounds; round++) {
      for (const { router } of this.nodes.values()) router.flush()
      if (!this.#carry()) return
    }
    throw new Error('the world does not come to rest')
  }

  #carry(): boolean {
    let moved = false
    for (const { endpoint, env } of this.nodes.values()) {
      for (const { to, packet: sent, epoch } of env.take()) {
        const target = this.nodes.get(to)
        if (target === undefined) {
          this.outside.push({ from: endpoint, to, packet: sent, epoch })
          continue
        }
        moved = true
        if (this.cut.has(endpoint) || this.cut.has(to)) continue
        this.carried.push({ from: endpoint, to, packet: sent, epoch })
        target.router.onPacket(endpoint, { ...sent, epoch })
      }
    }
    return moved
  }

  /** Lets time pass in ticks of 10 ms. */
  pass(ms: number): void {
    for (let passed = 0; passed < ms; passed += 10) {
      for (const { env, router } of this.nodes.values()) {
        env.now += 10
        router.tick()
      }
      this.settle()
    }
  }

  /** Hands a packet in without flushing; returns its sequence. */
  post<K extends KindName>(
    to: EndpointId,
    kind: K,
    payload: PayloadOf<K>,
    header: Partial<PacketHeader> = {},
    from: EndpointId = 'logic/l1'
  ): number {
    const sequence = ++this.#sequence
    const sent = packet(kind, payload, { bootId: 5_000, sequence, ...header })
    this.nodes.get(to)!.router.onPacket(from, sent)
    return sequence
  }

  /** The packet that answers `sequence`, taken out of `outside`. */
  answer(sequence: number): Packet {
    const at = this.outside.findIndex(
      one => one.packet.bootId === 5_000 && one.packet.sequence === sequence
    )
    if (at < 0) throw new Error(`no answer to ${sequence}`)
    return this.outside.splice(at, 1)[0]!.packet
  }

  ask<K extends KindName>(
    to: EndpointId,
    kind: K,
    payload: PayloadOf<K>,
    header: Partial<PacketHeader> = {},
    from: EndpointId = 'logic/l1'
  ): Packet {
    const sequence = this.post(to, kind, payload, header, from)
    this.settle()
    return this.answer(sequence)
  }

  /** Header of a request routed by `key` as the current table says. */
  routedBy(key: string): Partial<PacketHeader> {
    const slot = this.view.slotOf(key)
    return { slot, slotEpoch: this.view.owner(slot)!.slotEpoch }
  }

  sessionHeader(a: string, b: string): Partial<PacketHeader> {
    const session = p2pSession(a, b)
    return this.routedBy(routingKey(session, parseSession(session)))
  }

  append(to: EndpointId, from: string, peer: string, clientMsgId: number, text = 'hi'): Packet {
    return this.ask(
      to,
      'APPEND',
      appendPayload(from, peer, clientMsgId, text),
      this.sessionHeader(from, peer)
    )
  }

  register(to: EndpointId, uid: string, route: PayloadOf<'REGISTER'>['route']): Packet {
    return this.ask(to, 'REGISTER', { uid, route }, this.routedBy(uid))
  }

  /** Packets of one kind to the outside, taken out. */
  take<K extends KindName>(kind: K): { to: EndpointId; payload: PayloadOf<K> }[] {
    const taken = this.outside.filter(one => one.packet.kind === kind)
    this.outside = this.outside.filter(one => one.packet.kind !== kind)
    return taken.map(one => ({ to: one.to, payload: one.packet.payload as PayloadOf<K> }))
  }
}

export function appendPayload(
  from: string,
  peer: string,
  clientMsgId: number,
  text = 'hi'
): PayloadOf<'APPEND'> {
  return {
    session: p2pSession(from, peer),
    uid: from,
    deviceId: 'phone',
    clientMsgId,
    type: 0,
    body: Buffer.from(text)
  }
}

/** Rows that say: all of the 64 slots are in `state` since `slotEpoch`. */
export function ownershipRows(state: SlotState, slotEpoch: number): Map<string, Buffer> {
  const meta = new ByteWriter()
  meta.varint(64)
  const page = new ByteWriter()
  page.varint(64)
  page.u8(slotStates.indexOf(state))
  page.varint(slotEpoch)
  return new Map([
    ['group/ownership', meta.copy()],
    ['group/ownership/0', page.copy()]
  ])
}
