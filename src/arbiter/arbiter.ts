import { RingsetError } from '../base/errors.ts'
import { arbiterEndpoint, type EndpointId } from '../protocol/endpoint.ts'
import type { PayloadOf } from '../protocol/kinds.ts'
import { answer, type Packet, type PacketHeader, packet, priorities } from '../protocol/packet.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import { decodeRaftMessage, encodeRaftMessage, mayOvertake } from '../raft/codec.ts'
import type { ProposeOutcome, ReplicaApi } from '../raft/replica-api.ts'
import type { StateMachine } from '../raft/state-machine.ts'
import type { RaftMessage } from '../raft/types.ts'
import type { ReplicaEntry, RoutingTable } from '../table/table.ts'
import { encodeTable } from '../table/table-codec.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import { type AnnouncedProcess, encodeCommands } from './arbiter-commands.ts'
import { ArbiterMachine, type ArbiterResult, judgeAnnounce, tableRow } from './arbiter-machine.ts'
import { type Asker, Askers, type Change, codeOfRefusal, type Refused, refused } from './askers.ts'
import { type BootstrapPlan, firstTable } from './first-table.ts'
import { Liveness } from './liveness.ts'
import { LostState } from './lost-state.ts'
import { OperatorChanges } from './operator-changes.ts'
import { endpointOf, knownProcesses } from './processes.ts'
import { SecondOpinions } from './second-opinions.ts'

/**
 * Makes this arbiter's replica around its machine. `onLeadership` must be called when `leading()`
 * changes.
 */
export type ReplicaFactory = (
  send: (message: RaftMessage) => void,
  machine: StateMachine,
  onLeadership: (leading: boolean) => void
) => ReplicaApi

export interface ArbiterOptions {
  readonly replica: ReplicaFactory
  readonly replicaId: number
  /** Every arbiter of the cluster, this one included. */
  readonly peers: readonly ReplicaEntry[]
  /**
   * Only for a cluster that has never run: lost state must not come back under an old cluster id
   * (E-2).
   */
  readonly bootstrap?: BootstrapPlan | undefined
  /** How often each process announces itself. */
  readonly announceMs: number
  /**
   * A process not heard for so long is called down, unless others hear it. At least 2 ×
   * `announceMs`.
   */
  readonly downAfterMs: number
  /**
   * A process that keeps changing (up, down, restarts) alters the table at most this often. Default
   * `downAfterMs`.
   */
  readonly changeSpacingMs?: number | undefined
  /** The process's table keeper: every applied table goes in. */
  readonly keeper: TableKeeper
}

const changesPerEntry = 1_024
const changesWaiting = 4_096
const soonMs = 100
/** How long `stopping` tries to hand leadership over. */
const handOverMs = 2_000

/**
 * A replica of the cluster's arbiter group. The leader listens to announcements and logs what
 * changes the table; every replica hands each applied table to its process. It never touches data,
 * and no timer of it moves a slot.
 */
export class Arbiter implements Role {
  readonly #env: RoleEnv
  readonly #options: ArbiterOptions
  readonly #machine = new ArbiterMachine()
  readonly #replica: ReplicaApi
  readonly #askers: Askers
  readonly #liveness: Liveness
  readonly #opinions: SecondOpinions
  readonly #lostState: LostState
  /** What operators and routers ask for, beside what processes announce of themselves. */
  readonly changes: OperatorChanges
  readonly #waiting = new Map<string, Change>()
  #inFlight = false
  /** Of a cluster that has none; undefined once there is one. */
  #firstTable: RoutingTable | undefined
  #publishedEpoch = 0
  #lastTickMs: number
  #checkedMs = Number.NEGATIVE_INFINITY
  #stoppingSinceMs: number | undefined

