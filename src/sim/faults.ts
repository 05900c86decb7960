import type { Prng } from '../base/prng.ts'
import type { MemoryDisk } from '../storage/memory-store.ts'
import { Transfer } from '../transfer/transfer.ts'
import { isMember, isQuorum } from './member-watch.ts'
import { disturbNetwork } from './network-faults.ts'
import { changeMembers, handOver } from './operations.ts'
import { addReplica } from './replica-operations.ts'
import type { SimProcess } from './sim-process.ts'
import { abortMove, changeSets, moveSlots } from './slot-operations.ts'
import { exponential, type FaultKind, pick } from './swarm.ts'
import { arbiterGroup } from './topology.ts'
import type { World } from './world.ts'

/** How long a process that found its disk full waits before it is started again. */
const restartMs = 200

/** One fault, with random numbers of its own: whether it happens changes nothing about what the other faults draw. */
export class Fault {
  readonly #world: World
  readonly #random: Prng
  /** Some faults come in several strokes; none falls after the end of all faults. */
  readonly #after: (delayMs: number, event: () => void) => void

  constructor(world: World, random: Prng, after: (delayMs: number, event: () => void) => void) {
    this.#world = world
    this.#random = random
    this.#after = after
  }

  do(kind: FaultKind): void {
    const random = this.#random
    const { topology } = this.#world
    const node = this.#victim()
    const forMs = this.#duration()
    switch (kind) {
      case 'crash':
        this.#crash(node, 'killed', forMs)
        break
      case 'powerLoss':
        this.#crash(node, 'powerLoss', forMs)
        break
      case 'setLoss':
        this.#loseAll(this.#group(pick(random, topology.setIds)), forMs)
        break
      case 'arbiterLoss':
        this.#loseAll(this.#group(arbiterGroup), forMs)
        break
      case 'storm':
        this.#storm(this.#group(pick(random, topology.groups)), 10 + random.below(60))
        break
      case 'pause':
        node.pause()
        this.#after(forMs, () => node.resume())
        break
      case 'restart':
        node.leave(() => this.#startLater(node, random.below(500)))
        break
      case 'wallJump':
        node.wallSkewMs += (random.float() * 2 - 1) * 5_000
        break
      case 'slowNode':
        node.turnFactor = pick(random, [10, 100])
        this.#after(forMs, () => {
          node.turnFactor = 1
        })
        break
      case 'clientReset':
      case 'clientMute':
      case 'clientRestart':
      case 'slowReader':
        this.#disturbClient(kind, forMs)
        break
      case 'slowDisk':
      case 'stuckDisk':
      case 'fullDisk':
      case 'syncError':
      case 'logDamage':
      case 'wipe':
      case 'newDisk':
        this.#disturbDisk(kind, node, forMs)
        break
      case 'crashInstall':
        this.#crashInstall(node)
        break
      case 'changeMembers':
      case 'moveSlots':
      case 'abortMove':
      case 'changeSets':
      case 'addReplica':
      case 'handOver':
        this.#operate(kind, forMs)
        break
      case 'herd':
      case 'burst':
      case 'drain':
      case 'oldDisk':
      case 'lateRepeat':
        this.#press(kind, node, forMs)
        break
      default:
        disturbNetwork({ world: this.#world, random, after: this.#after }, kind, node, forMs)
    }
  }

  #operate(kind: FaultKind, forMs: number): void {
    const world = this.#world
    const random = this.#random
    if (kind === 'changeMembers') this.#changeMembers(forMs)
    else if (kind === 'moveSlots') moveSlots(world, random)
    else if (kind === 'abortMove') abortMove(world, random)
    else if (kind === 'changeSets') changeSets(world, random)
    else if (kind === 'addReplica') addReplica(world, random)
    else handOver(world, random)
  }

