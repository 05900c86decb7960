import { Arbiter } from '../arbiter/arbiter.ts'
import type { BootstrapPlan } from '../arbiter/first-table.ts'
import { hostPort } from '../base/host-port.ts'
import type { Metrics } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { raftSettings } from '../config/raft-timing.ts'
import type { RoleConfigOf } from '../config/schema.ts'
import { Logic } from '../logic/logic.ts'
import { defaultLogicLimits } from '../logic/logic-options.ts'
import type { HostPort } from '../net/address.ts'
import { ClientListener } from '../net/client-listener.ts'
import { verifyToken } from '../net/token.ts'
import {
  arbiterEndpoint,
  type EndpointId,
  logicEndpoint,
  observerEndpoint,
  routerEndpoint,
  transferEndpoint
} from '../protocol/endpoint.ts'
import type { LeaderHint } from '../protocol/kinds.ts'
import { Observer } from '../protocol/observer.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import { fittest } from '../raft/operator-rules.ts'
import { createReplica } from '../raft/replica.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import type { GroupStore } from '../raft/store.ts'
import type { Membership, RaftMessage } from '../raft/types.ts'
import { Router } from '../router/router.ts'
import type { Database } from '../storage/database.ts'
import type { ClientEvents } from '../transfer/client-links.ts'
import { Transfer } from '../transfer/transfer.ts'
import { defaultTransferLimits, defaultTransferTimes } from '../transfer/transfer-options.ts'
import type { NodeParts } from './node-parts.ts'
import { RoleMetrics } from './role-metrics.ts'
import { version } from './version.ts'

/** Log kept for followers that lag, whatever its number of entries. */
const trailingBytes = 64 * 1024 * 1024

/** The roles of one node, by kind, for whoever reports on them. */
export interface NodeRoles {
  readonly routers: readonly {
    readonly setId: string
    readonly replica: ReplicaApi
    readonly role: Router
    readonly counts: RoleMetrics
  }[]
  readonly arbiters: readonly { readonly replica: ReplicaApi; readonly role: Arbiter }[]
  readonly transfers: readonly {
    readonly config: RoleConfigOf<'transfer'>
    readonly role: Transfer
    readonly counts: RoleMetrics
  }[]
  readonly logics: readonly {
    readonly config: RoleConfigOf<'logic'>
    readonly role: Logic
    readonly counts: RoleMetrics
  }[]
  /** Whom the groups of this node believe to lead. */
  hints(): LeaderHint[]
  /**
   * Hands over every group that this node leads and another voter is fit to lead; their names.
   *
   * @param toWilling only to who does not mind leading
   */
  handOver(toWilling?: boolean): string[]
  /** Writes what was sent to clients. */
  flush(): void
  /** Opens the clients' ports. */
  listen(): Promise<void>
  close(): Promise<void>
}

/** Builds the roles a node is configured for, recovers their stores, and hands them to the runner. */
export async function buildRoles(parts: NodeParts, database: Database): Promise<NodeRoles> {
  const builder = new RoleBuilder(parts, database)
  for (const role of parts.node.roles) {
    if (role.role === 'router') await builder.router(role)
    else if (role.role === 'arbiter') await builder.arbiter(role)
    else if (role.role === 'transfer') builder.transfer(role)
    else builder.logic(role)
  }
  builder.observer()
  return builder
}

class RoleBuilder implements NodeRoles {
  readonly routers: { setId: string; replica: ReplicaApi; role: Router; counts: RoleMetrics }[] = []
  readonly arbiters: { replica: ReplicaApi; role: Arbiter }[] = []
  readonly transfers: { config: RoleConfigOf<'transfer'>; role: Transfer; counts: RoleMetrics }[] =
    []
  readonly logics: { config: RoleConfigOf<'logic'>; role: Logic; counts: RoleMetrics }[] = []
  readonly #listeners: { listener: ClientListener; at: HostPort; events: ClientEvents }[] = []
  readonly #parts: NodeParts
  readonly #database: Database

  constructor(parts: NodeParts, database: Database) {
    this.#parts = parts
    this.#database = database
  }

  hints(): LeaderHint[] {
    return this.routers.flatMap(({ setId, replica }) =>
      replica.leader() === 0 ? [] : [{ setId, replicaId: replica.leader(), term: replica.term() }]
    )
  }

  handOver(toWilling = false): string[] {
    const routers = this.routers.map(({ setId, ...group }) => ({
      name: `router/${setId}`,
      ...group
    }))
    const arbiters = this.arbiters.map(group => ({ name: 'arbiter', ...group }))
    return [...routers, ...arbiters].flatMap(({ name, replica, role }) => {
      const best = replica.leading() ? fittest(replica.status()) : undefined
      if (best === undefined || (toWilling && !best.willing)) return []
      if (replica.transferLeadership(best.id) !== undefined) return []
      this.#parts.runner.wake(role)
      return [name]
    })
  }

