import { describe, expect, it } from 'vitest'
import { Marks } from '../../src/sim/marks.ts'
import { mutantNamed, mutants } from '../../src/sim/mutants/registry.ts'
import { simulate } from '../../src/sim/simulate.ts'

const faultMs = 4_000

/** A few of each family that are noticed soon; `npm run test:mutants` demands all. */
const broken = ['double-vote', 'early-ack', 'dedup-forgotten', 'any-unregister']

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
    const marks = new Marks()
    for (let seed = 1; seed <= 9; seed++) {
      const verdict = simulate({ seed, faultMs })
      const replay = `ringset sim --seed ${seed} --seconds ${faultMs / 1_000} --trace`
      expect(verdict.ok, `${verdict.check}: ${verdict.text}\n${replay}`).toBe(true)
      acked += verdict.acked
      received += verdict.received
      marks.add(verdict.marks)
    }
    expect(acked).toBeGreaterThan(1_000)
    expect(received).toBeGreaterThan(2_000)
    expect(marks.missing.length, `not come into: ${marks.missing.join(', ')}`).toBeLessThan(18)
  })

  it.each(broken)('notices the broken rule %s within a few seeds, and nothing without it', name => {
    const { world, noticedBy } = mutantNamed(name)
    const run = (seed: number): string | undefined =>
      simulate({ seed, faultMs: 10_000, mutant: name }).check
    const noticed = [1, 2, 3, 4, 5, 6, 7, 8].find(seed => run(seed) !== undefined)
    expect(noticedBy).toContain(run(noticed ?? 1))
    expect(simulate({ seed: noticed ?? 1, faultMs: 10_000, swarm: world }).check).toBeUndefined()
  })

  it('has many rules to break, each by a name of its own', () => {
    const names = new Set(mutants.map(({ name }) => name))
    expect(names.size).toBe(mutants.length)
    expect(names.size).toBeGreaterThan(20)
  })
})