  #press(kind: FaultKind, node: SimProcess, forMs: number): void {
    const random = this.#random
    const { devices, gates } = this.#world
    switch (kind) {
      case 'herd':
        for (const device of devices) gates.reset(device)
        break
      case 'burst':
        pick(random, devices).burst(20 + random.below(100), random)
        break
      case 'drain':
        this.#drain(forMs)
        break
      case 'lateRepeat':
        pick(random, devices).repeatLate(random)
        break
      case 'oldDisk': {
        const copy = node.disk.copy()
        // Of data that was sound when it was copied.
        if (!node.drive.sound) return
        const lateMs = exponential(random, 3_000)
        this.#after(lateMs, () => this.#loseData(kind, node, forMs, copy))
      }
    }
  }

  #drain(forMs: number): void {
    const random = this.#random
    const gateways = this.#world.nodes.flatMap(node =>
      [...node.roles].flatMap(([endpoint, role]) =>
        role instanceof Transfer ? [{ node, endpoint, departure: role.departure }] : []
      )
    )
    if (gateways.length === 0) return
    const { node, endpoint, departure } = pick(random, gateways)
    if (node.paused) return
    const { life } = node
    departure.drain(pick(random, [undefined, 0, 1_000]), random.below(4) === 0)
    node.wake(endpoint)
    this.#world.kernel.schedule(forMs, () => {
      if (!node.alive || node.life !== life) return
      if ((departure.moved ?? 0) > 0) this.#world.marks.hit('gateway drained')
      departure.undrain()
      node.wake(endpoint)
    })
  }

  #disturbDisk(kind: FaultKind, node: SimProcess, forMs: number): void {
    const random = this.#random
    switch (kind) {
      case 'slowDisk':
        node.drive.factor = pick(random, [5, 50])
        this.#after(forMs, () => {
          node.drive.factor = 1
        })
        break
      case 'stuckDisk':
        node.drive.stick()
        this.#after(forMs, () => node.drive.free())
        break
      case 'fullDisk':
        node.drive.fails = () => {
          // Nothing of a batch that does not fit is written.
          node.crash('killed', 0)
          this.#startLater(node, restartMs)
        }
        this.#after(forMs, () => {
          node.drive.fails = undefined
        })
        break
      case 'syncError':
        node.drive.fails = () => {
          node.drive.fails = undefined
          // What the failed sync left on the disk nobody knows.
          node.crash('killed', pick(random, [0, 1, 3]))
          this.#startLater(node, forMs)
        }
        break
      default:
        this.#loseData(kind, node, forMs)
    }
  }

  /** Only where the others can go on without it and heal it, whatever becomes of a change of members under way. */
  #loseData(kind: FaultKind, node: SimProcess, forMs: number, copy?: MemoryDisk): void {
    const lost = node.replicas[0]
    if (lost === undefined || lost.group === arbiterGroup) return
    const { group, replicaId } = lost
    const { memberWatch } = this.#world
    const possible = memberWatch.possible(group)
    const members = this.#replicas(group).filter(({ id }) => possible.some(it => isMember(it, id)))
    const sound = members.every(({ node: { alive, drive } }) => alive && drive.sound)
    const others = members.map(({ id }) => id).filter(id => id !== replicaId)
    if (!sound || !possible.every(membership => isQuorum(membership, others))) return
    if (copy !== undefined && !memberWatch.noticed(group, replicaId, copy)) return
    node.crash('killed', 0)
    if (copy !== undefined) node.drive.restore(copy)
    else if (kind === 'newDisk') node.replaceDisk()
    else if (kind === 'logDamage') node.drive.damageLog(entries => this.#random.below(entries + 1))
    else node.drive.wipe()
    this.#startLater(node, forMs)
  }

  /** Now and then the leader dies before the change is through. */
  #changeMembers(forMs: number): void {
    const random = this.#random
    const leader = changeMembers(this.#world, random)
    if (leader === undefined || random.below(4) > 0) return
    this.#after(exponential(random, 20), () => this.#crash(leader, 'killed', forMs))
  }

  /** Some process, as a rule this one, dies while it receives a snapshot. */
  #crashInstall(node: SimProcess): void {
    const random = this.#random
    const { replicaWatch } = this.#world
    const delayMs = exponential(random, pick(random, [1, 10, 50]))
    const kept = pick(random, [0, 1, 1_000_000, 1_000_000])
    const forMs = exponential(random, 100)
    replicaWatch.onInstall(receiver =>
      this.#after(delayMs, () => {
        if (!replicaWatch.installing(receiver)) return
        receiver.crash('killed', kept)
        this.#startLater(receiver, forMs)
      })
    )
    this.#loseData('wipe', node, exponential(random, 300))
  }

  #disturbClient(kind: FaultKind, forMs: number): void {
    const { devices, gates } = this.#world
    const device = pick(this.#random, devices)
    if (kind === 'clientReset') gates.reset(device)
    else if (kind === 'clientRestart') device.restart(forMs)
    else if (kind === 'slowReader') {
      device.readsEveryMs = pick(this.#random, [20, 200, 1_000])
      this.#after(forMs, () => {
        device.readsEveryMs = 0
      })
    } else {
      device.muted = true
      this.#after(forMs, () => {
        device.muted = false
      })
    }
  }

  /** Mostly short, sometimes past every timeout. */
  #duration(): number {
    return exponential(this.#random, pick(this.#random, [30, 300, 2_500]))
  }

  #crash(node: SimProcess, kind: 'killed' | 'powerLoss', forMs: number): void {
    // Of a killed process the operating system writes everything; without power any suffix is lost.
    const kept = pick(this.#random, [0, 1, 3, 1_000_000])
    node.crash(kind, kept)
    this.#startLater(node, forMs)
  }

  /** Also when the faults are over meanwhile: who was asked to leave does so. */
  #startLater(node: SimProcess, delayMs: number): void {
    this.#world.kernel.schedule(delayMs, () => {
      if (!node.alive) node.start()
    })
  }

  /** Half of the time somebody who leads, for that is where it hurts. */
  #victim(): SimProcess {
    const { nodes, topology } = this.#world
    if (this.#random.below(2) === 0) return pick(this.#random, nodes)
    const group = pick(this.#random, topology.groups)
    const leader = this.#group(group).find(({ replicas }) =>
      replicas.some(replica => replica.group === group && replica.api.leading())
    )
    return leader ?? pick(this.#random, nodes)
  }

  #group(group: string): SimProcess[] {
    const { topology } = this.#world
    return topology.replicasOf(group).map(({ nodeId }) => this.#world.node(nodeId))
  }

  #replicas(group: string): { id: number; node: SimProcess }[] {
    return this.#world.topology.replicasOf(group).map(({ replicaId: id, nodeId }) => {
      return { id, node: this.#world.node(nodeId) }
    })
  }

  /** Without power at once, and rather while something is on its way to a disk. */
  #loseAll(nodes: readonly SimProcess[], forMs: number, patience = 50): void {
    const writing = nodes.filter(({ disk }) => disk.pending > 0).length
    if (writing < 2 && patience > 0) {
      this.#after(1, () => this.#loseAll(nodes, forMs, patience - 1))
      return
    }
    const kept = pick(this.#random, [0, 0, 1, 3])
    for (const node of nodes) {
      node.crash('powerLoss', kept)
      this.#startLater(node, forMs * this.#random.float())
    }
  }

  #storm(nodes: readonly SimProcess[], strikes: number): void {
    const node = pick(this.#random, nodes)
    node.crash('killed', pick(this.#random, [0, 0, 1, 1_000_000]))
    this.#startLater(node, exponential(this.#random, 8))
    if (strikes > 0) {
      this.#after(exponential(this.#random, 40), () => this.#storm(nodes, strikes - 1))
    }
  }
}
