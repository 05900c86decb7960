import type { PayloadOf } from '../../protocol/kinds.ts'
import type { Ownership } from '../../router/ownership.ts'
import { RouterMachine } from '../../router/router-machine.ts'
import type { Mutant, Tampering } from './mutant.ts'

const moves = {
  users: 8,
  sendEveryMs: 100,
  backends: 0,
  tiny: false,
  faults: [{ kind: 'moveSlots', everyMs: 200 }]
} as const

type Read = PayloadOf<'SLOT_READ_OK'>

export const moveMutants: readonly Mutant[] = [
  {
    name: 'seal-ignored',
    breaks: 'A command that is applied behind the seal of its slot is executed (E-5).',
    noticedBy: ['reassigned', 'copies', 'liveness', 'loss', 'duplicates', 'order', 'presence'],
    world: { ...moves, diskMeanMs: 8 },
    tamper: () =>
      ofOwnership(ownership => {
        const { refusal } = ownership
        ownership.refusal = (rows, slot, slotEpoch) => {
          const code = refusal.call(ownership, rows, slot, slotEpoch)
          return code === 'SLOT_SEALED' ? undefined : code
        }
      })
  },
  {
    name: 'any-epoch-rejects',
    breaks: 'A change of one slot makes routers refuse what is for the others (E-4).',
    noticedBy: ['refusals', 'liveness'],
    world: moves,
    tamper: () =>
      ofOwnership(ownership => {
        const { refusal } = ownership
        ownership.refusal = (rows, slot, slotEpoch) => {
          const code = refusal.call(ownership, rows, slot, slotEpoch)
          const stale = slotEpoch < ownership.routeEpoch(rows)
          return code === undefined && stale ? 'STALE_SLOT' : code
        }
      })
  },
  {
    name: 'takes-unasked',
    breaks:
      'A set serves a slot as soon as it has all of it, before the arbiters have said so (I-3).',
    noticedBy: ['ownership', 'epochs', 'reassigned', 'liveness'],
    world: moves,
    tamper: () =>
      ofOwnership(ownership => {
        const { step } = ownership
        ownership.step = (rows, slotCount, slot, name, move, epoch) => {
          const done = step.call(ownership, rows, slotCount, slot, name, move, epoch)
          if (name === 'imported' && done) {
            step.call(ownership, rows, slotCount, slot, 'take', move, move)
          }
          return done
        }
      })
  },
  {
    name: 'epoch-by-set',
    breaks:
      'A set gives a slot that it takes an epoch of its own, which nobody else has counted (E-6).',
    noticedBy: ['refusals', 'liveness'],
    world: moves,
    tamper: () =>
      ofOwnership(ownership => {
        const { step } = ownership
        ownership.step = (rows, slotCount, slot, name, move, epoch) => {
          const given = name === 'take' ? ownership.slotEpoch(rows, slot) + 1_000 : epoch
          return step.call(ownership, rows, slotCount, slot, name, move, given)
        }
      })
  },
  {
    name: 'unseals-early',
    breaks: 'A set serves a slot again without knowing that its move was called off.',
    noticedBy: ['ownership', 'reassigned', 'copies', 'liveness', 'loss'],
    world: moves,
    tamper: () =>
      ofOwnership(ownership => {
        const { step } = ownership
        ownership.step = (rows, slotCount, slot, name, move, epoch) => {
          const done = step.call(ownership, rows, slotCount, slot, name, move, epoch)
          if (name === 'seal' && done && move % 2 === 0) {
            step.call(ownership, rows, slotCount, slot, 'unseal', move, 0)
          }
          return done
        }
      })
  },
  {
    name: 'dedup-left-behind',
    breaks: 'The message ids that devices have used do not come along with their slot.',
    noticedBy: ['duplicates', 'reassigned', 'copies'],
    world: {
      ...moves,
      faults: [
        { kind: 'moveSlots', everyMs: 200 },
        { kind: 'clientReset', everyMs: 60 },
        { kind: 'crash', everyMs: 700 }
      ]
    },
    tamper: () =>
      ofReads(read => ({ ...read, rows: read.rows.filter(({ key }) => !isOf('dedup', key)) }))
  },
  {
    name: 'index-left-behind',
    breaks: 'The list of their sessions does not come along with the users of a slot.',
    noticedBy: ['liveness', 'INTERNAL', 'copies'],
    world: moves,
    tamper: () =>
      ofReads(read => ({ ...read, rows: read.rows.filter(({ key }) => !isOf('user-page', key)) }))
  }
]

const isOf = (kind: string, key: string): boolean => key.slice(5).startsWith(`${kind}/`)

function ofOwnership(change: (ownership: Ownership) => void): Tampering {
  return {
    machine: machine => {
      if (machine instanceof RouterMachine) change(machine.ownership)
      return machine
    }
  }
}

function ofReads(change: (read: Read) => Read): Tampering {
  return {
    packet: sent =>
      sent.kind === 'SLOT_READ_OK' ? { ...sent, payload: change(sent.payload) } : sent
  }
}
