import type { ReplicaId } from './types.ts'

/**
 * The largest value that a majority of `members` has reached; `Infinity` without members, so that
 * the empty half of a membership never limits. Quadratic on purpose: sets are tiny and nothing is
 * allocated or sorted.
 */
export function majorityValue<T>(members: readonly T[], read: (member: T) => number): number {
  const needed = (members.length >> 1) + 1
  let best = members.length === 0 ? Number.POSITIVE_INFINITY : 0
  for (let i = 0; i < members.length; i++) {
    const value = read(members[i]!)
    if (value <= best) continue
    let reached = 0
    for (let j = 0; j < members.length; j++) if (read(members[j]!) >= value) reached++
    if (reached >= needed) best = value
  }
  return best
}

/** The value that a majority of each half has reached (Ongaro §4.3: joint decisions need both). */
export function jointValue<T>(
  voters: readonly T[],
  outgoing: readonly T[],
  read: (member: T) => number
): number {
  return Math.min(majorityValue(voters, read), majorityValue(outgoing, read))
}

type VoteResult = 'won' | 'lost' | 'pending'

/** The result of an election with the votes that have come in so far; an empty set is won. */
export function majorityVote(
  voters: readonly ReplicaId[],
  votes: ReadonlyMap<ReplicaId, boolean>
): VoteResult {
  if (voters.length === 0) return 'won'
  const needed = (voters.length >> 1) + 1
  let granted = 0
  let missing = 0
  for (const id of voters) {
    const vote = votes.get(id)
    if (vote === true) granted++
    else if (vote === undefined) missing++
  }
  if (granted >= needed) return 'won'
  return granted + missing >= needed ? 'pending' : 'lost'
}

/** Won only in both halves, lost as soon as one is lost. */
export function jointVote(
  voters: readonly ReplicaId[],
  outgoing: readonly ReplicaId[],
  votes: ReadonlyMap<ReplicaId, boolean>
): VoteResult {
  const first = majorityVote(voters, votes)
  const second = majorityVote(outgoing, votes)
  if (first === 'lost' || second === 'lost') return 'lost'
  return first === 'won' && second === 'won' ? 'won' : 'pending'
}
