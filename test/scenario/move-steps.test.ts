import { describe, expect, it } from 'vitest'
import { simulate } from '../../src/sim/simulate.ts'
import type { Swarm } from '../../src/sim/swarm.ts'
import { moveSteps, stepVictims } from '../../src/table/move-steps.ts'

/** More than the tests have time for: `RINGSET_STEP_SEEDS=100 npx vitest run test/scenario/move-steps.test.ts`. */
const seeds = Number(process.env.RINGSET_STEP_SEEDS ?? 1)
const combinations = moveSteps.flatMap(step => stepVictims.map(victim => ({ step, victim })))

const world: Partial<Swarm> = {
  sets: 2,
  routers: 3,
  arbiters: 3,
  users: 6,
  backends: 1,
  diskMeanMs: 1,
  diskSpikes: 0,
  lasting: false,
  faults: [
    { kind: 'moveSlots', everyMs: 250 },
    { kind: 'abortMove', everyMs: 2_500 }
  ]
}

describe('a move whose leaders die', () => {
  it.each(combinations)(
    'at the step $step, that of the $victim',
    ({ step, victim }) => {
      let kills = 0
      let moved = 0
      for (let seed = 1; seed <= seeds; seed++) {
        const swarm = { ...world, stepKill: { step, victim } }
        const verdict = simulate({ seed, faultMs: 2_500, swarm })
        const replay = `ringset sim --seed ${seed} --seconds 2.5 --world '${JSON.stringify(swarm)}'`
        expect(verdict.ok, `${verdict.check}: ${verdict.text}\n${replay}`).toBe(true)
        kills += verdict.counts.step_kill ?? 0
        moved += verdict.marks['slot moved'] ?? 0
      }
      expect(kills).toBeGreaterThan(0)
      expect(moved).toBeGreaterThan(0)
    },
    600_000
  )
})
