import { RingsetError } from '../base/errors.ts'
import { Announcer } from '../protocol/announcer.ts'
import { arbiterEndpoint, type EndpointId, routerEndpoint } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet, priorities } from '../protocol/packet.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import { decodeRaftMessage, encodeRaftMessage, mayOvertake } from '../raft/codec.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { RaftMessage } from '../raft/types.ts'
import { Admission, type RouterParts } from './admission.ts'
import { ChannelReceiver } from './channel-receiver.ts'
import { ChannelSender } from './channel-sender.ts'
import { Delivery } from './delivery.ts'
import { evictions } from './evictions.ts'
import { HolePuller } from './hole-puller.ts'
import { LeaderHints } from './leader-hints.ts'
import { Leases } from './leases.ts'
import { defaultRouterLimits, type RouterLimits } from './limits.ts'
import { isListed, isSurvivor } from './listing.ts'
import { SlotMover } from './moves/slot-mover.ts'
import { Proposals } from './proposals.ts'
import { Reads } from './reads.ts'
import { isAnswer, Replies } from './replies.ts'
import { Requests } from './requests.ts'
import { defaultCacheSizes, type MachineListener, RouterMachine } from './router-machine.ts'
import type { RouterOptions, RouterStatus } from './router-options.ts'
import { SequenceDispenser } from './sequence-dispenser.ts'
import { SessionRoutes } from './session-routes.ts'
import { SlotTaker } from './slot-taker.ts'

const hopsMax = 3
/** Leaving gives up on handing leadership over after this time. */
const handOverMs = 3_000

/** A replica of a set's router group: see docs/architecture.md. */
export class Router implements Role {
  readonly #env: RoleEnv
  readonly #options: RouterOptions
  readonly #limits: RouterLimits
  readonly #machine: RouterMachine
  readonly #replica: ReplicaApi
  readonly #hints = new LeaderHints()
  readonly #admission: Admission
  readonly #routes: SessionRoutes
  readonly #replies: Replies
  readonly #proposals: Proposals
  readonly #requests: Requests
  readonly #reads: Reads
  readonly #delivery: Delivery
  readonly #leases: Leases
  readonly #sequences: SequenceDispenser
  readonly #sender: ChannelSender
  readonly #receiver: ChannelReceiver
  readonly #puller: HolePuller
  readonly #slots: SlotTaker
  readonly #mover: SlotMover
  readonly #announcer: Announcer
  #ledTerm = 0
  #elected = false
  #removalTold = false
  #sequence = 0
  #messages = 0
  #stoppingSinceMs: number | undefined

