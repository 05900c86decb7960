import type { Channels } from '../../router/channels.ts'
import { RouterMachine } from '../../router/router-machine.ts'
import type { Mutant, Tampering } from './mutant.ts'

const crossings = {
  users: 8,
  sendEveryMs: 100,
  backends: 0,
  tiny: false,
  faults: [{ kind: 'crash', everyMs: 500 }]
} as const

export const channelMutants: readonly Mutant[] = [
  {
    name: 'channel-skips',
    breaks: 'A set sometimes counts a channel position as applied that it has not got.',
    noticedBy: ['liveness', 'copies', 'loss'],
    world: { ...crossings, faults: [], sendEveryMs: 1_500 },
    tamper: () =>
      ofChannels(channels => {
        const { setApplied } = channels
        channels.setApplied = (rows, sourceSet, position) =>
          setApplied.call(channels, rows, sourceSet, position % 7 === 0 ? position + 1 : position)
      })
  },
  {
    name: 'channel-repeats',
    breaks: 'A channel item is applied a second time, in the place of the one behind it.',
    noticedBy: ['reassigned', 'copies', 'duplicates'],
    world: { ...crossings, diskMeanMs: 8, faults: [] },
    tamper: () => ({
      packet: sent => {
        if (sent.kind !== 'CHANNEL') return sent
        const items = sent.payload.items.map((item, i, all) => {
          const before = all[i - 1]
          if (before?.session !== item.session) return item
          return { ...item, message: { ...before.message, msgid: item.message.msgid } }
        })
        return { ...sent, payload: { ...sent.payload, items } }
      }
    })
  },
  {
    name: 'outbox-trimmed-early',
    breaks: 'A set drops outbox items that the other set has not acknowledged.',
    noticedBy: ['INTERNAL', 'throw', 'liveness', 'copies', 'loss'],
    world: { ...crossings, faults: [{ kind: 'split', everyMs: 600 }] },
    tamper: () =>
      ofChannels(channels => {
        const { acknowledge } = channels
        channels.acknowledge = (rows, targetSet) =>
          acknowledge.call(channels, rows, targetSet, Number.MAX_SAFE_INTEGER)
      })
  }
]

function ofChannels(change: (channels: Channels) => void): Tampering {
  return {
    machine: machine => {
      if (machine instanceof RouterMachine) change(machine.channels)
      return machine
    }
  }
}
