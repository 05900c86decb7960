import { Prng } from '../base/prng.ts'
import type { SimProcess } from './sim-process.ts'
import { exponential, type FaultKind, pick, shuffled } from './swarm.ts'
import { setIds } from './topology.ts'
import type { World } from './world.ts'

/** Does the faults that the swarm has drawn, each at random times, until `stop`. */
export class Nemesis {
  readonly #world: World
  readonly #random: Prng
  #stopped = false

  constructor(world: World) {
    this.#world = world
    this.#random = new Prng(world.seed, 'faults')
    for (const { kind, everyMs } of world.swarm.faults) this.#later(kind, everyMs)
  }

  #later(kind: FaultKind, everyMs: number): void {
    this.#after(exponential(this.#random, everyMs), () => {
      this.#do(kind)
      this.#later(kind, everyMs)
    })
  }

  #after(delayMs: number, event: () => void): void {
    this.#world.kernel.schedule(delayMs, () => {
      if (!this.#stopped) event()
    })
  }

  /** Ends all faults: everything is mended, everybody runs. */
  stop(): void {
    this.#stopped = true
    const { nodes, devices, network } = this.#world
    for (const from of nodes) for (const to of nodes) network.setCut(from, to, false)
    for (const device of devices) device.muted = false
    for (const node of nodes) {
      node.diskFactor = 1
      node.turnFactor = 1
      node.resume()
      if (!node.alive) node.start()
    }
  }

  #do(kind: FaultKind): void {
    const world = this.#world
    const random = this.#random
    world.counted(`fault_${kind}`)
    world.trace.event(world.kernel.nowMs(), kind, 0)
    world.trace.tell(world.kernel.nowMs(), 'nemesis', () => kind)
    const node = pick(random, world.nodes)
    const forMs = this.#duration()
    switch (kind) {
      case 'crash':
        this.#crash(node, 'killed', forMs)
        break
      case 'powerLoss':
        this.#crash(node, 'powerLoss', forMs)
        break
      case 'setLoss':
        this.#loseAll(`${pick(random, setIds)}-`, forMs)
        break
      case 'arbiterLoss':
        this.#loseAll('a', forMs)
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
      case 'slowDisk':
        node.diskFactor = pick(random, [5, 50])
        this.#after(forMs, () => {
          node.diskFactor = 1
        })
        break
      case 'slowNode':
        node.turnFactor = pick(random, [10, 100])
        this.#after(forMs, () => {
          node.turnFactor = 1
        })
        break
      case 'wipe':
        this.#wipe(node, forMs)
        break
      case 'clientReset':
      case 'clientMute':
      case 'clientRestart':
        this.#disturbClient(kind, forMs)
        break
      default:
        this.#disturbNetwork(kind, node, forMs)
    }
  }

  #disturbNetwork(kind: FaultKind, node: SimProcess, forMs: number): void {
    const { network, nodes } = this.#world
    const other = pick(this.#random, nodes)
    if (kind === 'reset') {
      if (node !== other) network.reset(node, other)
      return
    }
    const pairs: [SimProcess, SimProcess][] = []
    if (kind === 'cut' || kind === 'cutOneWay') {
      pairs.push([node, other])
      if (kind === 'cut') pairs.push([other, node])
    } else {
      const order = shuffled(nodes, this.#random)
      const camp = kind === 'isolate' ? [node] : order.slice(0, 1 + this.#random.below(8))
      for (const a of nodes) {
        for (const b of nodes) if (camp.includes(a) !== camp.includes(b)) pairs.push([a, b])
      }
    }
    for (const [from, to] of pairs) network.setCut(from, to, true)
    this.#after(forMs, () => {
      for (const [from, to] of pairs) network.setCut(from, to, false)
    })
  }

  #disturbClient(kind: FaultKind, forMs: number): void {
    const { devices, gates } = this.#world
    const device = pick(this.#random, devices)
    if (kind === 'clientReset') gates.reset(device)
    else if (kind === 'clientRestart') device.restart(forMs)
    else {
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

  #startLater(node: SimProcess, delayMs: number): void {
    this.#after(delayMs, () => {
      if (!node.alive) node.start()
    })
  }

  #loseAll(prefix: string, forMs: number): void {
    for (const node of this.#world.nodes) {
      if (!node.nodeId.startsWith(prefix)) continue
      this.#crash(node, 'powerLoss', forMs * this.#random.float())
    }
  }

  /** Only one replica of a group at a time may have lost its disk, else there is nothing to recover from. */
  #wipe(node: SimProcess, forMs: number): void {
    const group = node.replicas[0]?.group
    const fellows = this.#world.nodes.filter(other => other.nodeId.startsWith(node.nodeId[0]!))
    const sound = fellows
      .filter(other => other.nodeId.slice(0, -1) === node.nodeId.slice(0, -1))
      .every(other => other.alive && other.replicas.every(({ api }) => !api.status().quarantined))
    if (group === undefined || group === 'arbiter' || !sound) return
    node.crash('killed', 0)
    node.wipe()
    this.#startLater(node, forMs)
  }
}