  constructor(env: RoleEnv, options: ArbiterOptions) {
    this.#env = env
    this.#options = options
    const { bootstrap, peers, replicaId } = options
    if (bootstrap !== undefined) {
      const clusterId = env.random.id48().toString(16).padStart(12, '0')
      this.#firstTable = firstTable({ clusterId, ...bootstrap }, peers)
    }
    this.#lastTickMs = env.nowMs()
    const { downAfterMs, changeSpacingMs } = options
    this.#liveness = new Liveness(downAfterMs, changeSpacingMs ?? downAfterMs)
    const ownNode = peers.find(peer => peer.replicaId === replicaId)?.nodeId ?? ''
    this.#opinions = new SecondOpinions(env, ownNode, downAfterMs)
    this.#askers = new Askers(env, replicaId, () => this.#replica)
    this.#lostState = new LostState(env, downAfterMs)
    this.changes = new OperatorChanges({
      askers: this.#askers,
      leading: () => this.#replica.leading(),
      frozen: () => this.#lostState.lost,
      table: () => this.#table(),
      getRow: this.#getRow,
      enqueue: change => {
        this.#askers.refuse(this.#waiting.get(change.endpoint)?.asker, 'CANCELLED')
        return this.#enqueue(change)
      }
    })
    this.#replica = options.replica(
      message => this.#sendRaft(message),
      this.#machine,
      leading => this.#onLeadership(leading)
    )
  }

  start(): void {
    this.#publish()
  }

  tick(): void {
    this.#replica.tick()
    const nowMs = this.#env.nowMs()
    const { downAfterMs } = this.#options
    if (nowMs - this.#lastTickMs > downAfterMs / 4) this.#liveness.grace(nowMs)
    this.#lastTickMs = nowMs
    if (!this.#replica.leading() || nowMs - this.#checkedMs < downAfterMs / 20) return
    this.#checkedMs = nowMs
    this.#lostState.check(this.#table()?.epoch ?? 0, this.#options.keeper.view().epoch)
    this.#proposeFirstTable()
    this.#findDown(nowMs)
  }

  onPacket(from: EndpointId, packet: Packet): void {
    switch (packet.kind) {
      case 'RAFT':
        this.#onRaft(from, packet.payload.data)
        break
      case 'ANNOUNCE':
        this.#onAnnounce(from, packet, packet.payload)
        break
      case 'MOVE_REPORT':
        this.changes.onReport(from, packet)
        break
      case 'OBSERVE_OK':
        this.#opinions.onAnswer(from, packet)
        this.#checkedMs = Number.NEGATIVE_INFINITY
        break
      case 'TABLE_PULL':
        this.#env.send(from, answer(packet, 'TABLE', {}))
        break
      case 'ERROR':
        break
      default:
        if (packet.sequence !== 0)
          this.#askers.refuse({ from, request: packet, ok: 'ANNOUNCE_OK' }, 'UNEXPECTED_PACKET')
    }
  }

  onPeer(peer: EndpointId, up: boolean, refused: boolean): void {
    const replica = this.#options.peers.find(entry => arbiterEndpoint(entry.replicaId) === peer)
    if (replica !== undefined) this.#replica.peer(replica.replicaId, up, refused)
    const table = this.#table()
    if (up || !refused || table === undefined || !this.#replica.leading()) return
    if (knownProcesses(table).some(known => known.endpoint === peer)) {
      this.#liveness.gone(peer)
      this.#checkedMs = Number.NEGATIVE_INFINITY
    }
  }

  onTable(): void {}

  flush(): void {
    this.#propose()
    this.#replica.flush()
    // What has waited for the last entry goes into the next one now, not with the next packet.
    if (!this.#inFlight && this.#waiting.size > 0) {
      this.#propose()
      this.#replica.flush()
    }
    this.#publish()
  }

  stopping(): boolean {
    if (!this.#replica.leading() || this.#options.peers.length === 1) return true
    this.#stoppingSinceMs ??= this.#env.nowMs()
    this.#replica.transferLeadership()
    return this.#env.nowMs() - this.#stoppingSinceMs >= handOverMs
  }

  #table(): RoutingTable | undefined {
    return this.#machine.table(this.#getRow)
  }

  readonly #getRow = (key: string): Buffer | undefined => this.#replica.getRow(key)

  #sendRaft(message: RaftMessage): void {
    const data = encodeRaftMessage(message)
    const { to, term } = message
    const priority = mayOvertake(message) ? priorities.urgent : priorities.normal
    this.#env.send(arbiterEndpoint(to), packet('RAFT', { data }, { priority, term }))
  }

  #onRaft(from: EndpointId, data: Buffer): void {
    let message: RaftMessage
    try {
      message = decodeRaftMessage(data)
    } catch (error) {
      if (!(error instanceof RingsetError)) throw error
      this.#env.metrics.count('arbiter_bad_raft_messages_total')
      this.#env.log.warn('arbiter.bad_raft_message', { from, code: error.code })
      return
    }
    const { replicaId } = this.#options
    if (message.to !== replicaId || from !== arbiterEndpoint(message.from)) {
      this.#env.metrics.count('arbiter_bad_raft_messages_total')
      this.#env.log.warn('arbiter.misaddressed_raft_message', { from, to: message.to })
      return
    }
    this.#replica.step(message)
  }

  #onLeadership(leading: boolean): void {
    this.#env.log.info('arbiter.leadership', { leading, term: this.#replica.term() })
    const nowMs = this.#env.nowMs()
    if (leading) this.#liveness.begin(nowMs)
    this.#opinions.reset()
    this.#checkedMs = Number.NEGATIVE_INFINITY
    this.#lostState.reset()
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const change of waiting) this.#askers.refuse(change.asker, 'NOT_LEADER')
  }

  #onAnnounce(from: EndpointId, request: PacketHeader, payload: PayloadOf<'ANNOUNCE'>): void {
    const asker: Asker = { from, request, ok: 'ANNOUNCE_OK' }
    const { load: _load, ...process } = payload
    const refusal =
      from === endpointOf(process) ? this.#announced(process, asker) : refused('FORBIDDEN')
    if (refusal !== undefined) this.#askers.refuse(asker, refusal.code, refusal.retryAfterMs)
  }

  #announced(process: AnnouncedProcess, asker: Asker): Refused | undefined {
    if (!this.#replica.leading()) return refused('NOT_LEADER')
    const table = this.#table()
    if (table === undefined) return refused('NO_TABLE', soonMs)
    const next = judgeAnnounce(table, process, this.#getRow)
    if (typeof next === 'string') return refused(codeOfRefusal[next], soonMs)
    const nowMs = this.#env.nowMs()
    const endpoint = endpointOf(process)
    this.#liveness.heard(endpoint, nowMs)
    if (next === table) {
      if (this.#waiting.get(endpoint)?.command.type === 'down') this.#waiting.delete(endpoint)
      this.#askers.accept(asker)
      return undefined
    }
    if (this.#lostState.lost) return refused('EPOCH_CONFLICT')
    const waitMs = this.#liveness.changeWaitMs(endpoint, nowMs)
    if (waitMs > 0 && !process.stopping) {
      this.#env.metrics.count('arbiter_flaps_damped_total')
      return refused('RATE_LIMITED', waitMs)
    }
    return this.#enqueue({ endpoint, command: { type: 'announce', process }, asker })
  }

  #enqueue(change: Change): Refused | undefined {
    const { endpoint } = change
    if (this.#waiting.size >= changesWaiting && !this.#waiting.has(endpoint)) {
      return refused('OVERLOADED', soonMs)
    }
    // Only the newest news of a process counts; its earlier question runs into its deadline.
    this.#waiting.set(endpoint, change)
    return undefined
  }

  /** One entry at a time: what arrives meanwhile shares the next one, and so one epoch. */
  #propose(): void {
    const table = this.#table()
    if (this.#inFlight || this.#waiting.size === 0 || table === undefined) return
    const batch: Change[] = []
    for (const [endpoint, change] of this.#waiting) {
      if (batch.length === changesPerEntry) break
      this.#waiting.delete(endpoint)
      const { command } = change
      const settled =
        command.type === 'announce' && judgeAnnounce(table, command.process, this.#getRow) === table
      if (settled) this.#askers.accept(change.asker)
      else batch.push(change)
    }
    if (batch.length > 0) this.#proposeBatch(batch)
  }

  #proposeBatch(batch: readonly Change[]): void {
    const data = encodeCommands(batch.map(change => change.command))
    const refusal = this.#replica.propose(data, outcome => this.#onOutcome(batch, outcome))
    if (refusal === undefined) {
      this.#inFlight = true
      this.#env.metrics.observe('arbiter_changes_per_entry', batch.length)
      return
    }
    const code = refusal === 'overloaded' ? 'OVERLOADED' : 'NOT_LEADER'
    for (const change of batch) this.#askers.refuse(change.asker, code, soonMs)
  }

  #onOutcome(batch: readonly Change[], outcome: ProposeOutcome): void {
    this.#inFlight = false
    this.#publish()
    const nowMs = this.#env.nowMs()
    for (const [i, { endpoint, asker }] of batch.entries()) {
      if (outcome === 'lost') {
        this.#askers.refuse(asker, 'PROPOSAL_DROPPED', soonMs)
        continue
      }
      const result = outcome.results[i] as ArbiterResult
      if (result !== 'done') {
        this.#askers.refuse(asker, codeOfRefusal[result], soonMs)
        continue
      }
      this.#liveness.changed(endpoint, nowMs)
      this.#askers.accept(asker)
    }
  }

  /** The table this replica has applied becomes the process's (and so travels with its packets). */
  #publish(): void {
    const table = this.#table()
    if (table === undefined || table.epoch === this.#publishedEpoch) return
    this.#publishedEpoch = table.epoch
    this.#env.metrics.gauge('arbiter_epoch', table.epoch)
    const adoption = this.#options.keeper.adopt(this.#getRow(tableRow)!)
    if (adoption === 'conflict' || adoption === 'foreign' || adoption === 'malformed') {
      this.#env.metrics.count('arbiter_tables_refused_total')
      this.#env.log.error('arbiter.table_refused', { adoption, epoch: table.epoch })
    }
  }

  #proposeFirstTable(): void {
    const first = this.#firstTable
    if (first === undefined || this.#inFlight || this.#lostState.behind) return
    if (this.#table() !== undefined) {
      this.#firstTable = undefined
      return
    }
    const data = encodeCommands([{ type: 'bootstrap', table: encodeTable(first) }])
    const refusal = this.#replica.propose(data, () => {
      this.#inFlight = false
    })
    this.#inFlight = refusal === undefined
  }

  #findDown(nowMs: number): void {
    const table = this.#table()
    if (table === undefined || this.#lostState.lost) return
    const suspected = knownProcesses(table).filter(
      ({ endpoint, state }) => state !== 'down' && this.#liveness.suspect(endpoint, nowMs)
    )
    this.#opinions.attend(table, suspected, nowMs)
    for (const process of suspected) {
      const { endpoint, bootId } = process
      if (!this.#liveness.overdue(endpoint, nowMs)) continue
      if (this.#waiting.has(endpoint) || this.#liveness.changeWaitMs(endpoint, nowMs) > 0) continue
      if (!this.#opinions.agree(process, nowMs)) continue
      this.#env.log.warn('arbiter.process_down', { endpoint, bootId })
      this.#enqueue({ endpoint, command: { type: 'down', endpoint, bootId }, asker: undefined })
    }
  }
}
