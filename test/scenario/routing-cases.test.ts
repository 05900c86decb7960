import { describe, expect, it } from 'vitest'
import { errorCodes } from '../../src/base/error-codes.ts'
import { Prng } from '../../src/base/prng.ts'
import type { SimVerdict } from '../../src/sim/simulate.ts'
import { atArbiter } from '../../src/sim/slot-operations.ts'
import type { World } from '../../src/sim/world.ts'
import {
  leaderOf,
  moveSlot,
  play,
  repeatedly,
  slotOfSession,
  watchPackets
} from '../support/scripted-world.ts'

/** Cases of docs/testing.md, "Failure cases of the routing table", that no drawn world is sure to come into. */

function mustPass({ ok, check, text, seed }: SimVerdict): void {
  expect(ok, `seed ${seed}: ${check}: ${text}`).toBe(true)
}

/** Sends the slots of these sessions to the other set at `atMs`. */
function moveSessions(world: World, sessions: readonly string[], atMs: number): void {
  world.kernel.schedule(atMs, () => {
    const slots = new Set(sessions.map(session => slotOfSession(world, session)))
    for (const slot of slots) moveSlot(world, slot)
  })
}

const staleCodes = [errorCodes.STALE_SLOT.number, errorCodes.MOVED.number] as const

describe('a back end that starts with a table', () => {
  /** How many epochs old; undefined: none at all; 'corrupt': bytes that are no table. */
  const tables = [1, 5, undefined, 'corrupt'] as const

  it.each(tables)('of so many epochs ago: %s', age => {
    let startedWith = -1
    let newest = 0
    let wasted = 0
    let adoption: string | undefined
    const verdict = play({ seed: 11, seconds: 6, world: { backends: 1 } }, world => {
      const backend = world.network.homeOf('client/b0')!
      backend.crash('killed', 0)
      world.backends.length = 0
      const seen = new Map<number, Buffer>()
      world.nodes[0]!.keeper.onAdopted(({ epoch, encoded }) => seen.set(epoch, encoded))
      const bots = world.sessions.filter(session => world.members(session).includes('bot'))
      for (const [i, session] of bots.entries()) moveSessions(world, [session], 2_000 + 300 * i)
      watchPackets(world, (sent, to) => {
        const refused = sent.kind === 'ERROR' && staleCodes.some(code => code === sent.payload.code)
        if (to === backend && refused) wasted++
      })
      world.kernel.schedule(3_500, () => {
        const { epoch } = world.nodes[0]!.keeper.view()
        const old = typeof age === 'number' ? seen.get(epoch - age)! : seen.get(epoch)!
        const bytes = Buffer.from(old)
        if (age === 'corrupt') bytes[bytes.length >> 1]! ^= 1
        backend.replaceDisk()
        world.tampering.keeper = (keeper, process) => {
          if (process === backend && age !== undefined) adoption = keeper.adopt(bytes)
          return keeper
        }
        backend.start()
        startedWith = epoch - backend.keeper.view().epoch
        newest = epoch
      })
    })
    mustPass(verdict)
    expect(newest).toBeGreaterThan(6)
    expect(startedWith).toBe(typeof age === 'number' ? age : newest)
    expect(adoption).toBe(
      age === undefined ? undefined : age === 'corrupt' ? 'malformed' : 'adopted'
    )
    // What it does not know costs a hop each, once: a backend asks for few slots.
    if (age === 5) expect(wasted).toBeGreaterThan(0)
    expect(wasted).toBeLessThanOrEqual(4)
    expect(verdict.acked).toBeGreaterThan(50)
  })

  it('newer than that of the set that it asks tells it of the slot that it has got', () => {
    const hears = (seed: number): SimVerdict =>
      play({ seed, seconds: 6, world: { backends: 2 } }, world => {
        const bots = world.sessions.filter(session => world.members(session).includes('bot'))
        // Both sets hear the end of a move from back ends alone: the arbiters and the other set are silent to them from the seal on.
        const routers = world.nodes.filter(({ nodeId }) => nodeId.startsWith('s'))
        const silence = (cut: boolean): void => {
          for (const to of routers) {
            for (const from of world.nodes) {
              if (from.nodeId[1] !== to.nodeId[1] || from.nodeId.startsWith('a')) {
                world.network.setCut(from, to, cut)
              }
            }
          }
        }
        watchPackets(world, sent => {
          if (sent.kind !== 'MOVE_REPORT' || sent.payload.outcome !== 'imported') return
          silence(true)
          world.kernel.schedule(700, () => silence(false))
        })
        moveSessions(world, bots, 2_000)
        moveSessions(world, bots, 4_000)
      })
    const verdicts = [1, 2, 3, 4].map(hears)
    verdicts.forEach(mustPass)
    const wanted = ['slot moved', 'table adopted from a client', 'router behind its asker'] as const
    for (const mark of wanted) {
      expect(
        verdicts.some(({ marks }) => (marks[mark] ?? 0) > 0),
        mark
      ).toBe(true)
    }
  })
})

