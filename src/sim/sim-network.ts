import { ByteWriter } from '../base/bytes.ts'
import { Prng } from '../base/prng.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { decodeFrame, encodeFrame } from '../protocol/frame.ts'
import { answer, isUrgent, type Packet, packet } from '../protocol/packet.ts'
import { SimFailure } from './invariants.ts'
import { type Envelope, Link, type Side } from './sim-link.ts'
import type { SimProcess } from './sim-process.ts'
import type { World } from './world.ts'

/** As the real links: a silent one is dead after this, a lost process is reported after `lostMs`. */
const silenceMs = 3_000
const lostMs = 200
const handshakeMs = 2_000
const firstRedialMs = 20
const lastRedialMs = 1_000
const pingMs = 1_000
const waitingMax = 1_024

/**
 * The links between processes, as TCP and the real network layer above it behave: in order and complete while a connection lives;
 * a cut holds packets back until it heals or the silence kills the connection; a reset loses what was under way.
 */
export class SimNetwork {
  readonly #world: World
  readonly #random: Prng
  readonly #links: Link[] = []
  readonly #homes = new Map<EndpointId, SimProcess>()
  readonly #sides: (Side | undefined)[][] = []
  readonly #writer = new ByteWriter(4_096)

  constructor(world: World) {
    this.#world = world
    this.#random = new Prng(world.seed, 'network')
  }

  /** All processes, once. */
  connect(processes: readonly SimProcess[]): void {
    for (const process of processes) {
      for (const endpoint of process.endpoints) this.#homes.set(endpoint, process)
      this.#sides[process.index] = []
    }
    for (const a of processes) {
      for (const b of processes) {
        if (a.index >= b.index) continue
        const link = new Link(a, b)
        this.#links.push(link)
        this.#sides[a.index]![b.index] = link.a
        this.#sides[b.index]![a.index] = link.b
      }
    }
  }

  homeOf(endpoint: EndpointId): SimProcess | undefined {
    return this.#homes.get(endpoint)
  }

  // Faults

  /** Cuts the way from one process to another, or mends it. */
  setCut(from: SimProcess, to: SimProcess, cut: boolean): void {
    const side = this.#side(from, to)
    if (side === undefined || side.cut === cut) return
    side.cut = cut
    this.#refresh(side.link)
    if (!cut) this.#releaseHeld(side)
  }

  /** Packets from one to the other travel so many times as long. */
  setSlow(from: SimProcess, to: SimProcess, factor: number): void {
    const side = this.#side(from, to)
    if (side !== undefined) side.slowFactor = factor
  }

  reset(a: SimProcess, b: SimProcess): void {
    const side = this.#side(a, b)
    if (side === undefined) return
    const { link } = side
    link.connection++
    this.#close(link.a)
    this.#close(link.b)
  }

  started(process: SimProcess): void {
    for (const link of this.#linksOf(process)) {
      const own = link.a.process === process ? link.a : link.b
      own.forget()
      this.#refresh(link)
      link.failures = 0
      this.#dialSoon(link, this.#random.float())
    }
  }

