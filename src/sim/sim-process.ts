import type { Log, Metrics } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import type { CarryMode } from '../protocol/carrier.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Packet } from '../protocol/packet.ts'
import type { Role, RoleEnv } from '../protocol/role.ts'
import type { ReplicaApi } from '../raft/replica-api.ts'
import type { MemoryDisk } from '../storage/memory-store.ts'
import { createTableKeeper } from '../table/create-table-keeper.ts'
import type { TableKeeper } from '../table/table-keeper.ts'
import type { TableView } from '../table/table-view.ts'
import { LifeMarks, SimFailure } from './invariants.ts'
import { SimDrive } from './sim-drive.ts'
import type { World } from './world.ts'

const leaveMs = 8_000
/** How long the copy of the table on disk lags behind. */
const tableWriteMs = 5

export interface HostedReplica {
  readonly endpoint: EndpointId
  readonly group: string
  readonly replicaId: number
  readonly api: ReplicaApi
}

interface LocalPacket {
  readonly to: EndpointId
  readonly from: EndpointId
  readonly packet: Packet
}

/**
 * A node of the cluster: the twin of the host's node and role runner. Its memory goes with a crash; disk, table file and clock
 * stay. While it is paused, whatever happens to it waits.
 */
export class SimProcess {
  readonly world: World
  readonly index: number
  readonly nodeId: string
  readonly endpoints: readonly EndpointId[]
  readonly #build: (process: SimProcess) => void
  readonly #random: Prng
  readonly drive: SimDrive
  #tableFile: Buffer | undefined
  /** Runs, or is paused. */
  alive = false
  paused = false
  /** False while its machine is without power: nobody is told that it is gone. */
  powered = true
  /** It never runs again. */
  retired = false
  /** Asked to stop in order, and on its way. */
  leaving = false
  bootId = 0
  life = 0
  keeper: TableKeeper = createTableKeeper()
  readonly roles = new Map<EndpointId, Role>()
  replicas: HostedReplica[] = []
  marks = new LifeMarks()
  /** Events run, for the story's end. */
  turns = 0
  turnFactor = 1
  wallSkewMs = 0
  readonly #rate: number
  /** Of another version than the rest, where the cluster is mixed. */
  readonly later: boolean
  #dirty = new Set<Role>()
  #turnDue = false
  #local: LocalPacket[] = []
  #backlog: (() => void)[] = []
  #soon: (() => void)[] = []

