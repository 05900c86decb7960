import { answer } from '../../protocol/packet.ts'
import type { Mutant } from './mutant.ts'

const losses = {
  users: 6,
  backends: 0,
  sendEveryMs: 100,
  tiny: false,
  faults: [
    { kind: 'crash', everyMs: 500 },
    { kind: 'reset', everyMs: 200 }
  ]
} as const

export const transferMutants: readonly Mutant[] = [
  {
    name: 'ack-first',
    breaks:
      "A transfer acknowledges a message before the router's answer, under the msgid that is likely.",
    noticedBy: ['reassigned', 'loss', 'copies'],
    world: losses,
    tamper: world => ({
      transfer: (role, _process, toClient) => {
        const { onClientPacket } = role
        role.onClientPacket = (connId, received) => {
          if (received.kind === 'SEND') {
            const { clientMsgId, session } = received.payload
            const msgid = world.latestOf(session) + 1
            const ack = { clientMsgId, session, msgid, duplicate: false, atMs: 0 }
            toClient(connId, answer(received, 'ACK', ack))
          }
          onClientPacket.call(role, connId, received)
        }
      }
    })
  },
  {
    name: 'new-id-on-retry',
    breaks: 'A transfer that asks again does so under a new clientMsgId.',
    noticedBy: ['duplicates', 'reassigned'],
    world: losses,
    tamper: () => {
      const attempts = new Map<string, number>()
      return {
        packet: (sent, { from }) => {
          if (sent.kind !== 'SUBMIT') return sent
          const id = `${from} ${sent.bootId} ${sent.sequence}`
          const attempt = attempts.get(id) ?? 0
          attempts.set(id, attempt + 1)
          if (attempt === 0) return sent
          const clientMsgId = sent.payload.clientMsgId + attempt * 1_000_000
          return { ...sent, payload: { ...sent.payload, clientMsgId } }
        }
      }
    }
  },
  {
    name: 'cursor-beyond',
    breaks: 'A catch-up begins one message behind what the device has.',
    noticedBy: ['liveness', 'loss', 'contiguity'],
    world: { ...losses, faults: [{ kind: 'clientRestart', everyMs: 300 }] },
    tamper: () => ({
      packet: sent => {
        if (sent.kind !== 'CATCH_UP') return sent
        const cursors = sent.payload.cursors.map(({ session, msgid }) => {
          return { session, msgid: msgid + 1 }
        })
        return { ...sent, payload: { ...sent.payload, cursors } }
      }
    })
  },
  {
    name: 'older-gone',
    breaks: 'A delivery says that nothing older than its own messages is kept.',
    noticedBy: ['contiguity', 'loss'],
    world: { ...losses, faults: [{ kind: 'clientReset', everyMs: 300 }] },
    tamper: () => ({
      packet: sent => {
        if (sent.kind !== 'DELIVER') return sent
        const items = sent.payload.items.map(({ connIds, page }) => {
          return { connIds, page: { ...page, first: page.messages[0]!.msgid } }
        })
        return { ...sent, payload: { ...sent.payload, items } }
      }
    })
  }
]
