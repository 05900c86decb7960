import { Arbiter } from '../../src/arbiter/arbiter.ts'
import { knownProcesses } from '../../src/arbiter/processes.ts'
import { errorCodeOf } from '../../src/base/error-codes.ts'
import type { PayloadOf } from '../../src/protocol/kinds.ts'
import { answer, type Packet, packet } from '../../src/protocol/packet.ts'
import { createTableKeeper } from '../../src/table/create-table-keeper.ts'
import { FakeDisk, FakeGroup, type FakeReplica } from './fake-replica.ts'
import { FakeRoleEnv } from './fake-role-env.ts'

export const announceMs = 1_000
export const downAfterMs = 3_000
export const peers = [1, 2, 3].map(replicaId => ({
  replicaId,
  nodeId: `n${replicaId}`,
  address: `10.0.0.${replicaId}:7000`
}))
export const bootstrap = {
  clusterId: '0a0000000001',
  slotCount: 64,
  sets: ['s1', 's2'].map(id => ({ id, zone: 'default', weight: 1, routers: peers }))
}

/** One arbiter process, and the clock that all of a test's arbiters share. */
export class ArbiterNode {
  readonly env: FakeRoleEnv
  readonly keeper = createTableKeeper()
  readonly arbiter: Arbiter
  replica!: FakeReplica
  /**
   * What the observers on other nodes say: whether they hear a node; undefined is no answer. By
   * default nobody hears whom the arbiter does not hear.
   */
  observed: (nodeId: string, observer: string) => boolean | undefined = () => false

  constructor(group: FakeGroup, replicaId: number, disk = new FakeDisk(), plan = bootstrap) {
    this.env = new FakeRoleEnv(`arbiter/${replicaId}`)
    this.env.view = () => this.keeper.view()
    this.arbiter = new Arbiter(this.env, {
      replica: (_send, machine, onLeadership) => {
        this.replica = group.join(replicaId, machine, onLeadership, disk)
        return this.replica
      },
      replicaId,
      peers,
      bootstrap: plan,
      announceMs,
      downAfterMs,
      keeper: this.keeper
    })
    this.arbiter.start()
  }

  get epoch(): number {
    return this.keeper.view().epoch
  }

  /** Ticks every 10 ms and flushes, as the driver does. */
  run(forMs: number): void {
    for (let passedMs = 0; passedMs < forMs; passedMs += 10) {
      this.env.now += 10
      this.arbiter.tick()
      this.arbiter.flush()
      this.#answerAsObservers()
    }
  }

  #answerAsObservers(): void {
    const sent = this.env.take()
    for (const one of sent) {
      const { to, packet: request } = one
      if (request.kind !== 'OBSERVE') {
        this.env.sent.push(one)
        continue
      }
      const observer = to.slice('observer/'.length)
      const said = request.payload.suspects.map(({ nodeId }) => this.observed(nodeId, observer))
      if (said.includes(undefined)) continue
      const heard = said.map(word => word === true)
      this.arbiter.onPacket(to, answer(request, 'OBSERVE_OK', { heard }))
    }
  }

  announce(change: Partial<PayloadOf<'ANNOUNCE'>> = {}, sequence = 5): void {
    const payload = announcement(change)
    const request = packet('ANNOUNCE', payload, { bootId: payload.bootId, sequence })
    this.arbiter.onPacket(`${payload.role}/${payload.id}`, request)
  }

  /** The kinds (or error codes) of what was sent since the last look. */
  answers(): string[] {
    return this.env.take().map(({ packet: sent }) => kindOf(sent))
  }

  state(endpoint: string): string | undefined {
    const { table } = this.keeper.view()
    return table && knownProcesses(table).find(known => known.endpoint === endpoint)?.state
  }
}

/** The kind of a packet, or the code of an ERROR. */
export function kindOf(sent: Packet): string {
  return sent.kind === 'ERROR' ? errorCodeOf(sent.payload.code) : sent.kind
}

export function announcement(change: Partial<PayloadOf<'ANNOUNCE'>>): PayloadOf<'ANNOUNCE'> {
  return {
    role: 'transfer',
    id: 't1',
    setId: 's1',
    nodeId: 'n1',
    bootId: 11,
    address: '10.0.0.1:7000',
    clientAddresses: [],
    version: '0.1.0',
    stopping: false,
    load: 0,
    ...change
  }
}

/** The first of a cluster's arbiters, leading and with its first table. */
export function leading(): { group: FakeGroup; node: ArbiterNode } {
  const group = new FakeGroup()
  const node = new ArbiterNode(group, 1)
  group.lead(1)
  node.run(20)
  node.env.take()
  return { group, node }
}
