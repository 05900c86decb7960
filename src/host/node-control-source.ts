import { RingsetError } from '../base/errors.ts'
import { hostPort } from '../base/host-port.ts'
import type {
  ChangedMembers,
  ControlSource,
  DrainOrder,
  FaultOrder,
  GreyOrder,
  HandedOver,
  IssuedToken,
  MemberChange,
  MoveOrder,
  NodeSight,
  NodeStatus,
  Ordered,
  PinOrder,
  Place,
  RouteAnswer,
  SetOrder,
  Undrained,
  UnpinOrder
} from '../control/control-source.ts'
import { createToken } from '../net/token.ts'
import type { ProcessMeter } from '../observe/process-meter.ts'
import { checkUid } from '../protocol/session.ts'
import type { RaftStatus } from '../raft/raft-api.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import { explainRoute } from '../table/explain-route.ts'
import type { RoutingTable } from '../table/table.ts'
import type { TableView } from '../table/table-view.ts'
import { DrainDesk } from './drain-desk.ts'
import { FaultDesk } from './fault-desk.ts'
import { GroupOperator } from './group-operator.ts'
import type { NodeParts } from './node-parts.ts'
import type { NodeRoles } from './roles.ts'
import { RouteDesk } from './route-desk.ts'
import { TableDesk } from './table-desk.ts'
import { TableWaits } from './table-waits.ts'
import { version } from './version.ts'

/** How often an operation under way looks whether it is done. */
const pauseMs = 2
/** Former tables that `ringset table --diff` can be shown. */
const tablesKept = 64

interface Steering {
  state(): string
  stop(graceful: boolean): void
}

/** What this node tells and does for the control interface. */
export class NodeControlSource implements ControlSource {
  readonly #parts: NodeParts
  readonly #roles: NodeRoles
  readonly #meter: ProcessMeter
  readonly #steering: Steering
  readonly #desk: RouteDesk
  readonly #drains: DrainDesk
  readonly #disturber: FaultDesk
  readonly #changes: TableDesk
  readonly #startedMs: number
  /** The newest tables, oldest first. */
  readonly #tables: RoutingTable[] = []
  readonly #waits = new TableWaits()

