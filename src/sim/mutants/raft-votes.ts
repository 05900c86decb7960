import type { RaftState } from '../../raft/state.ts'
import { type Mutant, withMethods } from './mutant.ts'

/** A set's replicas die and come back at once, over and over. */
const storms = {
  faults: [{ kind: 'storm', everyMs: 1_500 }],
  users: 4,
  backends: 0,
  tiny: false
} as const

export const voteMutants: readonly Mutant[] = [
  {
    name: 'lost-vote',
    breaks: 'A vote is not stored, so after a restart a replica votes again in the same term.',
    noticedBy: ['votes', 'leaders', 'INTERNAL'],
    world: { ...storms, latencyMinMs: 2, latencyMeanMs: 8, diskMinMs: 0.5, diskMeanMs: 8 },
    tamper: () => ({
      store: store =>
        withMethods(store, {
          write: (write, done) => {
            const { hardState } = write
            const forgetful = hardState && { hardState: { ...hardState, vote: 0 } }
            store.write({ ...write, ...forgetful }, done)
          }
        })
    })
  },
  {
    name: 'double-vote',
    breaks: 'A replica votes for everybody who asks in a term.',
    noticedBy: ['votes', 'leaders', 'INTERNAL'],
    world: { ...storms, latencyMinMs: 2, latencyMeanMs: 8 },
    tamper: () => ({ core: votesForAll })
  },
  {
    name: 'stale-log-wins',
    breaks: 'A replica votes without comparing logs.',
    noticedBy: ['leader-completeness', 'INTERNAL', 'log-matching'],
    world: {
      faults: [
        { kind: 'isolate', everyMs: 400 },
        { kind: 'crash', everyMs: 600 }
      ],
      users: 6,
      sendEveryMs: 100,
      tiny: false
    },
    tamper: () => ({
      core: state => {
        state.log.isUpToDate = () => true
      }
    })
  },
  {
    name: 'deaf-leads-on',
    breaks: 'A leader that hears no majority any more goes on leading.',
    noticedBy: ['check-quorum'],
    world: { faults: [{ kind: 'isolate', everyMs: 1_000 }], users: 4, backends: 0, tiny: false },
    tamper: () => ({
      core: state => {
        Object.defineProperty(state, 'config', { value: { ...state.config, checkQuorum: false } })
      }
    })
  },
  {
    name: 'quarantine-votes',
    breaks: 'A replica that has lost its disk votes and campaigns before it has caught up.',
    noticedBy: ['leader-completeness', 'quorum', 'INTERNAL', 'log-matching'],
    world: {
      faults: [
        { kind: 'wipe', everyMs: 400 },
        { kind: 'newDisk', everyMs: 400 },
        { kind: 'isolate', everyMs: 300 }
      ],
      users: 6,
      sendEveryMs: 100,
      tiny: false
    },
    tamper: () => ({
      core: state => {
        Object.defineProperty(state, 'quarantine', { get: () => undefined, set: () => {} })
      }
    })
  }
]

function votesForAll(state: RaftState): void {
  let own = state.vote
  Object.defineProperty(state, 'vote', { get: () => (state.role === 'follower' ? 0 : own) })
  state.voteFor = candidate => {
    own = candidate
  }
}