  stopped(process: SimProcess, kind: 'killed' | 'powerLoss'): void {
    for (const link of this.#linksOf(process)) {
      const own = link.a.process === process ? link.a : link.b
      const wasOpen = own.open
      own.open = false
      own.held = []
      own.waiting = []
      if (kind === 'powerLoss' || !wasOpen) {
        this.#refresh(link)
        continue
      }
      // What was sent before arrives before the end, unless the kernel resets.
      if (this.#random.below(2) === 0) link.connection++
      const { connection } = link
      this.#afterTravel(own, () => {
        if (link.connection === connection) this.#close(own.other)
      })
      this.#refresh(link)
    }
  }

  /** A process was paused, resumed, or lost power. */
  refresh(process: SimProcess): void {
    for (const link of this.#linksOf(process)) this.#refresh(link)
  }

  // Sending

  /** As `RoleEnv.send`. */
  send(
    from: SimProcess,
    to: SimProcess,
    fromEndpoint: EndpointId | undefined,
    toEndpoint: EndpointId | undefined,
    sent: Packet
  ): boolean {
    const side = this.#side(from, to)!
    const view = from.keeper.view()
    const { epoch } = view
    const envelope: Envelope = {
      from: fromEndpoint,
      to: toEndpoint,
      // As the real link stamps it.
      packet: { ...sent, epoch } as Packet,
      epoch,
      table: undefined
    }
    if (!side.open) {
      if (!side.link.dialing || side.waiting.length >= waitingMax) return false
      side.waiting.push(envelope)
      return true
    }
    envelope.table = side.carrier.attachment(view)
    if (envelope.table !== undefined) side.carrier.attached(epoch)
    this.#transmit(side, this.#world.swarm.wire ? this.#throughWire(envelope) : envelope)
    return true
  }

  #throughWire(envelope: Envelope): Envelope {
    const writer = this.#writer
    writer.reset()
    const { packet: sent, epoch, table } = envelope
    encodeFrame(writer, sent, 0, 0, 0, epoch, table)
    const bytes = writer.copy()
    const frame = decodeFrame(bytes, 0, bytes.length)
    return { ...envelope, packet: frame.packet, table: frame.table }
  }

  #transmit(side: Side, envelope: Envelope): void {
    if (side.cut) {
      side.held.push(envelope)
      return
    }
    const { connection } = side.link
    const overtakes = this.#world.swarm.lanes && isUrgent(envelope.packet)
    const arrive = (): void => {
      if (side.link.connection !== connection || !side.other.open) return
      if (side.cut) side.held.push(envelope)
      else side.other.process.enqueue(() => this.#arrive(side.other, connection, envelope))
    }
    this.#afterTravel(side, arrive, overtakes)
  }

  /** Behind everything sent earlier in this direction, or, on a lane of its own, behind nothing. */
  #afterTravel(side: Side, event: () => void, overtakes = false): void {
    const { kernel, swarm } = this.#world
    const nowMs = kernel.nowMs()
    const { latencyMinMs, latencyMeanMs } = swarm
    const drawnMs = latencyMinMs - latencyMeanMs * Math.log(1 - this.#random.float())
    const travelMs = drawnMs * side.slowFactor
    if (overtakes) {
      side.urgentAtMs = Math.max(nowMs + travelMs, side.urgentAtMs + 1e-6)
      kernel.schedule(side.urgentAtMs - nowMs, event)
      return
    }
    side.arrivesAtMs = Math.max(nowMs + travelMs, side.arrivesAtMs + 1e-6)
    kernel.schedule(side.arrivesAtMs - nowMs, event)
  }

  #releaseHeld(side: Side): void {
    const { held } = side
    side.held = []
    for (const envelope of held) this.#transmit(side, envelope)
  }

  /** Stamp and table first, then the link's own kinds, then the endpoints: as the real receiver. */
  #arrive(side: Side, connection: number, envelope: Envelope): void {
    if (side.link.connection !== connection || !side.open) return
    const { process, carrier, other } = side
    const { packet: received, epoch, table } = envelope
    carrier.heard(epoch)
    if (table !== undefined && !table.equals(process.keeper.view().encoded)) {
      const adoption = process.keeper.adopt(Buffer.from(table))
      if (adoption === 'adopted') this.#world.trafficWatch.adopted(other.process)
      if (adoption === 'foreign' || adoption === 'malformed') {
        throw new SimFailure('tables', `${process.nodeId} is sent a ${adoption} table`)
      }
    }
    this.#catchUp(side)
    if (received.kind === 'TABLE_PULL') {
      carrier.asked()
      const { from, to } = envelope
      this.send(process, other.process, to, from, answer(received, 'TABLE', {}))
    } else if (envelope.to !== undefined && envelope.from !== undefined) {
      process.packet(envelope.to, envelope.from, received)
    }
  }

  /** Asks for the table of the other end when it is newer and has not come by itself. */
  #catchUp({ process, carrier, other }: Side): void {
    const { epoch } = process.keeper.view()
    if (carrier.shownEpoch > epoch && carrier.pulls(epoch, process.nowMs())) {
      this.send(process, other.process, undefined, undefined, packet('TABLE_PULL', {}))
    }
  }

  // Connections

  #close(side: Side): void {
    if (!side.open) return
    side.open = false
    side.held = []
    const { process, link } = side
    this.#world.trace.event(this.#world.kernel.nowMs(), 'close', process.index, link.number)
    process.enqueue(() => this.#lost(side))
    this.#refresh(link)
    this.#dialSoon(link, 0.2 * this.#random.float())
  }

  #lost(side: Side): void {
    if (side.state !== 'up') return
    side.state = 'lost'
    const lostNumber = ++side.lostNumber
    side.process.after(lostMs + 100 * this.#random.float(), () => {
      if (side.state === 'lost' && side.lostNumber === lostNumber) this.#down(side, false)
    })
  }

  #down(side: Side, refused: boolean): void {
    const { state, process, other } = side
    if (state === 'unknown' || state === 'gone' || (state === 'down' && !refused)) return
    side.state = refused ? 'gone' : 'down'
    for (const endpoint of other.process.endpoints) process.peer(endpoint, false, refused)
  }

  #up(side: Side): void {
    if (side.state === 'lost' || side.state === 'up') this.#down(side, false)
    side.state = 'up'
    for (const endpoint of side.other.process.endpoints) side.process.peer(endpoint, true, false)
  }

  #dialSoon(link: Link, delayMs: number): void {
    const attempt = ++link.attempt
    this.#world.kernel.schedule(delayMs, () => {
      if (link.attempt === attempt && !link.whole) this.#dial(link)
    })
  }

  #redial(link: Link): void {
    link.dialing = false
    link.a.waiting = []
    link.b.waiting = []
    const delayMs = Math.min(lastRedialMs, firstRedialMs * 2 ** Math.min(link.failures++, 10))
    this.#dialSoon(link, delayMs * (0.5 + this.#random.float() / 2))
  }

  #dial(link: Link): void {
    const { kernel, swarm } = this.#world
    const { a, b } = link
    const dialer = a.process.alive && !a.process.paused ? a : b
    const { process, other } = dialer
    // Both are down or paused: whoever starts or resumes tries again.
    if (!process.alive || process.paused) return
    const attempt = ++link.attempt
    link.dialing = true
    const roundTripMs = 2 * (swarm.latencyMinMs + swarm.latencyMeanMs)
    const reachable = !a.cut && !b.cut && other.process.powered
    const silent = !reachable || (other.process.alive && other.process.paused)
    kernel.schedule(silent ? handshakeMs : roundTripMs, () => {
      if (link.attempt !== attempt || link.whole) return
      if (!silent && !other.process.alive && other.process.powered) {
        process.enqueue(() => this.#down(dialer, true))
        this.#redial(link)
      } else if (this.#mayOpen(link)) this.#open(link)
      else this.#redial(link)
    })
  }

  #mayOpen({ a, b }: Link): boolean {
    const ready = (process: SimProcess): boolean => process.alive && !process.paused
    return !a.cut && !b.cut && ready(a.process) && ready(b.process)
  }

  #open(link: Link): void {
    this.#world.trace.event(this.#world.kernel.nowMs(), 'open', link.number)
    link.connection++
    link.failures = 0
    link.dialing = false
    const sides = [link.a, link.b]
    for (const side of sides) {
      side.begin(side.process.carry)
      if (side.peerBootId !== 0 && side.peerBootId !== side.other.process.bootId) {
        this.#down(side, true)
      }
      side.peerBootId = side.other.process.bootId
      side.carrier.heard(side.other.process.keeper.view().epoch)
    }
    for (const side of sides) {
      const { waiting } = side
      side.waiting = []
      for (const { from, to, packet: sent } of waiting) {
        this.send(side.process, side.other.process, from, to, sent)
      }
      this.#up(side)
    }
    this.#refresh(link)
    this.#pingLater(link, link.connection)
  }

  /** Signs of life, which also show the table that each end has to whoever nobody else writes to. */
  #pingLater(link: Link, connection: number): void {
    this.#world.kernel.schedule(pingMs, () => {
      if (link.connection !== connection) return
      for (const { open, process, other } of [link.a, link.b]) {
        if (!open || !process.alive || process.paused) continue
        this.send(process, other.process, undefined, undefined, packet('LINK_PING', {}))
      }
      this.#pingLater(link, connection)
    })
  }

  /** Looks again at who hears nothing on this link, after anything about it has changed. */
  #refresh(link: Link): void {
    for (const side of [link.a, link.b]) {
      const { other } = side
      const { process } = other
      const silent = side.open && (other.cut || !process.powered || process.paused)
      if (!silent) {
        side.silentSince = 0
        continue
      }
      if (side.silentSince !== 0) continue
      const mark = ++link.silences
      side.silentSince = mark
      this.#world.kernel.schedule(silenceMs + 100 * this.#random.float(), () => {
        if (side.silentSince === mark) this.#giveUp(side)
      })
    }
    if (!link.whole) this.#dialSoon(link, 1 + this.#random.float())
  }

  /** Nothing came for too long: this side closes, and the other hears of it if it can. */
  #giveUp(side: Side): void {
    if (side.process.paused || !side.process.alive) {
      side.silentSince = 0
      return
    }
    const { connection } = side.link
    this.#close(side)
    if (side.cut) return
    this.#afterTravel(side, () => {
      if (side.link.connection === connection) this.#close(side.other)
    })
  }

  #side(from: SimProcess, to: SimProcess): Side | undefined {
    return this.#sides[from.index]?.[to.index]
  }

  #linksOf(process: SimProcess): Link[] {
    return this.#links.filter(({ a, b }) => a.process === process || b.process === process)
  }
}
