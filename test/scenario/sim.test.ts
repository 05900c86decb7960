import { describe, expect, it } from 'vitest'
import type { Mutant } from '../../src/sim/mutants.ts'
import { simulate } from '../../src/sim/simulate.ts'
import type { Swarm } from '../../src/sim/swarm.ts'

const faultMs = 6_000

/** A world in which the broken rule hurts. */
const swarms = {
  'early-ack': { faults: [{ kind: 'setLoss', everyMs: 600 }], diskMeanMs: 8, tiny: false },
  'unconfirmed-reads': {
    faults: [{ kind: 'isolate', everyMs: 400 }],
    backends: 6,
    diskMeanMs: 0.2,
    diskMinMs: 0.1,
    latencyMinMs: 0.05,
    latencyMeanMs: 0.1,
    tiny: false
  }
} as const satisfies Partial<Record<Mutant, Partial<Swarm>>>
type Sensitive = keyof typeof swarms

describe('the simulation', () => {
  it('gives equal runs for equal seeds, whatever ran before', () => {
    const first = [7, 8, 7].map(seed => simulate({ seed, faultMs: 3_000 }))
    expect(first[2]).toEqual(first[0])
    expect(first[1]!.hash).not.toBe(first[0]!.hash)
    const told: string[] = []
    const again = simulate({ seed: 7, faultMs: 3_000, story: line => told.push(line) })
    expect(again).toEqual(first[0])
    expect(told.length).toBeGreaterThan(20)
  })

  it('finds nothing wrong in the pinned seeds', () => {
    let acked = 0
    let received = 0
    for (let seed = 1; seed <= 24; seed++) {
      const verdict = simulate({ seed, faultMs })
      const replay = `ringset sim --seed ${seed} --seconds ${faultMs / 1_000} --trace`
      expect(verdict.ok, `${verdict.check}: ${verdict.text}\n${replay}`).toBe(true)
      acked += verdict.acked
      received += verdict.received
    }
    expect(acked).toBeGreaterThan(1_000)
    expect(received).toBeGreaterThan(2_000)
  })

  it.each<Sensitive>(['early-ack', 'unconfirmed-reads'])(
    'notices the broken rule %s within a few seeds, and nothing without it',
    mutant => {
      const swarm = swarms[mutant]
      const notices = (seed: number): boolean =>
        !simulate({ seed, faultMs: 10_000, mutant, swarm }).ok
      expect([1, 2, 3, 4, 5, 6, 7, 8].some(notices)).toBe(true)
      expect(simulate({ seed: 2, faultMs: 3_000, swarm }).ok).toBe(true)
    }
  )
})
