/** An operation of a small history; `return` is Infinity when the outcome is unknown. */
export interface Trial<Input> {
  readonly call: number
  readonly return: number
  readonly input: Input
}

/**
 * Linearizability by definition: tries every order of the operations that respects real time, with
 * every choice of which operations of unknown outcome took effect. `apply` answers the next state,
 * undefined where the answer given is impossible.
 */
export function explainable<State, Input>(
  operations: readonly Trial<Input>[],
  state: State,
  apply: (state: State, input: Input, outcomeKnown: boolean) => State | undefined
): boolean {
  if (operations.every(one => one.return === Number.POSITIVE_INFINITY)) return true
  const firstReturn = Math.min(...operations.map(one => one.return))
  return operations.some((one, index) => {
    if (one.call > firstReturn) return false
    const next = apply(state, one.input, one.return !== Number.POSITIVE_INFINITY)
    if (next === undefined) return false
    return explainable(operations.toSpliced(index, 1), next, apply)
  })
}