describe('a message that was sent before its slot moved', () => {
  const repeats = (mutant?: string): SimVerdict =>
    play({ seed: 5, seconds: 6, ...(mutant && { mutant }) }, world => {
      moveSessions(world, world.sessions, 2_500)
      const random = new Prng(world.seed, 'repeats')
      repeatedly(world, { fromMs: 4_000, untilMs: 6_000, everyMs: 50 }, () => {
        for (const device of world.devices) device.repeatLate(random)
      })
    })

  it('is answered by the new owner as it was by the one before when it comes again', () => {
    const verdict = repeats()
    mustPass(verdict)
    expect(verdict.marks['slot moved']).toBeGreaterThan(3)
    expect(verdict.marks['late repeat answered as before']).toBeGreaterThan(50)
  })

  it('would be taken for a new one if deduplication did not move along', () => {
    expect(repeats('dedup-left-behind').ok).toBe(false)
  })
})

describe('an abort', () => {
  it('that races completion either comes in time or does nothing', () => {
    let raced = 0
    const verdict = play({ seed: 8, seconds: 12 }, world => {
      const random = new Prng(world.seed, 'race')
      watchPackets(world, sent => {
        if (sent.kind !== 'MOVE_REPORT' || sent.payload.outcome !== 'imported') return
        const { slot } = sent.payload
        world.kernel.schedule(random.float() * 2, () =>
          atArbiter(world, ({ changes }, view) => {
            if (view.move(slot) === undefined) return
            raced++
            changes.abort(slot, () => {})
          })
        )
      })
      const slots = world.sessions
      let next = 0
      repeatedly(world, { fromMs: 2_000, untilMs: 11_500, everyMs: 100 }, () => {
        moveSlot(world, slotOfSession(world, slots[next++ % slots.length]!))
      })
    })
    mustPass(verdict)
    expect(raced).toBeGreaterThan(10)
    expect(verdict.marks['slot moved']).toBeGreaterThan(5)
    expect(verdict.marks['arrival of a slot called off']).toBeGreaterThan(5)
  })
})

describe('a hot slot', () => {
  it('moves while the one user in a hundred who lives there sends half of all messages', () => {
    let hot = 0
    const verdict = play(
      { seed: 2, seconds: 7, world: { users: 100, sendEveryMs: 5_000 } },
      world => {
        const [device] = world.devices
        const random = new Prng(world.seed, 'hot')
        repeatedly(world, { fromMs: 1_500, untilMs: 7_000, everyMs: 40 }, () => {
          hot++
          device!.burst(1, random)
        })
        repeatedly(world, { fromMs: 2_000, untilMs: 6_500, everyMs: 500 }, () => {
          moveSlot(world, world.nodes[0]!.keeper.view().slotOf(device!.uid))
        })
      }
    )
    mustPass(verdict)
    const share = hot / verdict.acked
    expect(share).toBeGreaterThan(0.45)
    expect(share).toBeLessThan(0.75)
    expect(verdict.marks['slot moved']).toBeGreaterThan(4)
  })
})

describe('a thousand moves', () => {
  it('in a row, while everybody writes', () => {
    const moves = 1_000
    let asked = 0
    // The move of a slot takes more of a simulation than of a cluster: groups of one replica, who still log and sync everything.
    const small = { routers: 1, arbiters: 1, tickMs: 50, sendEveryMs: 400 }
    const verdict = play({ seed: 4, seconds: 36, world: small }, world => {
      repeatedly(world, { fromMs: 1_500, untilMs: 35_000, everyMs: 50 }, () => {
        atArbiter(world, (_, view) => {
          const { slotCount, moves: underWay } = view.table!
          for (let free = 12 - underWay.length; free > 0 && asked < moves + 50; free--) {
            moveSlot(world, asked++ % slotCount)
          }
        })
      })
    })
    mustPass(verdict)
    expect(verdict.marks['slot moved']).toBeGreaterThanOrEqual(moves)
  })
})