  constructor(parts: NodeParts, roles: NodeRoles, meter: ProcessMeter, steering: Steering) {
    this.#parts = parts
    this.#roles = roles
    this.#meter = meter
    this.#steering = steering
    this.#desk = new RouteDesk(parts)
    this.#drains = new DrainDesk(parts, roles.transfers)
    this.#disturber = new FaultDesk(parts.faults, parts.log)
    this.#changes = new TableDesk(parts, roles.arbiters[0]?.role)
    this.#startedMs = parts.clock.nowMs()
    this.#keep(parts.keeper.view())
    parts.keeper.onAdopted(view => this.#keep(view))
  }

  #keep({ table }: TableView): void {
    if (table === undefined) return
    this.#waits.adopted(table.epoch)
    this.#tables.push(table)
    if (this.#tables.length > tablesKept) this.#tables.shift()
  }

  async status(): Promise<NodeStatus> {
    const { config, node, bootId, clock, keeper } = this.#parts
    const view = keeper.view()
    return {
      nodeId: node.id,
      pid: process.pid,
      bootId,
      version,
      uptimeMs: Math.round(clock.nowMs() - this.#startedMs),
      state: this.#steering.state(),
      cluster: config.cluster.name,
      clusterId: view.table?.clusterId ?? '',
      epoch: view.epoch,
      nodes: config.nodes.map(({ id, host, controlPort, zone }) => ({
        id,
        controlAddress: hostPort(host, controlPort),
        zone
      })),
      routers: this.#routers(),
      arbiters: this.#roles.arbiters.map(({ replica }) => ({
        raft: replicaStatus(replica, true),
        epoch: view.epoch
      })),
      transfers: this.#transfers(),
      logics: this.#logics(),
      process: this.#process(),
      metrics: this.#parts.metrics.snapshot(),
      peerAddress: hostPort(node.host, node.peerPort),
      wallMs: clock.wallMs()
    }
  }

  #routers(): NodeStatus['routers'] {
    return this.#roles.routers.map(({ setId, replica, role, counts }) => {
      const { slots, leaving, users, sessions, messages, outboxes } = role.status()
      return {
        set: setId,
        raft: replicaStatus(replica, role.listed()),
        slots,
        users,
        sessions,
        appends: messages,
        reads: counts.value('router_reads_total'),
        leaving,
        channels: outboxes.map(({ targetSet, items }) => ({ targetSet, waiting: items }))
      }
    })
  }

  #transfers(): NodeStatus['transfers'] {
    const { node } = this.#parts
    return this.#roles.transfers.map(({ config, role, counts }) => {
      return {
        id: config.id,
        set: config.set,
        state: role.departure.state,
        connections: role.connections,
        authenticated: role.connections,
        sends: counts.value('transfer_sends_total'),
        acks: counts.value('transfer_acks_total'),
        pushes: counts.value('transfer_pushed_messages_total'),
        droppedPushes: counts.value('transfer_pushes_dropped_total'),
        waiting: counts.value('transfer_logic_pending'),
        clientAddresses: [`tcp://${hostPort(node.host, config.tcpPort)}`],
        moved: role.departure.moved ?? 0
      }
    })
  }

  #logics(): NodeStatus['logics'] {
    return this.#roles.logics.map(({ config, counts }) => ({
      id: config.id,
      set: config.set,
      requests: counts.value('logic_requests_total'),
      errors: counts.value('logic_refused_total'),
      waiting: counts.value('logic_route_pending')
    }))
  }

  #process(): NodeStatus['process'] {
    const { metrics } = this.#parts
    const { rssBytes, heapUsedBytes, cpuMicros, eventLoopDelayMs } = this.#meter.read()
    const all = metrics.snapshot()
    return {
      rssBytes,
      heapUsedBytes,
      cpuMicros,
      eventLoopDelayMs,
      syncs: all.storage_synced_batches_total ?? 0,
      syncMs: metrics.distribution('storage_batch_ms'),
      batchSize: metrics.distribution('router_entry_commands')
    }
  }

  sight(): NodeSight {
    const { routers, arbiters } = this.#roles
    return {
      pid: process.pid,
      epoch: this.#parts.keeper.view().epoch,
      rssBytes: process.memoryUsage.rss(),
      replicas: [
        ...routers.map(({ setId, replica }) => sightOf(setId, replica)),
        ...arbiters.map(({ replica }) => sightOf('', replica))
      ]
    }
  }

  async newerTable(epoch: number, waitMs: number): Promise<void> {
    if (this.#parts.keeper.view().epoch <= epoch) await this.#waits.newer(epoch, waitMs)
  }

  async table(epoch: number | undefined): Promise<{ epoch: number; json: string }> {
    const newest = this.#parts.keeper.view().table
    if (newest === undefined) throw new RingsetError('NO_TABLE')
    const table = epoch === undefined ? newest : this.#tables.find(one => one.epoch === epoch)
    if (table === undefined) {
      const kept = this.#tables.map(one => one.epoch).join(', ')
      throw new RingsetError('UNSUPPORTED', `epoch ${epoch} is not kept here, only ${kept}`)
    }
    return { epoch: table.epoch, json: JSON.stringify(table) }
  }

  async route(uid: string): Promise<RouteAnswer> {
    checkUid(uid)
    const view = this.#parts.keeper.view()
    const route = explainRoute(view, uid)
    const { setId } = route
    const routes = await this.#desk.lookup(uid)
    const leader = view
      .set(setId)
      ?.routers.find(({ replicaId }) => replicaId === this.#desk.leaderOf(setId))
    return {
      uid,
      slot: route.slot,
      slotCount: route.slotCount,
      slotEpoch: route.slotEpoch,
      set: setId,
      why: route.why,
      pinnedTo: route.pinnedTo ?? '',
      pinnedBy: [...route.pinnedBy],
      movingTo: route.movingTo ?? '',
      tenant: route.tenant?.id ?? '',
      tenantPinned: route.tenantPinned,
      version: route.grey?.version ?? '',
      rule: route.grey?.by ?? '',
      logics: route.logics.map(({ id, nodeId, version }) => ({ id, node: nodeId, version })),
      asRuled: route.asRuled,
      leader: leader?.nodeId ?? '',
      epoch: view.epoch,
      online: routes.map(({ deviceId, class: deviceClass, transferId, connId, sinceMs }) => ({
        deviceId,
        class: deviceClass,
        transfer: transferId,
        connId,
        sinceMs
      }))
    }
  }

  async issueToken(uid: string, ttlSeconds: number): Promise<IssuedToken> {
    const expiresAtMs = this.#parts.clock.wallMs() + ttlSeconds * 1_000
    return { token: createToken(this.#parts.secret, uid, expiresAtMs), expiresAtMs }
  }

  async stop(graceful: boolean): Promise<void> {
    this.#steering.stop(graceful)
  }

  async transferLeadership(set: string, to: number | undefined): Promise<HandedOver> {
    return this.#operator(set).transfer(to)
  }

  async changeReplica(set: string, replica: number, change: MemberChange): Promise<ChangedMembers> {
    if (set === '') throw new RingsetError('UNSUPPORTED', 'the arbiters are as configured')
    return this.#operator(set).change(change, replica)
  }

  async placeReplica(place: Place): Promise<void> {
    await this.#changes.place(place)
  }

  async moveSlots(order: MoveOrder): Promise<number> {
    return this.#changes.move(order)
  }

  async abortMoves(slots: readonly number[]): Promise<number> {
    return this.#changes.abort(slots)
  }

  async addPin(order: PinOrder): Promise<Ordered> {
    return this.#changes.pins.pin(order)
  }

  async removePin(order: UnpinOrder): Promise<Ordered> {
    return this.#changes.pins.unpin(order)
  }

  async setGrey(order: GreyOrder): Promise<Ordered> {
    return this.#changes.pins.setGrey(order)
  }

  async undoGrey(version: string): Promise<Ordered> {
    return this.#changes.pins.undoGrey(version)
  }

  async changeSet(order: SetOrder): Promise<number> {
    return this.#changes.changeSet(order)
  }

  async drainTransfer(order: DrainOrder): Promise<boolean> {
    return this.#drains.drain(order)
  }

  async undrainTransfer(transfer: string): Promise<Undrained> {
    return this.#drains.undrain(transfer)
  }

  async setFaults(order: FaultOrder): Promise<void> {
    this.#disturber.set(order)
  }

  /** @param set empty for the arbiter group. */
  #operator(set: string): GroupOperator {
    const group =
      set === '' ? this.#roles.arbiters[0] : this.#roles.routers.find(({ setId }) => setId === set)
    if (group === undefined) {
      throw new RingsetError('UNSUPPORTED', 'this node has no replica of that group', { set })
    }
    const { clock, runner } = this.#parts
    return new GroupOperator(group.replica, {
      nowMs: clock.nowMs,
      pause: () => new Promise(resolve => setTimeout(resolve, pauseMs)),
      wake: () => runner.wake(group.role)
    })
  }
}

function sightOf(set: string, api: ReplicaApi): NodeSight['replicas'][number] {
  const { id: replica, term, leader } = api.status()
  return { set, replica, term, leader }
}

/** @param listed whether the routing table has the replica. */
function replicaStatus(
  replica: ReplicaApi,
  listed: boolean
): NodeStatus['arbiters'][number]['raft'] {
  const status = replica.status()
  return {
    replica: status.id,
    role: status.role,
    term: status.term,
    leader: status.leader,
    commit: status.commit,
    applied: status.applied,
    lastIndex: status.lastIndex,
    lastTerm: status.lastTerm,
    quarantined: status.quarantined,
    voters: [...status.membership.voters],
    learners: [...status.membership.learners],
    peers: status.progress
      .filter(({ id }) => id !== status.id)
      .map(({ id, match, state, heard, quarantined }) => {
        return { replica: id, match, state, active: heard, quarantined }
      }),
    outgoing: [...status.membership.outgoing],
    membership: membershipOf(status, listed)
  }
}

/** What a replica is to its group, as far as its own log and the routing table tell. */
function membershipOf({ id, membership, lastIndex }: RaftStatus, listed: boolean): string {
  if (!listed) return lastIndex === 0 ? 'waiting' : 'removed'
  const { voters, outgoing, learners } = membership
  if (voters.includes(id) || outgoing.includes(id)) return 'voter'
  return learners.includes(id) ? 'learner' : 'removed'
}
