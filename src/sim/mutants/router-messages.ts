import { Prng } from '../../base/prng.ts'
import type { Rows, StateMachine } from '../../raft/state-machine.ts'
import { RouterMachine } from '../../router/router-machine.ts'
import { type Mutant, type Site, type Tampering, withMethods } from './mutant.ts'

/** Leaders change and answers are lost, so that everybody asks again. */
const retries = {
  faults: [
    { kind: 'crash', everyMs: 500 },
    { kind: 'reset', everyMs: 300 },
    { kind: 'clientReset', everyMs: 1_000 }
  ],
  users: 6,
  sendEveryMs: 100,
  diskMeanMs: 8,
  latencyMeanMs: 8,
  tiny: false
} as const

const generationRow = 'group/mutant-generation'

export const messageMutants: readonly Mutant[] = [
  {
    name: 'skips-entry',
    breaks: 'A replica sometimes passes over a committed entry.',
    noticedBy: ['state-machine'],
    world: { users: 6, sendEveryMs: 100, faults: [] },
    tamper: () => ({
      machine: (machine, { process, replicaId }) => {
        const random = new Prng(process.bootId, `mutant ${replicaId}`)
        return withMethods(machine, {
          apply: (index, data, rows) =>
            random.below(200) === 0 ? [] : machine.apply(index, data, rows)
        })
      }
    })
  },
  {
    name: 'dedup-forgotten',
    breaks: 'With a new leader a set forgets which message ids were used.',
    noticedBy: ['duplicates', 'reassigned', 'session-log'],
    world: retries,
    tamper: forgetsWithLeader
  },
  {
    name: 'dedup-shared',
    breaks: 'The devices of a user share one window of used message ids.',
    noticedBy: ['errors'],
    world: { users: 6, secondDevices: 1, sendEveryMs: 100, faults: [], tiny: false },
    tamper: () => ({
      machine: machine => {
        if (!(machine instanceof RouterMachine)) return machine
        const { dedup } = machine
        const { get } = dedup
        dedup.get = (rows, slot, sender) => get.call(dedup, rows, slot, withoutDevice(sender))
        return machine
      }
    })
  },
  {
    name: 'msgid-twice',
    breaks: 'A session sometimes gives its newest msgid to a second message.',
    noticedBy: ['reassigned', 'copies'],
    world: { users: 6, sendEveryMs: 100, faults: [], tiny: false },
    tamper: () => ({ machine: takesTwice })
  },
  {
    name: 'sequence-again',
    breaks: 'What was handed out of a sequence is known in memory only.',
    noticedBy: ['sequences'],
    world: { backends: 5, faults: [{ kind: 'crash', everyMs: 300 }], tiny: false },
    tamper: () => ({
      machine: machine => {
        if (!(machine instanceof RouterMachine)) return machine
        const { sequences } = machine
        const { raise } = sequences
        const ceilings = new Map<string, number>()
        sequences.raise = (rows, slot, name, step, era) => {
          raise.call(sequences, rows, slot, name, 0, era)
          const before = ceilings.get(name) ?? 0
          ceilings.set(name, before + step)
          return { first: before + 1, last: before + step }
        }
        return machine
      }
    })
  }
]

/** Every replica forgets at the same entry: the first that a leader proposes. */
function forgetsWithLeader(): Tampering {
  const firstEntries = new Set<string>()
  return {
    replica: replica => {
      let term = 0
      return withMethods(replica, {
        propose: (data, done) => {
          if (replica.term() !== term) firstEntries.add(data.toString('latin1'))
          term = replica.term()
          return replica.propose(data, done)
        }
      })
    },
    machine: machine =>
      forgetful(machine, (_, data, rows) => {
        const generation = rows.get(generationRow)?.readUInt32BE() ?? 0
        if (!firstEntries.has(data.toString('latin1'))) return generation
        const next = Buffer.alloc(4)
        next.writeUInt32BE(generation + 1)
        rows.put(generationRow, next)
        return generation + 1
      })
  }
}

/** A machine that forgets whom it knows messages of whenever `generationAt` an entry is another one than before. */
export function forgetful(
  machine: StateMachine,
  generationAt: (index: number, data: Buffer, rows: Rows) => number
): StateMachine {
  if (!(machine instanceof RouterMachine)) return machine
  const { dedup } = machine
  const { get } = dedup
  let generation = 0
  dedup.get = (rows, slot, sender) => get.call(dedup, rows, slot, `${generation} ${sender}`)
  return withMethods<StateMachine>(machine, {
    apply: (index, data, rows) => {
      generation = generationAt(index, data, rows)
      return machine.apply(index, data, rows)
    }
  })
}

/** @param sender three strings, each behind its length in one byte (they are short here). */
function withoutDevice(sender: string): string {
  const sessionEnd = 1 + sender.charCodeAt(0)
  const uidEnd = sessionEnd + 1 + sender.charCodeAt(sessionEnd)
  return sender.slice(0, uidEnd)
}

function takesTwice(machine: StateMachine, _site: Site): StateMachine {
  if (!(machine instanceof RouterMachine)) return machine
  const { dedup, sessions } = machine
  const getDedup = dedup.get
  const getSession = sessions.get
  let entry = 0
  let appending = false
  // An append looks into the window right before it takes the next msgid.
  dedup.get = (rows, slot, sender) => {
    appending = true
    return getDedup.call(dedup, rows, slot, sender)
  }
  sessions.get = (rows, slot, session) => {
    const row = getSession.call(sessions, rows, slot, session)
    if (appending && row.latest > 0 && entry % 50 === 0) row.latest--
    appending = false
    return row
  }
  return withMethods<StateMachine>(machine, {
    apply: (index, data, rows) => {
      entry = index
      appending = false
      return machine.apply(index, data, rows)
    }
  })
}
