import type { Model, Operation } from './linearizability.ts'
import type { SequenceResult } from './values.ts'

/**
 * A sequence hands out numbers that never repeat, may jump, and grow in real time. So whatever
 * order explains a history is the order of the numbers, which the chain says outright. Requests of
 * unknown outcome are left out: what they may have taken is a jump.
 */
export function prepareSequence(operations: readonly Operation<SequenceResult>[]): {
  readonly operations: readonly Operation<SequenceResult>[]
  readonly model: Model<number, SequenceResult>
} {
  const sorted = [...operations].sort((a, b) => a.input.first - b.input.first)
  return { operations: sorted.map(one => ({ ...one, chain: 0 })), model: sequence }
}

const sequence: Model<number, SequenceResult> = {
  initial: -1,
  step: (last, { first, count }) => (first > last ? first + count - 1 : undefined),
  key: last => `last ${last}`,
  staysIdle: () => false,
  show: ({ first, count }) => `next → ${first}…${first + count - 1}`
}
