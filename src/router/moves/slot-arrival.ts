import type { ByteWriter } from '../../base/bytes.ts'
import { errorCodeOf } from '../../base/error-codes.ts'
import type { EndpointId } from '../../protocol/endpoint.ts'
import type { PayloadOf, SessionRange } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import type { RouterParts } from '../admission.ts'
import { isCommandError } from '../commands.ts'
import {
  type ImportHead,
  type MovedSession,
  writeImportMessages,
  writeImportRows,
  writeImportSessions,
  writeSlotStep
} from '../move-commands.ts'
import type { Proposals } from '../proposals.ts'
import type { SessionRoutes } from '../session-routes.ts'

type Answer = PayloadOf<'SLOT_READ_OK'>
type Part = PayloadOf<'SLOT_READ'>['part']

interface Asked {
  readonly sequence: number
  readonly to: EndpointId
  readonly untilMs: number
  readonly onAnswer: (answer: Answer) => void
}

export interface ArrivalPorts {
  readonly parts: RouterParts
  readonly routes: SessionRoutes
  readonly proposals: Proposals
  nextSequence(): number
}

const answerMs = 1_000
const restMs = 30
const rangesMax = 200
/** With so little left after a pass, the next one is made behind the seal. */
const lagMessages = 500
const passesMax = 4

/**
 * The end of a move that takes, for one slot, on the leader: copies what there is while the old set still serves the slot, asks it to
 * seal, and copies the rest. Everything it takes in is logged; what it has done so far is only in memory, and a new leader begins anew:
 * every step may be repeated.
 */
export class SlotArrival {
  readonly head: ImportHead
  readonly #source: string
  readonly #ports: ArrivalPorts
  /** Session → newest message that is here, of what this arrival has seen. */
  readonly #held = new Map<string, number>()
  #asked: Asked | undefined
  #proposing = false
  #restUntilMs = 0
  /** When the old set was heard to have sealed the slot; undefined before. */
  sealedAtMs: number | undefined
  #sealed = false
  #passes = 0
  #copied = 0
  /** What is to be done next; repeated after a failure. */
  #step: () => void

  /** @param source the set that has the slot. */
  constructor(head: ImportHead, source: string, ports: ArrivalPorts) {
    this.head = head
    this.#source = source
    this.#ports = ports
    this.#step = () => this.#sessions('')
  }

  tick(): void {
    const nowMs = this.#ports.parts.env.nowMs()
    if (this.#proposing || nowMs < this.#restUntilMs) return
    if (this.#asked !== undefined) {
      if (nowMs < this.#asked.untilMs) return
      this.#ports.parts.hints.failed(this.#source)
      this.#asked = undefined
    }
    this.#step()
  }

  /** True when the packet answers this arrival. */
  onAnswer(from: EndpointId, answer: Packet<'SLOT_READ_OK'> | Packet<'ERROR'>): boolean {
    const asked = this.#asked
    if (asked === undefined || asked.sequence !== answer.sequence || asked.to !== from) return false
    const { env, hints } = this.#ports.parts
    this.#asked = undefined
    if (answer.kind === 'SLOT_READ_OK') {
      asked.onAnswer(answer.payload)
      return true
    }
    const { code, hint } = answer.payload
    if (errorCodeOf(code) === 'NOT_LEADER' && hint?.setId === this.#source) {
      hints.note(env.table(), hint)
    } else if (errorCodeOf(code) === 'NO_LEADER' || errorCodeOf(code) === 'NOT_LEADER') {
      hints.failed(this.#source)
    }
    this.#restUntilMs = env.nowMs() + restMs
    return true
  }

  // What there is

  #sessions(after: string): void {
    this.#ask('sessions', after, [], answer => {
      const sessions = answer.sessions.map(({ session, msgid }) => {
        const { slot } = this.#ports.routes.route(session)
        return { slot, session, latest: msgid }
      })
      this.#then(() => this.#messages(sessions, answer.next))
    })
  }