describe('a logic', () => {
  it('that restarts again and again uses sequence numbers again, and takes no late answer for its own', () => {
    /** Sequence → the life of a logic that used it first. */
    const usedBy = new Map<number, number>()
    let reused = 0
    let late = 0
    const slow = { sendEveryMs: 50, latencyMeanMs: 4, diskMeanMs: 8 }
    const verdict = play({ seed: 6, seconds: 6, world: slow }, world => {
      watchPackets(world, (sent, to) => {
        const { kind, bootId, sequence } = sent
        if (kind === 'APPEND' && bootId !== usedBy.get(sequence)) {
          if (usedBy.has(sequence)) reused++
          else usedBy.set(sequence, bootId)
        }
        if (kind === 'APPEND_OK' && bootId !== to.bootId) late++
      })
      const turns = ['s1-a', 's2-b', 's1-b', 's2-a']
      let next = 0
      repeatedly(world, { fromMs: 1_500, untilMs: 6_000, everyMs: 250 }, () => {
        const node = world.node(turns[next++ % turns.length]!)
        node.crash('killed', 1_000)
        node.start()
      })
    })
    mustPass(verdict)
    expect(reused).toBeGreaterThan(50)
    expect(late).toBeGreaterThan(0)
  })
})

describe('arbiters', () => {
  it('that are all down for ten minutes stop neither messages nor failover, and go on afterwards', () => {
    const downMs = 600_000
    const acked: number[] = []
    const epochs: number[] = []
    const verdict = play(
      { seed: 7, seconds: 2 + 600 + 4, world: { users: 3, sendEveryMs: 3_000, tickMs: 50 } },
      world => {
        const { kernel, nodes } = world
        const arbiters = nodes.filter(({ nodeId }) => nodeId.startsWith('a'))
        const note = (): void => {
          acked.push(world.acks.size)
          epochs.push(nodes[0]!.keeper.view().epoch)
        }
        kernel.schedule(2_000, () => {
          note()
          for (const node of arbiters) node.crash('powerLoss', 0)
        })
        // A leader dies and comes back with what its table file holds.
        kernel.schedule(300_000, () => {
          const leader = leaderOf(world, 's1')
          leader.crash('killed', 0)
          kernel.schedule(20_000, () => leader.start())
        })
        kernel.schedule(2_000 + downMs, () => {
          note()
          for (const node of arbiters) node.start()
        })
        kernel.schedule(4_000 + downMs, () => moveSlot(world, 1))
      }
    )
    mustPass(verdict)
    expect(acked[1]! - acked[0]!).toBeGreaterThan(400)
    expect(epochs[1]).toBe(epochs[0])
    expect(verdict.marks['slot moved']).toBe(1)
    expect(verdict.elections).toBeGreaterThanOrEqual(5)
  })

  it('of which the leader is left with a minority change nothing there, and go on with the others', () => {
    const lonely: boolean[] = []
    let turns = 0
    const verdict = play({ seed: 9, seconds: 14 }, world => {
      const { kernel, network, nodes } = world
      const arbiters = nodes.filter(({ nodeId }) => nodeId.startsWith('a'))
      const slot = (at: number): number => slotOfSession(world, world.sessions[at]!)
      repeatedly(world, { fromMs: 2_000, untilMs: 12_000, everyMs: 2_500 }, () => {
        const old = leaderOf(world, 'arbiter')
        const others = arbiters.filter(node => node !== old)
        const cut = (is: boolean): void => {
          for (const other of others) {
            network.setCut(old, other, is)
            network.setCut(other, old, is)
          }
        }
        cut(true)
        const { epoch } = old.keeper.view()
        const asked = slot(turns)
        // Whoever leads by its own word is asked first: the cut is a moment old.
        moveSlot(world, asked)
        kernel.schedule(300, () => lonely.push(old.keeper.view().epoch > epoch))
        kernel.schedule(1_500, () => {
          if (leaderOf(world, 'arbiter') !== old) turns++
          moveSlot(world, slot(turns + 2))
        })
        kernel.schedule(2_000, () => cut(false))
      })
    })
    mustPass(verdict)
    expect(turns).toBeGreaterThan(2)
    expect(lonely).not.toContain(true)
    expect(verdict.marks['slot moved']).toBeGreaterThan(2)
    expect(verdict.marks['uncommitted tail overwritten']).toBeGreaterThan(0)
  })
})