  constructor(
    world: World,
    node: {
      readonly index: number
      readonly id: string
      readonly endpoints: readonly EndpointId[]
    },
    build: (process: SimProcess) => void
  ) {
    this.world = world
    this.index = node.index
    this.nodeId = node.id
    this.endpoints = node.endpoints
    this.#build = build
    this.#random = new Prng(world.seed, `process ${node.id}`)
    this.#rate = 1 + (this.#random.float() * 2 - 1) * world.swarm.drift
    this.wallSkewMs = (this.#random.float() * 2 - 1) * 200
    this.drive = new SimDrive(this, this.#random)
    this.later = world.swarm.mixed && new Prng(world.seed, `version ${node.id}`).below(2) === 0
  }

  get carry(): CarryMode {
    return this.later ? 'always' : this.world.swarm.carry
  }

  get disk(): MemoryDisk {
    return this.drive.disk
  }

  // Time

  readonly nowMs = (): number => this.world.kernel.nowMs() * this.#rate + 1_000
  readonly wallMs = (): number =>
    1_700_000_000_000 + Math.floor(this.world.kernel.nowMs() + this.wallSkewMs)

  // Life

  start(): void {
    if (this.retired) return
    this.alive = true
    this.paused = false
    this.powered = true
    this.leaving = false
    this.life++
    this.bootId = this.#random.id48()
    this.marks = new LifeMarks()
    const keeper = createTableKeeper({
      work: this.world.tables,
      onConflict: ({ epoch }) => {
        throw new SimFailure('epochs', `${this.nodeId} is shown another table of epoch ${epoch}`)
      }
    })
    this.keeper = this.world.tampering.keeper?.(keeper, this) ?? keeper
    if (this.#tableFile !== undefined) this.keeper.adopt(this.#tableFile)
    if (this.keeper.view().epoch > 0) this.#sawTable(this.keeper.view())
    this.keeper.onAdopted(view => this.#adopted(view))
    this.world.note('start', this, this.life)
    this.#build(this)
    for (const role of this.roles.values()) {
      role.start()
      this.#wake(role)
    }
    this.#scheduleTick()
    this.world.network.started(this)
  }

  /** Memory is gone. @param kind what the peers notice. */
  crash(kind: 'killed' | 'powerLoss', keepUnsynced: number): void {
    if (!this.alive) return
    this.world.note(kind, this, keepUnsynced)
    this.alive = false
    this.paused = false
    this.leaving = false
    this.powered = kind === 'killed'
    this.roles.clear()
    this.replicas = []
    this.#dirty.clear()
    this.#turnDue = false
    this.#local = []
    this.#backlog = []
    this.#soon = []
    this.drive.crash(keepUnsynced)
    this.world.network.stopped(this, kind)
    this.world.gates.stopped(this, kind)
  }

  /** Dies for ever. */
  retire(kind: 'killed' | 'powerLoss'): void {
    this.retired = true
    this.crash(kind, 0)
  }

  /** Nothing is left of what was on its disk; call while the process is down. */
  replaceDisk(): void {
    this.drive.replace()
    this.#tableFile = undefined
  }

  pause(): void {
    if (!this.alive || this.paused) return
    this.world.note('pause', this, 0)
    this.paused = true
    this.world.network.refresh(this)
  }

  resume(): void {
    if (!this.paused) return
    this.world.note('resume', this, this.#backlog.length)
    this.paused = false
    const backlog = this.#backlog
    this.#backlog = []
    for (const event of backlog) this.enqueue(event)
    this.world.network.refresh(this)
  }

  /** As SIGTERM: roles leave, then the process ends. @param done runs when it is down. */
  leave(done: () => void): void {
    if (!this.alive || this.leaving) return
    this.leaving = true
    this.world.note('leave', this, 0)
    const { life } = this
    const deadlineMs = this.world.kernel.nowMs() + leaveMs
    const poll = (): void => {
      if (this.life !== life || !this.alive) return
      let busy = false
      for (const role of this.roles.values()) {
        this.#run(role, () => {
          if (!role.stopping()) busy = true
        })
      }
      if (busy && this.world.kernel.nowMs() < deadlineMs) this.after(this.world.swarm.tickMs, poll)
      else {
        this.crash('killed', Number.POSITIVE_INFINITY)
        done()
      }
    }
    this.enqueue(poll)
  }

  // Events

  /** Runs `event` now, after the pause if there is one, or never if the process dies before. */
  enqueue(event: () => void): void {
    if (!this.alive) return
    if (this.paused) this.#backlog.push(event)
    else event()
  }

  /** Runs `event` in this life after a delay. */
  after(delayMs: number, event: () => void): void {
    const { life } = this
    this.world.kernel.schedule(delayMs, () => {
      if (this.life === life && this.alive) this.enqueue(event)
    })
  }

  packet(to: EndpointId, from: EndpointId, received: Packet): void {
    const role = this.roles.get(to)
    if (role === undefined) return
    this.world.trace.event(this.world.kernel.nowMs(), received.kind, this.index, received.sequence)
    role.onPacket(from, received)
    this.#wake(role)
  }

  peer(endpoint: EndpointId, up: boolean, refused: boolean): void {
    for (const role of this.roles.values()) {
      this.#run(role, () => role.onPeer(endpoint, up, refused))
    }
  }

  /** Runs something of a role and flushes it at the end of the turn. */
  role(endpoint: EndpointId, event: (role: Role) => void): void {
    const role = this.roles.get(endpoint)
    if (role !== undefined) this.#run(role, () => event(role))
  }

  wake(endpoint: EndpointId): void {
    const role = this.roles.get(endpoint)
    if (role !== undefined) this.#wake(role)
  }

  /** Runs `done` in a later turn. */
  readonly soon = (done: () => void): void => {
    this.#soon.push(done)
    this.#scheduleTurn()
  }

  // What roles get

  env(self: EndpointId): RoleEnv {
    const { bootId, nowMs, wallMs } = this
    return {
      self,
      bootId,
      log: this.log,
      metrics: this.world.metrics,
      random: new Prng(bootId, self),
      nowMs,
      wallMs,
      send: (to, sent) => this.#send(self, to, sent),
      table: () => this.keeper.view(),
      flushIn: delayMs => this.after(delayMs, () => this.wake(self))
    }
  }

  get log(): Log {
    const { world } = this
    const tell = (event: string, facts: object = {}): void => {
      world.counted(event)
      if (event === 'replica_healed') this.drive.old = false
      world.replicaWatch.logged(event, facts, this)
      world.trace.tell(world.kernel.nowMs(), this.nodeId, () => `${event} ${JSON.stringify(facts)}`)
    }
    return { debug: () => {}, info: tell, warn: tell, error: tell }
  }

  get metrics(): Metrics {
    return this.world.metrics
  }

  #send(from: EndpointId, to: EndpointId, sent: Packet): boolean {
    const home = this.world.network.homeOf(to)
    if (home !== this)
      return home !== undefined && this.world.network.send(this, home, from, to, sent)
    const { epoch } = this.keeper.view()
    this.#local.push({ to, from, packet: { ...sent, epoch } as Packet })
    this.#scheduleTurn()
    return true
  }

  #run(role: Role, event: () => void): void {
    event()
    this.#wake(role)
  }

  #wake(role: Role): void {
    this.#dirty.add(role)
    this.#scheduleTurn()
  }

