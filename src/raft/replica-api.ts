import type { MembershipTarget } from './membership.ts'
import type { RaftStatus, Refusal } from './raft-api.ts'
import type { RowPage, RowRange } from './store.ts'
import type { RaftMessage, ReplicaId } from './types.ts'

/** `results`: one per command of the entry, as the state machine gave them. `lost`: outcome unknown (leadership changed meanwhile). */
export type ProposeOutcome = { readonly results: readonly unknown[] } | 'lost'

/**
 * One replica of a replicated state machine: Raft core + store + machine, driven synchronously. A role owns it, feeds it `step`,
 * `tick` and `flush` (in `flush` it hands writes to the store, sends messages, applies entries and runs callbacks).
 */
export interface ReplicaApi {
  /** True while this replica leads and has applied an entry of its own term (so it may serve). */
  leading(): boolean
  /** 0 = none known. */
  leader(): ReplicaId
  term(): number
  status(): RaftStatus
  /** The rows with everything applied so far. */
  getRow(key: string): Buffer | undefined
  /** A page of rows with everything applied before the call; `done` runs in a later turn, after which the role is flushed. */
  readRows(range: RowRange, done: (page: RowPage) => void): void
  /**
   * Proposes ONE entry with `data`. Refused: nothing happened and `done` is never called. Else `done` is called exactly once, in a
   * later `flush`.
   */
  propose(data: Buffer, done: (outcome: ProposeOutcome) => void): Refusal | undefined
  /** Linearizable read (ReadIndex): when `done(true)` runs, rows are at least as new as anything acknowledged before this call. */
  read(done: (confirmed: boolean) => void): Refusal | undefined
  /**
   * An append of this replica is on its way to the disk. A proposal made now would wait for it anyway, so a role that can gather
   * more meanwhile does: it is flushed again when the disk is done.
   */
  appending(): boolean
  /** @param to undefined: a voter that does not mind leading, if any, and that lacks least. */
  transferLeadership(to?: ReplicaId): Refusal | undefined
  /** Starts a membership change; `status().changing` until it is through. A refusal says that nothing has happened. */
  changeMembers(target: MembershipTarget): Refusal | undefined
  /**
   * The group has lost its majority for good and is given up: this replica applies all that its log holds, and from now on takes no part in anything. Its
   * rows never change again once this is true. To be repeated until then; a replica that starts again has to be told again.
   */
  abandon(): boolean
  step(message: RaftMessage): void
  tick(): void
  /** The process of a peer replica became reachable or not; `refused` = certainly gone (crash fast path). */
  peer(id: ReplicaId, up: boolean, refused: boolean): void
  flush(): void
}
