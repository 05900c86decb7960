import type { RaftState } from '../../raft/state.ts'
import { type Mutant, withMethods } from './mutant.ts'

/** Leaders fall often, and meanwhile nobody hears everybody. */
const upheavals = {
  faults: [
    { kind: 'isolate', everyMs: 400 },
    { kind: 'crash', everyMs: 800 }
  ],
  users: 6,
  backends: 0,
  sendEveryMs: 100,
  tiny: false
} as const

export const logMutants: readonly Mutant[] = [
  {
    name: 'ungated-answers',
    breaks: 'Acknowledgements and votes leave without waiting for the disk.',
    noticedBy: ['quorum'],
    world: { ...upheavals, diskMeanMs: 8 },
    tamper: () => ({
      core: state => {
        state.sendDurable = message => state.send(message)
      }
    })
  },
  {
    name: 'commits-alone',
    breaks: 'A leader commits what only its own disk holds.',
    noticedBy: ['quorum'],
    world: upheavals,
    tamper: () => ({
      core: state => {
        const { stableTo } = state.log
        state.log.stableTo = ack => {
          stableTo.call(state.log, ack)
          if (state.role === 'leader' && state.log.commitTo(state.log.stableIndex)) {
            state.pumpDue = true
          }
        }
      }
    })
  },
  {
    name: 'old-term-commit',
    breaks: "A leader commits an earlier leader's entry by counting (Figure 8 of the Raft paper).",
    noticedBy: ['commit-rule', 'leader-completeness'],
    world: { ...upheavals, diskMeanMs: 8, latencyMeanMs: 8 },
    tamper: () => ({
      core: state => {
        Object.defineProperty(state, 'termStart', { get: () => 0, set: () => {} })
      }
    })
  },
  {
    name: 'commits-unseen',
    breaks: 'A follower takes every entry that it is sent for committed.',
    noticedBy: ['quorum'],
    world: upheavals,
    tamper: () => ({
      replica: replica =>
        withMethods(replica, {
          step: message => {
            const all = Number.MAX_SAFE_INTEGER
            replica.step(message.type === 'append' ? { ...message, commit: all } : message)
          }
        })
    })
  },
  {
    name: 'stale-append',
    breaks: 'A follower takes appends of a deposed leader for appends of its own term.',
    noticedBy: ['INTERNAL', 'log-matching', 'quorum'],
    world: upheavals,
    tamper: () => ({
      replica: replica =>
        withMethods(replica, {
          step: message => {
            const late = message.type === 'append' && message.term < replica.term()
            replica.step(late ? { ...message, term: replica.term() } : message)
          }
        })
    })
  },
  {
    name: 'truncates-matching',
    breaks: 'A follower takes the end of an append, also of a late one, for the end of its log.',
    noticedBy: ['quorum', 'leader-completeness', 'INTERNAL'],
    world: { ...upheavals, repeats: 0.2 },
    tamper: () => ({ core: truncatesAlways })
  }
]

function truncatesAlways(state: RaftState): void {
  const { log } = state
  const { merge, term } = log
  log.merge = entries => {
    const last = entries.at(-1)!
    if (last.index > log.commit && last.index < log.lastIndex) {
      log.term = index => (index === last.index ? -1 : term.call(log, index))
    }
    merge.call(log, entries)
    log.term = term
  }
}