  flush(): void {
    for (const { listener } of this.#listeners) listener.flush()
  }

  async listen(): Promise<void> {
    for (const { listener, at, events } of this.#listeners) await listener.listen(at, events)
  }

  async close(): Promise<void> {
    for (const { listener } of this.#listeners) await listener.stop()
  }

  async router({ set, replica: replicaId }: RoleConfigOf<'router'>): Promise<void> {
    const { config, disk } = this.#parts
    const endpoint = routerEndpoint(set, replicaId)
    const store = await this.#database.group(`router/${set}`)
    const counts = new RoleMetrics(this.#parts.metrics)
    const members = this.#membersOf(set, replicaId)
    const { nodeId, address, version, arbiters } = this.#identity()
    let replica: ReplicaApi | undefined
    const role: Router = new Router(this.#env(endpoint, counts), {
      identity: { nodeId, address, version },
      arbiters,
      setId: set,
      replicaId,
      announceMs: config.arbiter.announceMs,
      transferLeaseMs: config.presence.transferLeaseMs,
      limits: { bodyBytes: config.limits.bodyBytes },
      diskLow: () => disk.low,
      replica: (machine, send, onLeadership) => {
        replica = this.#replica(
          store,
          { endpoint, replicaId, members, role: () => role },
          { machine, send, onLeadership }
        )
        return replica
      }
    })
    this.routers.push({ setId: set, replica: replica!, role, counts })
    this.#add(endpoint, role)
  }

  async arbiter({ replica: replicaId }: RoleConfigOf<'arbiter'>): Promise<void> {
    const { config, keeper } = this.#parts
    const endpoint = arbiterEndpoint(replicaId)
    const store = await this.#database.group('arbiter')
    const peers = this.#arbiterPeers()
    const voters = peers.map(entry => entry.replicaId)
    const members = { voters, outgoing: [], learners: [] }
    let replica: ReplicaApi | undefined
    const role: Arbiter = new Arbiter(this.#env(endpoint), {
      replicaId,
      peers,
      keeper,
      announceMs: config.arbiter.announceMs,
      downAfterMs: config.arbiter.downAfterMs,
      // A node that has ever known a table belongs to a cluster that has run: it must not found another one (E-2).
      bootstrap: keeper.view().epoch > 0 ? undefined : this.#bootstrapPlan(),
      replica: (send, machine, onLeadership) => {
        replica = this.#replica(
          store,
          { endpoint, replicaId, members, role: () => role },
          { machine, send, onLeadership }
        )
        return replica
      }
    })
    this.arbiters.push({ replica: replica!, role })
    this.#add(endpoint, role)
  }

  transfer(config: RoleConfigOf<'transfer'>): void {
    const { node, secret, clock, keeper, log, metrics, runner, faults } = this.#parts
    const { cluster, limits, presence, arbiter } = this.#parts.config
    const endpoint = transferEndpoint(config.id)
    const counts = new RoleMetrics(metrics)
    const listener = new ClientListener({
      carry: cluster.carry,
      keeper,
      log,
      metrics,
      clock,
      faults: faults?.links,
      limits: {
        frameBytes: limits.frameBytes,
        connections: limits.connectionsPerTransfer,
        greetings: limits.unauthenticatedConnections,
        greetingTimeoutMs: limits.handshakeMs,
        softBacklogBytes: limits.pushBacklogSoftBytes,
        hardBacklogBytes: limits.pushBacklogHardBytes
      }
    })
    const role = new Transfer(
      this.#env(endpoint, counts),
      listener,
      token => verifyToken(secret, token, clock.wallMs()),
      {
        ...this.#identity(),
        id: config.id,
        setId: config.set,
        clientAddresses: [`tcp://${hostPort(node.host, config.tcpPort)}`],
        limits: {
          ...defaultTransferLimits,
          connections: limits.connectionsPerTransfer,
          unauthenticated: limits.unauthenticatedConnections,
          handshakeTimeoutMs: limits.handshakeMs,
          unackedPerConnection: limits.unackedSendsPerConnection,
          sendsPerSecond: limits.sendsPerSecondPerConnection,
          bodyBytes: limits.bodyBytes
        },
        times: {
          ...defaultTransferTimes,
          heartbeatMinMs: presence.heartbeatMinMs,
          heartbeatMaxMs: presence.heartbeatMaxMs,
          announceMs: arbiter.announceMs
        }
      }
    )
    const events: ClientEvents = {
      onClientOpen: connId => runner.run(role, () => role.onClientOpen(connId)),
      onClientPacket: (connId, packet) =>
        runner.run(role, () => role.onClientPacket(connId, packet)),
      onClientClosed: connId => runner.run(role, () => role.onClientClosed(connId))
    }
    this.#listeners.push({ listener, at: { host: node.host, port: config.tcpPort }, events })
    this.transfers.push({ config, role, counts })
    this.#add(endpoint, role)
  }

