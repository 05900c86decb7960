import type { Metrics } from '../base/ports.ts'
import { Prng } from '../base/prng.ts'
import { endpointOf, observerEndpoint } from '../protocol/endpoint.ts'
import { p2pSession } from '../protocol/session.ts'
import { SharedTables } from '../table/shared-tables.ts'
import { SimHistory } from './history.ts'
import { Invariants, SimFailure } from './invariants.ts'
import { Kernel } from './kernel.ts'
import { Marks } from './marks.ts'
import { MemberWatch } from './member-watch.ts'
import type { Mutant, Tampering } from './mutants/mutant.ts'
import { ReplicaWatch } from './replica-watch.ts'
import { SimBackend } from './sim-backend.ts'
import { SimDevice } from './sim-device.ts'
import { clientAddressOf, SimGates } from './sim-gates.ts'
import { SimNetwork } from './sim-network.ts'
import { type HostedReplica, SimProcess } from './sim-process.ts'
import { buildRoles } from './sim-roles.ts'
import { SlotWatch } from './slot-watch.ts'
import { StepKiller } from './step-killer.ts'
import { defaultShape, drawSwarm, type Swarm } from './swarm.ts'
import { Topology } from './topology.ts'
import type { Trace } from './trace.ts'
import { TrafficWatch } from './traffic-watch.ts'

/** One seed's cluster, with its users: everything that the simulation holds, and nothing outside it. */
export class World {
  readonly seed: number
  readonly trace: Trace
  readonly tampering: Tampering
  readonly swarm: Swarm
  readonly topology: Topology
  readonly kernel = new Kernel()
  readonly invariants = new Invariants()
  readonly marks = new Marks()
  readonly memberWatch = new MemberWatch(this)
  readonly replicaWatch = new ReplicaWatch(this)
  readonly trafficWatch = new TrafficWatch(this)
  readonly slotWatch = new SlotWatch(this)
  readonly stepKiller: StepKiller | undefined
  readonly history: SimHistory
  readonly network: SimNetwork
  readonly gates: SimGates
  readonly nodes: SimProcess[] = []
  readonly backends: SimBackend[] = []
  readonly devices: SimDevice[] = []
  readonly sessions: string[] = []
  readonly #membersOf = new Map<string, readonly string[]>()
  /** Session → newest msgid acknowledged to anybody or received by anybody. */
  readonly #latest = new Map<string, number>()
  /** Session and msgid → the message acknowledged there. */
  readonly acks = new Map<string, number>()
  /** How often what happened. */
  readonly counts = new Map<string, number>()
  readonly #byId = new Map<string, SimProcess>()
  #messages = 0

  constructor(seed: number, trace: Trace, mutant: Mutant | undefined, fixed: Partial<Swarm> = {}) {
    this.seed = seed
    this.trace = trace
    const broken = mutant && { ...defaultShape, ...mutant.world }
    this.swarm = { ...drawSwarm(seed), ...broken, ...fixed }
    const { stepKill } = this.swarm
    this.stepKiller = stepKill && new StepKiller(this, stepKill)
    this.topology = new Topology(this.swarm)
    this.tampering = mutant?.tamper(this) ?? {}
    this.history = new SimHistory(() => this.kernel.nowMs())
    this.network = new SimNetwork(this)
    this.gates = new SimGates(this)
    for (const [index, plan] of this.topology.nodes.entries()) {
      const endpoints = [...plan.roles.map(endpointOf), observerEndpoint(plan.id)]
      const build = (process: SimProcess): void => buildRoles(process, plan)
      const node = new SimProcess(this, { index, id: plan.id, endpoints }, build)
      this.nodes.push(node)
      this.#byId.set(plan.id, node)
    }
    this.#addUsers()
    const backends = this.#addBackends()
    this.network.connect([...this.nodes, ...backends])
    for (const process of [...this.nodes, ...backends]) process.start()
    for (const device of this.devices) device.start()
  }

  /** Everybody who adopts a table looks at the same compiled one. */
  readonly tables = new SharedTables(64)

  readonly metrics: Metrics = { count: () => {}, gauge: () => {}, observe: () => {} }

  #addUsers(): void {
    const random = new Prng(this.seed, 'users')
    const uids = Array.from({ length: this.swarm.users }, (_, i) => `u${i}`)
    for (const [i, uid] of uids.entries()) {
      for (const step of [1, 2]) {
        const other = uids[(i + step) % uids.length]!
        this.#addSession(uid, other)
      }
    }
    for (const uid of uids.slice(0, 3)) this.#addSession(uid, 'bot')
    const { spare } = this.topology
    const addresses = this.topology.nodes.flatMap(({ roles }) =>
      roles.flatMap(role =>
        role.role === 'transfer' && role.set !== spare ? [clientAddressOf(role.id)] : []
      )
    )
    for (const uid of uids) {
      const classes = random.float() < this.swarm.secondDevices ? 2 : 1
      for (const deviceClass of (['mobile', 'desktop'] as const).slice(0, classes)) {
        const who = { uid, deviceId: deviceClass, class: deviceClass }
        const own = this.sessions.filter(session => this.#membersOf.get(session)!.includes(uid))
        for (const session of own) {
          const member = { session, uid, device: deviceClass, from: 1 }
          this.history.add('members', 'ok', 'member', session, member)
        }
        this.devices.push(new SimDevice(this, who, addresses, own))
      }
    }
  }

  #addSession(a: string, b: string): void {
    const session = p2pSession(a, b)
    if (a === b || this.#membersOf.has(session)) return
    this.sessions.push(session)
    this.#membersOf.set(session, [a, b])
  }

  #addBackends(): SimProcess[] {
    const own = this.sessions.filter(session => this.#membersOf.get(session)!.includes('bot'))
    return Array.from({ length: this.swarm.backends }, (_, i) => {
      const index = this.topology.nodes.length + i
      const id = `b${i}`
      const endpoint = `client/${id}`
      return new SimProcess(this, { index, id, endpoints: [endpoint] }, process => {
        const backend = new SimBackend(this, process.env(endpoint), own)
        this.backends.push(backend)
        process.roles.set(endpoint, backend)
      })
    })
  }

  members(session: string): readonly string[] {
    return this.#membersOf.get(session)!
  }

  node(nodeId: string): SimProcess {
    return this.#byId.get(nodeId)!
  }

  /** Who believes to lead a group, and can serve. */
  leadersOf(group: string): HostedReplica[] {
    return this.nodes.flatMap(({ replicas }) =>
      replicas.filter(replica => replica.group === group && replica.api.leading())
    )
  }

  /** Number of a new message, unique in the world. */
  nextMessage(_session: string): number {
    return ++this.#messages
  }

  acked(session: string, msgid: number, message: number): void {
    const key = `${session} ${msgid}`
    const known = this.acks.get(key)
    if (known !== undefined && known !== message) {
      throw new SimFailure('reassigned', `${key} was acknowledged for ${known} and for ${message}`)
    }
    this.acks.set(key, message)
    this.received(session, msgid)
  }

  received(session: string, msgid: number): void {
    if (msgid > this.latestOf(session)) this.#latest.set(session, msgid)
  }

  latestOf(session: string): number {
    return this.#latest.get(session) ?? 0
  }

  counted(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1)
  }

  /** Something about a process that belongs into hash and story. */
  note(what: string, process: SimProcess, detail: number): void {
    const nowMs = this.kernel.nowMs()
    this.replicaWatch.noted(what, process, detail)
    this.trace.event(nowMs, what, process.index, detail)
    this.trace.tell(nowMs, process.nodeId, () => `** ${what} ${detail}`)
  }
}