  constructor(env: RoleEnv, options: RouterOptions) {
    this.#env = env
    this.#options = options
    this.#limits = { ...defaultRouterLimits, ...options.limits }
    const { setId, replicaId } = options
    this.#machine = new RouterMachine(this.#listener(), options.cacheSizes ?? defaultCacheSizes)
    this.#replica = options.replica(
      this.#machine,
      message => this.#sendRaft(message),
      () => this.#followLeadership()
    )
    const replica = this.#replica
    const rows = { get: (key: string) => replica.getRow(key) }
    const machine = this.#machine
    const hints = this.#hints
    const diskLow = (): boolean => options.diskLow?.() ?? false
    const parts: RouterParts = { env, setId, replicaId, replica, machine, rows, hints, diskLow }
    const nextSequence = (): number => ++this.#sequence
    this.#admission = new Admission(parts)
    this.#routes = new SessionRoutes(setId, () => env.table())
    this.#replies = new Replies(env, () => replica.term())
    this.#proposals = new Proposals({
      env,
      replica,
      limits: this.#limits,
      tenantsToTell: () =>
        machine.ownership.tenants(rows).length > 0 ? [] : (env.table().table?.tenants ?? []),
      settle: (asker, request, result) => this.#requests.settle(asker, request, result)
    })
    const { transferLeaseMs } = options
    const admission = this.#admission
    const routes = this.#routes
    const replies = this.#replies
    const proposals = this.#proposals
    this.#reads = new Reads(parts, admission, routes, replies, this.#limits, proposals)
    this.#delivery = new Delivery(parts, routes)
    this.#leases = new Leases(parts, admission, proposals, replies, transferLeaseMs)
    this.#sequences = new SequenceDispenser(parts, proposals, this.#replies)
    this.#requests = new Requests({
      parts,
      limits: this.#limits,
      admission: this.#admission,
      routes: this.#routes,
      proposals,
      replies: this.#replies,
      leases: this.#leases,
      sequences: this.#sequences
    })
    this.#sender = new ChannelSender(parts, this.#routes, this.#limits, proposals, nextSequence)
    this.#receiver = new ChannelReceiver(parts, admission, routes, proposals, replies)
    this.#puller = new HolePuller(parts, this.#routes, proposals, nextSequence)
    this.#slots = new SlotTaker(parts, proposals)
    const survives = (): boolean =>
      isSurvivor(env.table(), setId, replicaId) && this.#replica.abandon()
    const moving = {
      ...{ parts, routes: this.#routes, proposals, nextSequence, survives },
      ...{ admission: this.#admission, replies: this.#replies }
    }
    this.#mover = new SlotMover(moving, this.#puller, () => this.#arbiters())
    this.#announcer = new Announcer(
      env,
      () => this.#arbiters(),
      () => this.#announcement(),
      options.announceMs
    )
  }

  #listener(): MachineListener {
    return {
      appended: (row, msgid, message) => {
        this.#messages++
        this.#delivery.appended(row, msgid, message, this.#isLeader())
      },
      queued: (targetSet, position, row, message) => {
        if (this.#ledTerm !== 0) this.#sender.queued(targetSet, position, row.session, message)
      },
      replaced: (by, old) => {
        if (!this.#isLeader()) return
        for (const [to, evict] of evictions(by, old)) this.#env.send(to, evict)
      }
    }
  }

  start(): void {
    this.#env.log.info('router_started', {
      setId: this.#options.setId,
      replicaId: this.#options.replicaId
    })
  }

  tick(): void {
    // Not in the table: not added yet, or removed. It keeps still, so that it can neither disturb the group nor found another.
    const quiet = !this.listed() && !this.#isLeader()
    const { setId, replicaId } = this.#options
    if (isSurvivor(this.#env.table(), setId, replicaId)) this.#replica.abandon()
    if (quiet) this.#noticeRemoval()
    else this.#replica.tick()
    this.#followLeadership()
    if (this.#ledTerm !== 0) {
      this.#leases.tick()
      this.#sender.tick()
      this.#puller.tick()
      this.#slots.tick()
      this.#mover.tick()
    }
    if (!quiet) this.#announcer.tick()
  }

  onPacket(from: EndpointId, received: Packet): void {
    try {
      this.#dispatch(from, received)
    } catch (error) {
      if (!(error instanceof RingsetError) || error.code === 'INTERNAL') throw error
      this.#env.log.debug('router_refused_packet', { from, kind: received.kind, code: error.code })
      if (isAnswer(received)) return
      this.#replies.error(from, received, error.code, undefined, error.message.slice(0, 200))
    }
  }

  onPeer(peer: EndpointId, up: boolean, refused: boolean): void {
    const own = `router/${this.#options.setId}/`
    if (peer.startsWith(own)) {
      this.#replica.peer(Number(peer.slice(own.length)), up, refused)
    } else if (!up && peer.startsWith('router/')) {
      this.#sender.onPeerDown(peer)
    }
  }

  onTable(): void {
    this.#hints.prune(this.#env.table())
    this.#slots.onTable()
    this.#mover.onTable()
  }

  flush(): void {
    this.#proposals.flush()
    this.#reads.flush()
    this.#sequences.flush()
    this.#replica.flush()
    this.#followLeadership()
    if (this.#ledTerm !== 0 && this.#mover.flush()) {
      this.#proposals.flush()
      this.#replica.flush()
      this.#followLeadership()
    }
    this.#reads.answer()
    this.#delivery.flush()
    if (this.#ledTerm !== 0) this.#sender.flush()
    this.#machine.trim()
  }

  stopping(): boolean {
    const nowMs = this.#env.nowMs()
    if (this.#stoppingSinceMs === undefined) {
      this.#stoppingSinceMs = nowMs
      this.#announcer.announceNow()
    }
    if (!this.#isLeader()) return true
    if (nowMs - this.#stoppingSinceMs > handOverMs) return true
    const refusal = this.#replica.transferLeadership()
    return refusal === 'unsafe' || refusal === 'notMember'
  }

  /** Whether the routing table has this replica; true while no table is known. */
  listed(): boolean {
    return isListed(this.#env.table(), this.#options.setId, this.#options.replicaId)
  }

  /** Slots that are on their way, or whose move is not through here. */
  unsettledSlots(): readonly number[] {
    return this.#machine.ownership.unsettled({ get: key => this.#replica.getRow(key) })
  }

  /** Who knows a term of the group and is not listed was a member once; others wait to be added. */
  #noticeRemoval(): void {
    if (this.#removalTold || this.#replica.term() === 0) return
    this.#removalTold = true
    const { setId, replicaId } = this.#options
    this.#env.log.warn('replica_removed', { setId, replicaId, term: this.#replica.term() })
  }

  /** Counts and positions for people and metrics. */
  status(): RouterStatus {
    const { commit, applied, quarantined } = this.#replica.status()
    const rows = { get: (key: string) => this.#replica.getRow(key) }
    const { users, sessions } = this.#machine.counters.get(rows)
    return {
      setId: this.#options.setId,
      replicaId: this.#options.replicaId,
      leading: this.#replica.leading(),
      leader: this.#replica.leader(),
      term: this.#replica.term(),
      commit,
      applied,
      quarantined,
      slots: this.#machine.ownership.count(rows, 'owned'),
      leaving: this.#machine.ownership.count(rows, 'gone'),
      users,
      sessions,
      messages: this.#messages,
      connections: this.#leases.connections,
      pendingCommands: this.#proposals.pending,
      lastEntryCommands: this.#proposals.lastBatch,
      outboxes: this.#sender.depths()
    }
  }

  #dispatch(from: EndpointId, received: Packet): void {
    if (received.hop > hopsMax) throw new RingsetError('BAD_PACKET', 'too many hops')
    switch (received.kind) {
      case 'APPEND':
        this.#requests.onAppend(from, received)
        break
      case 'RAFT':
        this.#onRaft(from, received)
        break
      case 'CHANNEL':
        this.#receiver.onChannel(from, received)
        break
      case 'REGISTER':
      case 'UNREGISTER':
        this.#requests.onConnection(from, received)
        break
      case 'LOOKUP':
      case 'LATEST':
      case 'HISTORY_READ':
      case 'SYNC':
        this.#reads.onRequest(from, received)
        break
      case 'SEQUENCE':
        this.#requests.onSequence(from, received)
        break
      case 'RENEW':
        this.#leases.onRenew(from, received)
        break
      case 'SLOT_READ':
        this.#mover.source.onRead(from, received)
        break
      case 'SLOT_READ_OK':
      case 'MOVE_REPORT_OK':
        this.#mover.onAnswer(from, received)
        break
      case 'CHANNEL_OK':
      case 'HISTORY_READ_OK':
      case 'ERROR':
      case 'ANNOUNCE_OK':
        this.#onAnswer(from, received)
        break
      default:
        if (!isAnswer(received)) this.#replies.error(from, received, 'UNKNOWN_KIND')
    }
  }

  #onRaft(from: EndpointId, received: Packet<'RAFT'>): void {
    const message = decodeRaftMessage(received.payload.data)
    const { setId, replicaId } = this.#options
    if (from !== routerEndpoint(setId, message.from) || message.to !== replicaId) {
      this.#env.metrics.count('router_foreign_raft_messages_total')
      throw new RingsetError('FORBIDDEN')
    }
    const asksForVote = message.type === 'vote' || message.type === 'preVote'
    if (asksForVote && !this.listed()) return
    this.#replica.step(message)
  }

  #onAnswer(
    from: EndpointId,
    answer: Packet<'CHANNEL_OK' | 'HISTORY_READ_OK' | 'ERROR' | 'ANNOUNCE_OK'>
  ): void {
    if (answer.bootId !== this.#env.bootId || this.#announcer.onPacket(answer)) return
    if (answer.kind === 'ANNOUNCE_OK') return
    if (answer.kind === 'ERROR' && this.#mover.onAnswer(from, answer)) return
    if (answer.kind !== 'HISTORY_READ_OK' && this.#sender.onAnswer(from, answer)) return
    if (answer.kind !== 'CHANNEL_OK') this.#puller.onAnswer(from, answer)
  }

  #sendRaft(message: RaftMessage): void {
    const to = routerEndpoint(this.#options.setId, message.to)
    const priority = mayOvertake(message) ? priorities.urgent : priorities.normal
    this.#env.send(to, packet('RAFT', { data: encodeRaftMessage(message) }, { priority }))
  }

  /** Everything kept in a leader's memory begins and ends with a term of leadership. */
  #followLeadership(): void {
    const replica = this.#replica
    if (replica === undefined) return
    const elected = this.#isLeader()
    if (elected && !this.#elected) this.#delivery.onElected()
    this.#elected = elected
    const ledTerm = replica.leading() ? replica.term() : 0
    if (ledTerm === this.#ledTerm) return
    this.#ledTerm = ledTerm
    const leading = ledTerm !== 0
    this.#env.log.info('router_leadership', { leading, term: replica.term() })
    this.#proposals.onLeadership()
    this.#leases.onLeadership(leading)
    this.#sequences.onLeadership()
    this.#sender.onLeadership(leading)
    this.#receiver.onLeadership()
    this.#puller.onLeadership()
    this.#slots.onLeadership(leading)
    this.#mover.onLeadership()
  }

  /** Also while entries of former terms are still being applied, before it serves. */
  #isLeader(): boolean {
    return this.#replica.leader() === this.#options.replicaId
  }

  #arbiters(): readonly EndpointId[] {
    const { table } = this.#env.table()
    if (table === undefined || table.arbiters.length === 0) return this.#options.arbiters
    return table.arbiters.map(arbiter => arbiterEndpoint(arbiter.replicaId))
  }

  #announcement(): PayloadOf<'ANNOUNCE'> {
    const { setId, replicaId, identity } = this.#options
    return {
      role: 'router',
      id: `${setId}/${replicaId}`,
      setId,
      nodeId: identity.nodeId,
      bootId: this.#env.bootId,
      address: identity.address,
      clientAddresses: [],
      version: identity.version,
      stopping: this.#stoppingSinceMs !== undefined,
      load: this.#proposals.pending
    }
  }
}
