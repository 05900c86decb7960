import type { Packet } from '../../src/protocol/packet.ts'
import { parseSession, routingKey } from '../../src/protocol/session.ts'
import type { SimProcess } from '../../src/sim/sim-process.ts'
import { type SimOptions, type SimVerdict, simulate } from '../../src/sim/simulate.ts'
import { atArbiter } from '../../src/sim/slot-operations.ts'
import type { Swarm } from '../../src/sim/swarm.ts'
import type { World } from '../../src/sim/world.ts'

/** Two sets on quick machines, where nothing goes wrong but what a script does. */
const calm: Partial<Swarm> = {
  sets: 2,
  routers: 3,
  arbiters: 3,
  tickMs: 20,
  users: 6,
  secondDevices: 0,
  sendEveryMs: 200,
  backends: 0,
  latencyMinMs: 0.1,
  latencyMeanMs: 0.5,
  clientLatencyMs: 1,
  diskMinMs: 0.1,
  diskMeanMs: 0.5,
  diskSpikes: 0,
  turnMs: 0.1,
  trailingEntries: 1_000,
  snapshotChunkBytes: 2_048,
  heartbeatMaxMs: 5_000,
  transferLeaseMs: 4_000,
  tiny: false,
  drift: 0,
  wire: false,
  carry: 'stamp',
  repeats: 0,
  lasting: false,
  lanes: false,
  mixed: false,
  spare: false,
  newcomers: 0,
  faults: []
}

interface Play {
  readonly seed: number
  readonly seconds: number
  readonly world?: Partial<Swarm>
  /** A rule to break on purpose. */
  readonly mutant?: string
  readonly unjudged?: SimOptions['unjudged']
}

/** Has a script act in a calm world, then judges the world as any seed is judged. */
export function play(
  { seed, seconds, world = {}, mutant, unjudged }: Play,
  script: (world: World) => void
): SimVerdict {
  const swarm = { ...calm, ...world }
  return simulate({ seed, faultMs: seconds * 1_000, swarm, mutant, script, unjudged })
}

/** Calls `event` at `fromMs` and every `everyMs` from then on, before `untilMs`. */
export function repeatedly(
  { kernel }: World,
  { fromMs, untilMs, everyMs }: { fromMs: number; untilMs: number; everyMs: number },
  event: () => void
): void {
  const next = (): void => {
    if (kernel.nowMs() >= untilMs) return
    event()
    kernel.schedule(everyMs, next)
  }
  kernel.schedule(fromMs, next)
}

export const slotOfSession = (world: World, session: string): number =>
  world.nodes[0]!.keeper.view().slotOf(routingKey(session, parseSession(session)))

/** Sends a slot to the set that does not have it, of two. */
export function moveSlot(world: World, slot: number): void {
  atArbiter(world, ({ changes }, view) => {
    const { setId } = view.owner(slot)!
    changes.move(slot, setId === 's1' ? 's2' : 's1', () => {})
  })
}

export const leaderOf = (world: World, group: string): SimProcess =>
  world.nodes.find(({ replicas }) =>
    replicas.some(replica => replica.group === group && replica.api.leading())
  )!

/** Calls `look` for all that processes send each other. */
export function watchPackets(
  { network }: World,
  look: (packet: Packet, to: SimProcess) => void
): void {
  const send = network.send.bind(network)
  network.send = (from, to, fromEndpoint, toEndpoint, sent) => {
    look(sent, to)
    return send(from, to, fromEndpoint, toEndpoint, sent)
  }
}
