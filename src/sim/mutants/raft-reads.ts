import { type Mutant, withMethods } from './mutant.ts'

/** Backends ask all the time, and leaders are cut off without knowing it. */
const readers = {
  faults: [{ kind: 'isolate', everyMs: 200 }],
  users: 4,
  sendEveryMs: 1_500,
  backends: 6,
  diskMinMs: 0.1,
  diskMeanMs: 0.2,
  latencyMinMs: 0.05,
  latencyMeanMs: 0.1,
  tiny: false
} as const

export const readMutants: readonly Mutant[] = [
  {
    name: 'unconfirmed-reads',
    breaks: 'A leader answers reads without asking anybody whether it leads.',
    noticedBy: ['session-log', 'sequences'],
    world: readers,
    tamper: () => ({
      replica: (replica, { process }) =>
        withMethods(replica, {
          read: done => {
            if (!replica.leading()) return 'notLeader'
            process.soon(() => done(true))
            return undefined
          }
        })
    })
  },
  {
    name: 'late-rounds-confirm',
    breaks: 'Any answer to a heartbeat confirms every read, also an answer to an earlier round.',
    noticedBy: ['session-log', 'sequences'],
    world: { ...readers, latencyMinMs: 2, latencyMeanMs: 8 },
    tamper: () => ({
      core: state => {
        const { open } = state.reads
        state.reads.open = index => {
          open.call(state.reads, index)
          for (const member of state.progress.values()) member.round = state.reads.round
        }
      }
    })
  },
  {
    name: 'early-reads',
    breaks: 'A new leader serves before an entry of its own term is committed and applied.',
    noticedBy: ['session-log', 'sequences', 'INTERNAL', 'throw'],
    world: { ...readers, faults: [{ kind: 'crash', everyMs: 200 }], diskMeanMs: 8 },
    tamper: () => ({
      core: state => {
        state.committedInTerm = () => true
      },
      replica: (replica, { replicaId }) =>
        withMethods(replica, { leading: () => replica.leader() === replicaId })
    })
  }
]