  logic(config: RoleConfigOf<'logic'>): void {
    const { arbiter, limits } = this.#parts.config
    const endpoint = logicEndpoint(config.id)
    const counts = new RoleMetrics(this.#parts.metrics)
    const role = new Logic(this.#env(endpoint, counts), {
      ...defaultLogicLimits,
      ...this.#identity(),
      id: config.id,
      setId: config.set,
      bodyLimitBytes: limits.bodyBytes,
      announceMs: arbiter.announceMs
    })
    this.logics.push({ config, role, counts })
    this.#add(endpoint, role)
  }

  observer(): void {
    const endpoint = observerEndpoint(this.#parts.node.id)
    this.#add(endpoint, new Observer(this.#env(endpoint)))
  }

  #add(endpoint: EndpointId, role: Role): void {
    this.#parts.network.addLocal(endpoint)
    this.#parts.runner.add(endpoint, role)
  }

  #identity(): { nodeId: string; address: string; version: string; arbiters: EndpointId[] } {
    const { id, host, peerPort, version: label } = this.#parts.node
    const arbiters = this.#arbiterPeers().map(({ replicaId }) => arbiterEndpoint(replicaId))
    return { nodeId: id, address: hostPort(host, peerPort), version: label ?? version, arbiters }
  }

  #env(self: EndpointId, metrics: Metrics = this.#parts.metrics): RoleEnv {
    const { bootId, clock, keeper, log, network, runner } = this.#parts
    return {
      self,
      bootId,
      log,
      metrics,
      random: new Prng(bootId, self),
      nowMs: clock.nowMs,
      wallMs: clock.wallMs,
      send: (to, packet) => network.send(self, to, packet),
      table: () => keeper.view(),
      flushIn: delayMs => runner.wakeIn(self, delayMs)
    }
  }

  #replica(
    store: GroupStore,
    self: { endpoint: EndpointId; replicaId: number; members: Membership; role: () => Role },
    ports: {
      machine: StateMachine
      send: (message: RaftMessage) => void
      onLeadership: (leading: boolean) => void
    }
  ): ReplicaApi {
    const { config, bootId, clock, disk, log, metrics, network, runner } = this.#parts
    for (const voter of self.members.voters) {
      const group = self.endpoint.slice(0, self.endpoint.lastIndexOf('/'))
      if (voter !== self.replicaId) network.interest(`${group}/${voter}`)
    }
    return createReplica({
      ...ports,
      config: { id: self.replicaId, ...raftSettings(config) },
      tickMs: config.raft.tickMs,
      store,
      bootstrap: self.members,
      clock,
      random: new Prng(bootId, `raft ${self.endpoint}`),
      log,
      metrics,
      trim: { trailingEntries: config.storage.logTrailingEntries, trailingBytes },
      reluctant: () => disk.low,
      wake: () => runner.wake(self.role())
    })
  }

  #bootstrapPlan(): BootstrapPlan {
    const { cluster, sets } = this.#parts.config
    return {
      slotCount: cluster.slotCount,
      tenants: cluster.tenants,
      sets: sets.map(({ id, zone, weight }) => {
        return { id, zone, weight, routers: this.#replicasOf(id) }
      })
    }
  }

  /** The replicas that found the set's group; who joins later comes into the table and the group by an operator. */
  #replicasOf(setId: string): { replicaId: number; nodeId: string; address: string }[] {
    return this.#places(role =>
      role.role === 'router' && role.set === setId && !role.join ? role.replica : 0
    )
  }

  /** Members of a group that has never run here, as the replica has to take them to be until its log says otherwise. */
  #membersOf(setId: string, replicaId: number): Membership {
    const voters = this.#replicasOf(setId).map(entry => entry.replicaId)
    const learners = voters.includes(replicaId) ? [] : [replicaId]
    return { voters, outgoing: [], learners }
  }

  #arbiterPeers(): { replicaId: number; nodeId: string; address: string }[] {
    return this.#places(role => (role.role === 'arbiter' ? role.replica : 0))
  }

  #places(
    replicaOf: (role: NodeParts['node']['roles'][number]) => number
  ): { replicaId: number; nodeId: string; address: string }[] {
    return this.#parts.config.nodes
      .flatMap(({ id, host, peerPort, roles }) =>
        roles.flatMap(role => {
          const replicaId = replicaOf(role)
          return replicaId === 0
            ? []
            : [{ replicaId, nodeId: id, address: hostPort(host, peerPort) }]
        })
      )
      .sort((a, b) => a.replicaId - b.replicaId)
  }
}