  /** Fetches what is missing of these sessions, page by page. */
  #messages(sessions: readonly MovedSession[], next: string): void {
    const ranges: SessionRange[] = []
    for (const moved of sessions) {
      const from = this.#heldOf(moved) + 1
      if (from > moved.latest) continue
      ranges.push({ session: moved.session, from, to: moved.latest })
      if (ranges.length === rangesMax) break
    }
    if (ranges.length === 0) {
      this.#then(() => this.#level(sessions, next))
      return
    }
    this.#ask('messages', '', ranges, ({ messages }) => {
      const moved = messages.map(item => {
        return { ...item, slot: this.#ports.routes.route(item.session).slot }
      })
      const write = (writer: ByteWriter): void => writeImportMessages(writer, this.head, moved)
      this.#propose(write, () => {
        for (const { session, message } of moved) this.#held.set(session, message.msgid)
        this.#copied += moved.length
        this.#then(() => this.#messages(sessions, next))
      })
    })
  }

  #heldOf({ slot, session }: MovedSession): number {
    const { machine, rows } = this.#ports.parts
    const { latest } = machine.sessions.get(rows, slot, session)
    return Math.max(latest, this.#held.get(session) ?? 0)
  }

  /** All messages of a page of sessions are here. Before the seal nobody sees them. */
  #level(sessions: readonly MovedSession[], next: string): void {
    const goOn = (): void => this.#then(() => (next === '' ? this.#passed() : this.#sessions(next)))
    if (!this.#sealed || sessions.length === 0) goOn()
    else this.#propose(writer => writeImportSessions(writer, this.head, sessions), goOn)
  }

  #passed(): void {
    this.#passes++
    const copied = this.#copied
    this.#copied = 0
    if (this.#sealed) this.#then(() => this.#rows(''))
    else if (copied <= lagMessages || this.#passes >= passesMax) this.#then(() => this.#seal())
    else this.#then(() => this.#sessions(''))
  }

  #seal(): void {
    this.#ask('seal', '', [], ({ sealed }) => {
      this.#sealed = sealed
      if (sealed) this.sealedAtMs = this.#ports.parts.env.nowMs()
      this.#then(() => (sealed ? this.#sessions('') : this.#seal()))
    })
  }

  #rows(after: string): void {
    this.#ask('rows', after, [], ({ rows, next }) => {
      const goOn = (): void => this.#then(() => (next === '' ? this.#imported() : this.#rows(next)))
      if (rows.length === 0) goOn()
      else this.#propose(writer => writeImportRows(writer, this.head, rows), goOn)
    })
  }

  #imported(): void {
    const { slot, move } = this.head
    this.#propose(
      writer => writeSlotStep(writer, { step: 'imported', slot, move, epoch: 0 }),
      // The slot is in another state now, and this arrival over.
      () => this.#then(() => {})
    )
  }

  #then(step: () => void): void {
    this.#step = step
    step()
  }

  #ask(
    part: Part,
    after: string,
    ranges: readonly SessionRange[],
    onAnswer: (answer: Answer) => void
  ): void {
    const { env, hints } = this.#ports.parts
    const { slot, move } = this.head
    const to = hints.endpoint(env.table(), this.#source)
    const sequence = this.#ports.nextSequence()
    const header = { bootId: env.bootId, sequence, slot, deadlineMs: answerMs }
    const payload = { slot, epoch: move, part, after, ranges: [...ranges] }
    if (to === undefined || !env.send(to, packet('SLOT_READ', payload, header))) {
      hints.failed(this.#source)
      this.#restUntilMs = env.nowMs() + restMs
      return
    }
    this.#asked = { sequence, to, untilMs: env.nowMs() + answerMs, onAnswer }
  }

  #propose(write: (writer: ByteWriter) => void, done: () => void): void {
    const writer = this.#ports.proposals.open()
    const { env } = this.#ports.parts
    if (writer === undefined) {
      this.#restUntilMs = env.nowMs() + restMs
      return
    }
    write(writer)
    this.#proposing = true
    this.#ports.proposals.own(result => {
      this.#proposing = false
      const done_ = !isCommandError(result) && (result as { done: boolean }).done
      // Refused: the move is over, or leadership; either ends this arrival.
      if (done_) done()
      else this.#restUntilMs = env.nowMs() + restMs
    })
  }
}
