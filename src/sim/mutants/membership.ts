import { decodeMembership, encodeMembership } from '../../raft/codec.ts'
import { RaftState } from '../../raft/state.ts'
import { entryKinds, type Membership } from '../../raft/types.ts'
import type { Mutant } from './mutant.ts'

/** The members of a large group change all the time, while some of them are not there. */
const changes = {
  sets: 1,
  routers: 5,
  arbiters: 1,
  faults: [
    { kind: 'changeMembers', everyMs: 100 },
    { kind: 'isolate', everyMs: 400 },
    { kind: 'crash', everyMs: 800 }
  ],
  users: 6,
  backends: 0,
  sendEveryMs: 100,
  diskMeanMs: 8,
  tiny: false
} as const

export const membershipMutants: readonly Mutant[] = [
  {
    name: 'one-half-decides',
    breaks: 'In the joint state a majority of the new voters decides alone.',
    noticedBy: ['quorum'],
    world: changes,
    tamper: () => ({
      core: state =>
        whenever(state, () => {
          state.outgoing = []
        })
    })
  },
  {
    name: 'learner-counts',
    breaks: 'What a learner has on its disk counts towards the majority.',
    noticedBy: ['quorum'],
    world: changes,
    tamper: () => ({
      core: state =>
        whenever(state, ({ learners }) => {
          state.voters = [...state.voters, ...learners.map(id => state.progress.get(id)!)]
        })
    })
  },
  {
    name: 'change-over-change',
    breaks: 'A change of members begins while the one before is not applied.',
    noticedBy: ['changes', 'quorum', 'leader-completeness'],
    world: changes,
    tamper: () => ({
      core: state => {
        Object.defineProperty(state, 'pendingChange', { get: () => 0, set: () => {} })
      }
    })
  },
  {
    name: 'skips-joint',
    breaks:
      'A change of several voters takes one step, so that two majorities may miss each other.',
    noticedBy: ['changes', 'quorum', 'leader-completeness', 'leaders'],
    world: changes,
    tamper: () => ({
      core: state => {
        const { push } = state.log
        state.log.push = entry => {
          const config = entry.kind === entryKinds.config
          const members = config ? { ...decodeMembership(entry.data), outgoing: [] } : undefined
          const data = members === undefined ? entry.data : encodeMembership(members)
          push.call(state.log, { ...entry, data })
        }
      }
    })
  }
]

/** `tamper` changes what a membership means to the core, each time one takes effect. */
function whenever(state: RaftState, tamper: (membership: Membership) => void): void {
  state.useMembership = membership => {
    RaftState.prototype.useMembership.call(state, membership)
    tamper(membership)
  }
  tamper(state.membership)
}
