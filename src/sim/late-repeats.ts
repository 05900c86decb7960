import { errorCodes } from '../base/error-codes.ts'
import type { Random } from '../base/ports.ts'
import type { ClientLink } from '../client/client-core.ts'
import type { Outgoing } from '../client/outbox.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import { SimFailure } from './invariants.ts'
import { pick } from './swarm.ts'
import type { World } from './world.ts'

interface Acknowledged {
  readonly session: string
  readonly clientMsgId: number
  readonly body: Buffer
  readonly msgid: number
}

/** Above all numbers that a client gives its requests. */
const firstSequence = 2 ** 40

/**
 * Messages of one device that were acknowledged, and come once more long after, as from an application that was restored from a backup: they
 * get the answer that they got, or are refused as too old. Whether one was accepted twice the judges see from what is received.
 */
export class LateRepeats {
  readonly #world: World
  readonly #acknowledged: Acknowledged[] = []
  readonly #asked = new Map<number, Acknowledged>()

  constructor(world: World) {
    this.#world = world
  }

  acknowledged({ session, clientMsgId, body }: Outgoing, msgid: number): void {
    this.#acknowledged.push({ session, clientMsgId, body, msgid })
  }

  /** Sends some of them again, rather the oldest. */
  send(link: ClientLink, random: Random): void {
    if (this.#acknowledged.length === 0) return
    for (let i = 0; i < 3; i++) {
      const early = this.#acknowledged.slice(0, 1 + random.below(this.#acknowledged.length))
      const repeated = pick(random, early)
      const { session, clientMsgId, body } = repeated
      const sequence = firstSequence + this.#asked.size
      this.#asked.set(sequence, repeated)
      link.send(packet('SEND', { clientMsgId, session, type: 0, body }, { bootId: 1, sequence }))
    }
  }

  /** @returns whether the packet answers a repeat, so that it is nothing for the client. */
  takes(received: Packet): boolean {
    const repeated = this.#asked.get(received.sequence)
    if (repeated === undefined) return false
    const { marks } = this.#world
    if (received.kind === 'ACK') {
      const { msgid } = received.payload
      if (msgid !== repeated.msgid) {
        const text = `message ${repeated.clientMsgId} of ${repeated.session} was ${repeated.msgid} and is ${msgid} when it comes late`
        throw new SimFailure('reassigned', text)
      }
      marks.hit('late repeat answered as before')
    } else if (received.kind === 'ERROR') {
      const { code } = received.payload
      if (code === errorCodes.DUPLICATE_EXPIRED.number) marks.hit('late repeat refused as too old')
    }
    return true
  }
}
