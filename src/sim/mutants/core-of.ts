import { RaftState } from '../../raft/state.ts'

/** What `make` returns, and the state of the Raft core that was made meanwhile, which nobody else gets to see. */
export function withCore<T>(make: () => T): { readonly made: T; readonly core: RaftState } {
  const { useMembership } = RaftState.prototype
  let core: RaftState | undefined
  // The constructor calls it.
  RaftState.prototype.useMembership = function (this: RaftState, membership) {
    core ??= this
    useMembership.call(this, membership)
  }
  try {
    return { made: make(), core: core! }
  } finally {
    RaftState.prototype.useMembership = useMembership
  }
}
