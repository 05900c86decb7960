import type { Prng } from '../base/prng.ts'
import type { SimProcess } from './sim-process.ts'
import { type FaultKind, pick, shuffled } from './swarm.ts'
import type { World } from './world.ts'

export interface Stroke {
  readonly world: World
  readonly random: Prng
  readonly after: (delayMs: number, event: () => void) => void
}

type Way = readonly [from: SimProcess, to: SimProcess]

/** Faults of the links between processes. @param node one of those concerned, where it is one. */
export function disturbNetwork(
  stroke: Stroke,
  kind: FaultKind,
  node: SimProcess,
  forMs: number
): void {
  const { world, random } = stroke
  const { network, nodes } = world
  const other = pick(random, nodes)
  switch (kind) {
    case 'reset':
      if (node !== other) network.reset(node, other)
      break
    case 'slowLink':
      slowDown(stroke, node, other, forMs)
      break
    case 'takeTurns':
      takeTurns(stroke, pick(random, world.topology.groups), forMs, 3)
      break
    case 'cut':
      cut(
        stroke,
        [
          [node, other],
          [other, node]
        ],
        forMs
      )
      break
    case 'cutOneWay':
      cut(stroke, [[node, other]], forMs)
      break
    case 'isolate':
      cut(stroke, between([node], nodes), forMs)
      break
    default:
      cut(stroke, between(shuffled(nodes, random).slice(0, 1 + random.below(8)), nodes), forMs)
  }
}

/** Both ways between those of a camp and all others. */
function between(camp: readonly SimProcess[], all: readonly SimProcess[]): Way[] {
  return all.flatMap(from =>
    all.filter(to => camp.includes(from) !== camp.includes(to)).map(to => [from, to] as const)
  )
}

function cut({ world, after }: Stroke, ways: readonly Way[], forMs: number): void {
  for (const [from, to] of ways) world.network.setCut(from, to, true)
  after(forMs, () => {
    for (const [from, to] of ways) world.network.setCut(from, to, false)
  })
}

function slowDown(
  { world, random, after }: Stroke,
  node: SimProcess,
  other: SimProcess,
  forMs: number
): void {
  const set = (factor: number): void => {
    world.network.setSlow(node, other, factor)
    world.network.setSlow(other, node, factor)
  }
  set(pick(random, [10, 100, 1_000]))
  after(forMs, () => set(1))
}

/**
 * Whoever leads a group is cut off from most of the others and goes on taking requests from everybody else; then the one that they have
 * elected meanwhile.
 */
function takeTurns(stroke: Stroke, group: string, forMs: number, turns: number): void {
  const { world, random, after } = stroke
  const members = world.topology.replicasOf(group).map(({ nodeId }) => world.node(nodeId))
  const leader = members.find(({ replicas }) =>
    replicas.some(replica => replica.group === group && replica.api.leading())
  )
  if (leader !== undefined) {
    const others = shuffled(
      members.filter(it => it !== leader),
      random
    )
    const minority = [leader, ...others.slice(0, ((members.length - 1) >> 1) - 1)]
    cut(stroke, between(minority, members), forMs)
  }
  if (turns > 1) after(forMs + 20, () => takeTurns(stroke, group, forMs, turns - 1))
}
