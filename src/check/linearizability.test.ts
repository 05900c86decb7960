import { describe, expect, it } from 'vitest'
import { explainable, type Trial } from '../../test/support/brute-force.ts'
import { Prng } from '../base/prng.ts'
import { linearize, type Model, type Operation } from './linearizability.ts'

const never = Number.POSITIVE_INFINITY

type RegisterInput = { write: number } | { read: number } | { from: number; to: number }

/** A register with compare-and-set, the model of the literature's examples. */
const register: Model<number, RegisterInput> = {
  initial: 0,
  step(state, input) {
    if ('write' in input) return input.write
    if ('from' in input) return input.from === state ? input.to : undefined
    return input.read === state ? state : undefined
  },
  key: String,
  staysIdle: input => 'read' in input,
  show: input => JSON.stringify(input)
}

function result(operations: readonly Operation<RegisterInput>[], budget = 100_000) {
  return linearize(operations, register, budget).result
}

function write(call: number, end: number, value: number): Operation<RegisterInput> {
  return { call, return: end, input: { write: value } }
}

function read(call: number, end: number, value: number): Operation<RegisterInput> {
  return { call, return: end, input: { read: value } }
}

describe('linearize', () => {
  it('accepts nothing, and what happened in sequence', () => {
    expect(result([])).toBe('linearizable')
    expect(result([write(1, 2, 5), read(3, 4, 5)])).toBe('linearizable')
  })

  it('lets overlapping operations take effect in either order', () => {
    expect(result([write(1, 4, 5), read(2, 3, 0)])).toBe('linearizable')
    expect(result([write(1, 4, 5), read(2, 3, 5)])).toBe('linearizable')
  })

  it('refuses a stale read', () => {
    expect(result([write(1, 2, 5), read(3, 4, 0)])).toBe('violation')
  })

  it('refuses a read that goes back', () => {
    expect(result([write(1, 8, 5), read(2, 3, 5), read(4, 5, 0)])).toBe('violation')
  })

  it('refuses a value that nobody wrote', () => {
    expect(result([write(1, 2, 5), read(3, 4, 6)])).toBe('violation')
  })

  it('lets an unknown outcome take effect late, early or never', () => {
    const unknown = write(1, never, 7)
    expect(result([unknown, read(2, 3, 0), read(4, 5, 7)])).toBe('linearizable')
    expect(result([unknown, read(2, 3, 7), read(4, 5, 7)])).toBe('linearizable')
    expect(result([unknown, read(2, 3, 0), read(4, 5, 0)])).toBe('linearizable')
    expect(result([unknown, read(2, 3, 7), read(4, 5, 0)])).toBe('violation')
    expect(result([read(1, 2, 7), write(3, never, 7)])).toBe('violation')
  })

  it('says where the best attempt got stuck', () => {
    const search = linearize([write(1, 2, 5), write(3, 4, 6), read(5, 6, 5)], register, 1_000)
    expect(search).toMatchObject({
      result: 'violation',
      stuck: { linearized: 2, known: 3, state: '6', candidates: [2] }
    })
  })

  it('answers unknown when the budget is spent, never a guess', { timeout: 60_000 }, () => {
    // Ten overlapping writes and an impossible read: all subsets would have to be visited.
    const writes = Array.from({ length: 10 }, (_, i) => write(i + 1, 100 + i, i + 1))
    const impossible = [...writes, read(50, 60, 99)]
    expect(result(impossible, 1_000)).toBe('unknown')
    expect(result(impossible, 10_000_000)).toBe('violation')
    expect(linearize(impossible, register, 1_000).steps).toBe(1_000)
    expect(result([write(1, 2, 5)], 0)).toBe('unknown')
  })

  it('prunes what it has seen with fewer unknown outcomes used up', () => {
    const unknown = Array.from({ length: 40 }, (_, i) => write(i + 1, never, 1))
    const search = linearize([...unknown, read(50, 60, 2)], register, 1_000_000)
    expect(search.result).toBe('violation')
    expect(search.steps).toBeLessThan(10_000)
  })

  it('does not prune what it has seen with other unknown outcomes used up', () => {
    const swap = { call: 1, return: never, input: { from: 0, to: 1 } }
    const known = [read(10, 11, 1), write(12, 13, 5), read(14, 15, 1)]
    expect(result([swap, write(2, never, 1), ...known])).toBe('linearizable')
    expect(result([swap, swap, ...known])).toBe('violation')
  })

  it('tries no alternatives to a read that fits', () => {
    const reads = Array.from({ length: 16 }, (_, i) => read(i + 1, 100 + i, 0))
    const search = linearize([...reads, read(50, 60, 9)], register, 1_000_000)
    expect(search.result).toBe('violation')
    expect(search.steps).toBeLessThan(100)
  })

  it('keeps the order of a chain', () => {
    const chained = (call: number, end: number, value: number) => ({
      ...write(call, end, value),
      chain: 0
    })
    expect(result([chained(1, 4, 5), chained(2, 3, 6), read(5, 6, 6)])).toBe('linearizable')
    expect(result([chained(1, 4, 5), chained(2, 3, 6), read(5, 6, 5)])).toBe('violation')
    expect(result([chained(3, 4, 5), chained(1, 2, 6)])).toBe('violation')
  })

  it('agrees with the definition on random small histories', { timeout: 60_000 }, () => {
    const random = new Prng(1)
    const seen = { linearizable: 0, violation: 0 }
    for (let run = 0; run < 6_000; run++) {
      const operations = randomOperations(random)
      const expected = explainable(operations, 0, (state, input) => register.step(state, input))
      const actual = result(operations)
      if (actual !== (expected ? 'linearizable' : 'violation')) {
        expect.fail(JSON.stringify(operations))
      }
      seen[expected ? 'linearizable' : 'violation']++
    }
    expect(Math.min(seen.linearizable, seen.violation)).toBeGreaterThan(1_000)
  })
})

function randomOperations(random: Prng): Trial<RegisterInput>[] {
  const count = 1 + random.below(6)
  const times = shuffled(random, 2 * count)
  return Array.from({ length: count }, (_, index) => {
    const a = times[2 * index]!
    const b = times[2 * index + 1]!
    const value = random.below(4)
    const kind = random.below(4)
    const input =
      kind === 0
        ? { write: 1 + random.below(3) }
        : kind === 1
          ? { from: random.below(3), to: value }
          : { read: value }
    const unknown = kind < 2 && random.below(2) === 0
    return { call: Math.min(a, b), return: unknown ? never : Math.max(a, b), input }
  })
}

function shuffled(random: Prng, count: number): number[] {
  const values = Array.from({ length: count }, (_, index) => index + 1)
  for (let i = count - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const value = values[i]!
    values[i] = values[j]!
    values[j] = value
  }
  return values
}
