import type { ReplicaApi } from '../raft/replica-api.ts'
import type { GroupStore, GroupWrite } from '../raft/store.ts'

/**
 * Rules broken on purpose, to see that the checks notice: answers before the disk has the write, votes that are not stored,
 * reads that ask nobody.
 */
export const mutants = ['early-ack', 'lost-vote', 'unconfirmed-reads'] as const
export type Mutant = (typeof mutants)[number]

/** @param soon runs its argument in a later turn. */
export function mutateStore(
  store: GroupStore,
  mutant: Mutant | undefined,
  soon: (done: () => void) => void
): GroupStore {
  if (mutant !== 'early-ack' && mutant !== 'lost-vote') return store
  return {
    recovered: store.recovered,
    firstIndex: () => store.firstIndex(),
    lastIndex: () => store.lastIndex(),
    term: index => store.term(index),
    entries: (from, to, maxBytes) => store.entries(from, to, maxBytes),
    getState: key => store.getState(key),
    openSnapshot: () => store.openSnapshot(),
    beginInstall: (meta, snapshotId) => store.beginInstall(meta, snapshotId),
    installChunk: (chunk, data) => store.installChunk(chunk, data),
    finishInstall: (hardState, done) => store.finishInstall(hardState, done),
    write: (write, done) => {
      if (mutant === 'early-ack') {
        store.write(write, () => {})
        soon(done)
      } else store.write(withoutVote(write), done)
    }
  }
}

function withoutVote(write: GroupWrite): GroupWrite {
  const { hardState } = write
  return hardState === undefined ? write : { ...write, hardState: { ...hardState, vote: 0 } }
}

/** @param soon runs its argument in a later turn. */
export function mutateReplica(
  replica: ReplicaApi,
  mutant: Mutant | undefined,
  soon: (done: () => void) => void
): ReplicaApi {
  if (mutant !== 'unconfirmed-reads') return replica
  const read: ReplicaApi['read'] = done => {
    if (!replica.leading()) return 'notLeader'
    soon(() => done(true))
    return undefined
  }
  return new Proxy(replica, {
    get: (target, name) => {
      if (name === 'read') return read
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    }
  })
}