  #scheduleTurn(): void {
    if (this.#turnDue) return
    this.#turnDue = true
    this.after(this.world.swarm.turnMs * this.turnFactor, this.#turn)
  }

  /** The end of a turn of the event loop: local packets, then one flush per role concerned. */
  readonly #turn = (): void => {
    this.#turnDue = false
    this.turns++
    const soon = this.#soon
    this.#soon = []
    for (const done of soon) done()
    if (soon.length > 0) for (const role of this.roles.values()) this.#wake(role)
    const local = this.#local
    this.#local = []
    for (const { to, from, packet } of local) this.packet(to, from, packet)
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const role of dirty) role.flush()
    this.#turnDue = false
    if (this.#dirty.size > 0 || this.#local.length > 0 || this.#soon.length > 0) {
      this.#scheduleTurn()
    }
    this.drive.go()
    this.#check()
  }

  #scheduleTick(): void {
    this.after(this.world.swarm.tickMs / this.#rate + this.#random.float() * 0.2, () => {
      this.marks.ticks++
      for (const role of this.roles.values()) {
        role.tick()
        this.#dirty.add(role)
      }
      // A turn of its own costs an event for every tick of an idle process.
      if (!this.#turnDue) this.#turn()
      this.#scheduleTick()
    })
  }

  #adopted(view: TableView): void {
    this.#sawTable(view)
    this.world.stepKiller?.table(view)
    const { encoded } = view
    this.after(tableWriteMs, () => {
      this.#tableFile = encoded
    })
    for (const role of this.roles.values()) this.#run(role, () => role.onTable())
  }

  #sawTable(view: TableView): void {
    this.world.invariants.table(this.nodeId, this.marks, view)
    this.world.note('table', this, view.epoch)
  }

  #check(): void {
    const { invariants } = this.world
    for (const { group, replicaId, api } of this.replicas) {
      if (api.leader() === replicaId) invariants.leads(group, api.term(), this.nodeId)
      invariants.status(group, `${group}/${replicaId}`, this.marks, api.status())
    }
  }
}
