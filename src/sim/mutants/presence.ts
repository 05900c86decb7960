import type { Presence } from '../../router/presence.ts'
import { RouterMachine } from '../../router/router-machine.ts'
import { Transfer } from '../../transfer/transfer.ts'
import type { Mutant, Tampering } from './mutant.ts'

/** Devices connect again and again. */
const comings = {
  users: 8,
  backends: 0,
  clientLatencyMs: 20,
  latencyMeanMs: 8,
  tiny: false,
  faults: [
    { kind: 'clientReset', everyMs: 50 },
    { kind: 'slowNode', everyMs: 500 },
    { kind: 'crash', everyMs: 1_500 }
  ]
} as const

export const presenceMutants: readonly Mutant[] = [
  {
    name: 'late-register',
    breaks: 'The registration of an older connection of a device replaces a newer one.',
    noticedBy: ['presence'],
    world: comings,
    tamper: () =>
      ofPresence(presence => {
        const { register } = presence
        presence.register = (rows, slot, uid, route) => {
          for (const other of presence.routes(rows, slot, uid)) {
            const newer = other.deviceId === route.deviceId && other.connSeq > route.connSeq
            if (newer) presence.unregister(rows, slot, uid, other)
          }
          return register.call(presence, rows, slot, uid, route)
        }
      })
  },
  {
    name: 'any-unregister',
    breaks: 'The end of an earlier connection of a device removes the route of the present one.',
    noticedBy: ['presence'],
    world: comings,
    tamper: () =>
      ofPresence(presence => {
        const { unregister } = presence
        presence.unregister = (rows, slot, uid, route) => {
          const present = presence
            .routes(rows, slot, uid)
            .find(({ deviceId }) => deviceId === route.deviceId)
          return unregister.call(presence, rows, slot, uid, present ?? route)
        }
      })
  },
  {
    name: 'stale-delivery',
    breaks: 'A transfer hands out what was meant for the connections of its earlier life.',
    noticedBy: ['foreign', 'loss'],
    world: {
      ...comings,
      sendEveryMs: 100,
      transferLeaseMs: 10_000,
      heartbeatMaxMs: 10_000,
      users: 13,
      secondDevices: 1,
      faults: [
        { kind: 'crash', everyMs: 1_000 },
        { kind: 'clientReset', everyMs: 30 },
        { kind: 'clientMute', everyMs: 200 }
      ]
    },
    tamper: world => ({
      packet: (sent, { to }) => {
        if (sent.kind !== 'DELIVER') return sent
        const transfer = world.network.homeOf(to)?.roles.get(to)
        if (!(transfer instanceof Transfer)) return sent
        const { transferBootId } = transfer
        return { ...sent, payload: { ...sent.payload, transferBootId } }
      }
    })
  }
]

function ofPresence(change: (presence: Presence) => void): Tampering {
  return {
    machine: machine => {
      if (machine instanceof RouterMachine) change(machine.presence)
      return machine
    }
  }
}
