import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { jointValue, jointVote, majorityValue, majorityVote } from './quorum.ts'

const identity = (value: number): number => value

/** The plain way: sort, take what a majority has. */
function naiveMajority(values: readonly number[]): number {
  if (values.length === 0) return Number.POSITIVE_INFINITY
  const sorted = [...values].sort((a, b) => b - a)
  return sorted[Math.floor(sorted.length / 2)]!
}

function naiveVote(ids: readonly number[], votes: ReadonlyMap<number, boolean>): string {
  const granted = ids.filter(id => votes.get(id) === true).length
  const refused = ids.filter(id => votes.get(id) === false).length
  if (ids.length === 0 || granted > ids.length / 2) return 'won'
  return ids.length - refused > ids.length / 2 ? 'pending' : 'lost'
}

const values = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 9 })
const voters = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 9 })
const ballots = fc
  .array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.boolean()))
  .map(pairs => new Map(pairs))

describe('quorum (27)', () => {
  it('finds the value that a majority has reached', () => {
    fc.assert(
      fc.property(values, list => majorityValue(list, identity) === naiveMajority(list)),
      { numRuns: 50_000 }
    )
  })

  it('takes the lesser of both halves', () => {
    fc.assert(
      fc.property(
        values,
        values,
        (a, b) => jointValue(a, b, identity) === Math.min(naiveMajority(a), naiveMajority(b))
      ),
      { numRuns: 20_000 }
    )
  })

  it('decides votes like counting by hand', () => {
    fc.assert(
      fc.property(
        voters,
        ballots,
        (ids, votes) => majorityVote(ids, votes) === naiveVote(ids, votes)
      ),
      { numRuns: 20_000 }
    )
  })

  it('wins a joint vote only in both halves and loses it in either (66)', () => {
    fc.assert(
      fc.property(voters, voters, ballots, (a, b, votes) => {
        const halves = [naiveVote(a, votes), naiveVote(b, votes)]
        const result = jointVote(a, b, votes)
        if (halves.includes('lost')) return result === 'lost'
        return result === (halves.includes('pending') ? 'pending' : 'won')
      }),
      { numRuns: 20_000 }
    )
  })

  it('needs both halves of a joint membership', () => {
    const votes = new Map([
      [1, true],
      [2, true]
    ])
    expect(jointVote([1, 2, 3], [3, 4, 5], votes)).toBe('pending')
    expect(jointVote([1, 2, 3], [], votes)).toBe('won')
  })
})
