import { describe, expect, it } from 'vitest'
import { eraMessages } from '../../src/protocol/eras.ts'
import type { SimProcess } from '../../src/sim/sim-process.ts'
import { atArbiter } from '../../src/sim/slot-operations.ts'
import type { Swarm } from '../../src/sim/swarm.ts'
import type { World } from '../../src/sim/world.ts'
import { leaderOf, play, repeatedly } from '../support/scripted-world.ts'

const atMs = 3_000

/** For good, all replicas of s1 die but the one that leads. */
function loseMajority(world: World): void {
  const survivor = leaderOf(world, 's1')
  for (const { nodeId } of world.topology.replicasOf('s1')) {
    if (nodeId !== survivor.nodeId) world.node(nodeId).retire('killed')
  }
}

/** What an operator does: gives the set up, sends its slots to the others, and takes it out of the table. */
function recover(world: World): void {
  const survivor = world.topology
    .replicasOf('s1')
    .find(({ nodeId }) => !world.node(nodeId).retired)!
  const change = { setId: 's1', epoch: 0, zone: '', weight: 100, routers: [survivor] }
  atArbiter(world, ({ changes }, view) => {
    const set = view.set('s1')
    if (set === undefined) return
    if (set.state !== 'lost') changes.changeSet({ ...change, step: 'lose' }, () => {})
    const others = view.table!.sets.filter(({ id }) => id !== 's1').map(({ id }) => id)
    for (const run of view.table!.runs) {
      if (run.setId !== 's1') continue
      for (let slot = run.first; slot < run.first + run.count; slot++) {
        changes.move(slot, others[slot % others.length]!, () => {})
      }
    }
    changes.changeSet({ ...change, step: 'remove' }, () => {})
  })
}

/** A session goes on behind a jump, which the judges of contiguity do not expect. */
const unjudged = ['contiguity', 'session-log'] as const

function lose(seed: number, swarm: Partial<Swarm>, more: (world: World) => void = () => {}) {
  return play({ seed, seconds: 12, world: { sets: 3, ...swarm }, unjudged }, world => {
    world.kernel.schedule(atMs, () => loseMajority(world))
    repeatedly(world, { fromMs: atMs + 500, untilMs: 60_000, everyMs: 200 }, () => recover(world))
    more(world)
  })
}

/** Dies, and starts again a moment later. */
function restart(world: World, node: SimProcess): void {
  node.crash('killed', 0)
  world.kernel.schedule(300, () => node.start())
}

describe('a set that has lost its majority for good', () => {
  const mustBeRecovered = (seed: number, more: (world: World) => void = () => {}): void => {
    let removed = false
    let broken = 0
    const verdict = lose(seed, {}, world => {
      more(world)
      repeatedly(world, { fromMs: atMs, untilMs: 60_000, everyMs: 500 }, () => {
        removed ||= world.nodes.some(
          ({ keeper }) => keeper.view().epoch > 1 && keeper.view().set('s1') === undefined
        )
        const held = world.devices.flatMap(device => [...device.held.values()])
        broken = Math.max(broken, held.filter(msgid => msgid >= eraMessages).length)
      })
    })
    expect(verdict.ok, `${verdict.check}: ${verdict.text}`).toBe(true)
    expect(removed).toBe(true)
    expect(broken).toBeGreaterThan(0)
  }

  it.each([1, 2, 3])('is recovered from its last replica, seed %s', seed => mustBeRecovered(seed))

  it('is recovered although that one dies again and again meanwhile', () => {
    mustBeRecovered(4, world => {
      repeatedly(world, { fromMs: atMs + 800, untilMs: atMs + 3_500, everyMs: 900 }, () => {
        const survivor = world.topology
          .replicasOf('s1')
          .map(({ nodeId }) => world.node(nodeId))
          .find(({ retired }) => !retired)!
        if (survivor.alive) restart(world, survivor)
      })
    })
  })

  it('is recovered although leaders of the sets that take its slots die meanwhile', () => {
    mustBeRecovered(5, world => {
      for (const [i, group] of ['s2', 's3', 's2', 's3'].entries()) {
        world.kernel.schedule(atMs + 700 + 500 * i, () => {
          const leader = leaderOf(world, group)
          if (leader !== undefined) restart(world, leader)
        })
      }
    })
  })
})
