import { describe, expect, it } from 'vitest'
import { mutants } from '../../src/sim/mutants.ts'
import { simulate } from '../../src/sim/simulate.ts'

const faultMs = 6_000

/** The first seed in which the checks notice; undefined if none does. */
function noticed(mutant: (typeof mutants)[number], seeds: readonly number[]): string | undefined {
  for (const seed of seeds) {
    const { ok, check } = simulate({ seed, faultMs, mutant })
    if (!ok) return check
  }
  return undefined
}

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
      const replay = `ringset sim --seed ${seed} --minutes ${faultMs / 60_000} --trace`
      expect(verdict.ok, `${verdict.check}: ${verdict.text}\n${replay}`).toBe(true)
      acked += verdict.acked
      received += verdict.received
    }
    expect(acked).toBeGreaterThan(1_000)
    expect(received).toBeGreaterThan(2_000)
  })

  it('notices answers that do not wait for the disk', () => {
    expect(noticed('early-ack', [1, 2, 5, 9, 11])).toBeDefined()
  })

  it('has a seed for every rule it can break', () => {
    expect([...mutants].sort()).toEqual(['early-ack', 'lost-vote', 'unconfirmed-reads'])
  })
})
