import { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { errorCodeOf } from '../../base/error-codes.ts'
import type { EndpointId } from '../../protocol/endpoint.ts'
import type { PayloadOf, SessionRange } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import type { RouterParts } from '../admission.ts'
import { isCommandError } from '../commands.ts'
import {
  type ImportHead,
  type MovedSession,
  writeBreakSessions,
  writeImportMessages,
  writeImportRows,
  writeImportSessions,
  writeSlotStep
} from '../move-commands.ts'
import type { Proposals } from '../proposals.ts'
import { slotPrefix } from '../row-keys.ts'
import type { SessionRoutes } from '../session-routes.ts'
import { eraKey, slotRowName } from '../slot-rows.ts'
import type { QuietWork } from './quiet-work.ts'
import { logSlotStep } from './step-proposal.ts'

type Answer = PayloadOf<'SLOT_READ_OK'>
type Part = PayloadOf<'SLOT_READ'>['part']

/** One of the threads of work of an arrival. */
interface Errand {
  asked: Asked | undefined
  /** What is to be done next; repeated until it is done. */
  step: () => void
}

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
  readonly quiet: QuietWork
  nextSequence(): number
  /** Whether the slot may be sealed now, so that not too many wait for each other while their users wait for them. */
  maySeal(slot: number): boolean
  /** Something has come to an end: what follows is to be begun in this turn, not at the next tick. */
  turn(): void
}

const answerMs = 1_000
const restMs = 30
const rangesMax = 200
/** With so little left after a pass, the next one is made behind the seal. */
const lagMessages = 32
const passesMax = 8
/** Imports on their way into the log at once; what is read meanwhile waits. */
const importsMax = 4
/** Of session rows, to be broken in one entry. */
const breakBytes = 16 * 1024

/**
 * The end of a move that takes, for one slot, on the leader: copies what there is while the old set still serves the slot, asks it to
 * seal, and copies the rest. Everything it takes in is logged, in the order in which it is read, behind the seal without waiting for the
 * disk in between; what it has done so far is only in memory, and it, or a new leader, may begin anew at any time: every step may be repeated.
 */
export class SlotArrival {
  readonly head: ImportHead
  /** The set that has the slot is lost: one replica tells what it holds, which does not change any more. */
  readonly lost: boolean
  readonly #source: string
  readonly #ports: ArrivalPorts
  /** Session → newest message that is here or on its way into the log, of what this arrival has seen. */
  readonly #held = new Map<string, number>()
  /** What was asked and is not answered, and what is to be done next; behind the seal two of them are under way. */
  #errands: Errand[] = []
  #imports = 0
  #restUntilMs = 0
  /** When the old set was heard to have sealed the slot; undefined before. */
  sealedAtMs: number | undefined
  #sealed = false
  #passes = 0
  #copied = 0
  /** Others were sealed since the last pass. */
  #waited = false
  /** Of a slot that is recovered: how often it was, this time included. */
  #era = 1
  #breaking = false

  /** @param source the set that has the slot. */
  constructor(head: ImportHead, source: { setId: string; lost: boolean }, ports: ArrivalPorts) {
    this.head = head
    this.lost = source.lost
    this.#source = source.setId
    this.#ports = ports
    this.#begin()
  }

  /** Does what is due: repeats what was not answered or found no room, and goes on where imports had to be waited for. */
  tick(): void {
    const nowMs = this.#ports.parts.env.nowMs()
    if (nowMs < this.#restUntilMs) return
    for (const errand of [...this.#errands]) {
      const { asked } = errand
      if (asked !== undefined) {
        if (nowMs < asked.untilMs) continue
        const { env, hints } = this.#ports.parts
        hints.failed(env.table(), asked.to)
        errand.asked = undefined
      }
      if (nowMs >= this.#restUntilMs) errand.step()
    }
  }

  /** True when the packet answers this arrival. */
  onAnswer(from: EndpointId, answer: Packet<'SLOT_READ_OK'> | Packet<'ERROR'>): boolean {
    const errand = this.#errands.find(({ asked }) => {
      return asked?.sequence === answer.sequence && asked.to === from
    })
    const asked = errand?.asked
    if (errand === undefined || asked === undefined) return false
    const { env, hints } = this.#ports.parts
    errand.asked = undefined
    if (answer.kind === 'SLOT_READ_OK') {
      // One who led the old set when it still served the slot does not know all that it took until the seal.
      if (!this.#sealed || answer.payload.sealed) {
        asked.onAnswer(answer.payload)
        return true
      }
      hints.failed(env.table(), from)
      this.#restUntilMs = env.nowMs() + restMs
      return true
    }
    const { code, hint } = answer.payload
    if (errorCodeOf(code) === 'NOT_LEADER' && hint?.setId === this.#source) {
      hints.note(env.table(), hint)
    } else if (errorCodeOf(code) === 'NO_LEADER' || errorCodeOf(code) === 'NOT_LEADER') {
      hints.failed(env.table(), from)
    }
    this.#restUntilMs = env.nowMs() + restMs
    return true
  }

  /** From the start: what is here already is not asked for again. */
  #begin(): void {
    this.#held.clear()
    this.#passes = 0
    this.#copied = 0
    this.#waited = false
    this.#sealed = this.lost
    this.#era = 1
    const first = (): void => (this.lost ? this.#rows(errand, '') : this.#sessions(errand, ''))
    const errand: Errand = { asked: undefined, step: first }
    this.#errands = [errand]
  }

  // What there is

  #sessions(errand: Errand, after: string): void {
    this.#ask(errand, 'sessions', after, [], answer => {
      const sessions = answer.sessions.map(({ session, msgid }) => {
        const { slot } = this.#ports.routes.route(session)
        return { slot, session, latest: msgid }
      })
      this.#then(errand, () => this.#messages(errand, sessions, answer.next))
    })
  }

  /** Fetches what is missing of these sessions, page by page. */
  #messages(errand: Errand, sessions: readonly MovedSession[], next: string): void {
    const ranges: SessionRange[] = []
    for (const moved of sessions) {
      const from = this.#heldOf(moved) + 1
      if (from > moved.latest) continue
      ranges.push({ session: moved.session, from, to: moved.latest })
      if (ranges.length === rangesMax) break
    }
    if (ranges.length === 0) {
      this.#level(errand, sessions, next)
      return
    }
    if (!this.#mayCopy()) return
    this.#ask(errand, 'messages', '', ranges, ({ messages }) => {
      const moved = messages.map(item => {
        return { ...item, slot: this.#ports.routes.route(item.session).slot }
      })
      const write = (writer: ByteWriter): void => writeImportMessages(writer, this.head, moved)
      const goOn = (): void => {
        for (const { session, message } of moved) this.#held.set(session, message.msgid)
        this.#copied += moved.length
        this.#then(errand, () => this.#messages(errand, sessions, next))
      }
      const { env } = this.#ports.parts
      this.#import(errand, write, goOn, () => this.#ports.quiet.end(this, env.nowMs()))
    })
  }

  /** While users wait, as fast as it goes; as long as the slot is served elsewhere, so that the others hardly notice. */
  #mayCopy(): boolean {
    if (this.#sealed) return true
    const { parts, quiet } = this.#ports
    return this.#imports === 0 && quiet.begin(this, parts.env.nowMs())
  }

  #heldOf({ slot, session }: MovedSession): number {
    const { machine, rows } = this.#ports.parts
    const { latest } = machine.sessions.get(rows, slot, session)
    return Math.max(latest, this.#held.get(session) ?? 0)
  }

  /** All messages of a page of sessions are on their way into the log. Before the seal nobody sees them. */
  #level(errand: Errand, sessions: readonly MovedSession[], next: string): void {
    const goOn = (): void =>
      this.#then(errand, () => {
        if (next !== '') this.#sessions(errand, next)
        else if (!this.#sealed) this.#passed(errand)
        else if (this.lost) this.#break(errand, `${slotPrefix(this.head.slot)}/session/`)
        else this.#through(errand)
      })
    if (!this.#sealed || sessions.length === 0) goOn()
    else this.#import(errand, writer => writeImportSessions(writer, this.head, sessions), goOn)
  }

  /**
   * What the lost replicas had acknowledged beyond this nobody knows. So the sessions that live in the slot go on far behind it, those included of which only
   * a copy was here.
   */
  #break(errand: Errand, after: string): void {
    errand.step = () => this.#break(errand, after)
    if (this.#imports > 0 || this.#breaking) return
    const { parts, routes } = this.#ports
    const prefix = slotPrefix(this.head.slot)
    const range = { after, before: `${prefix}/session0`, maxBytes: breakBytes }
    this.#breaking = true
    parts.replica.readRows(range, ({ rows, more }) => {
      this.#breaking = false
      const sessions = rows.map(([key]) => {
        const session = slotRowName(key).id
        return { session, targetSets: routes.route(session).targetSets }
      })
      const last = more ? rows.at(-1)?.[0] : undefined
      const goOn = (): void =>
        this.#then(errand, () => {
          if (last === undefined) this.#through(errand)
          else this.#break(errand, last)
        })
      const write = (writer: ByteWriter): void => {
        writeBreakSessions(writer, this.head, this.#era, sessions)
      }
      if (sessions.length === 0) goOn()
      else this.#import(errand, write, goOn)
    })
  }

  /** The slot is served while it is copied, and sealed only when all that has been copied is on disk. */
  #passed(errand: Errand): void {
    if (this.#imports > 0) return
    const level = this.#copied <= lagMessages || this.#passes + 1 >= passesMax
    if (level && !this.#ports.maySeal(this.head.slot)) {
      this.#waited = true
      return
    }
    const seals = level && !this.#waited
    this.#passes++
    this.#copied = 0
    this.#waited = false
    this.#then(errand, () => (seals ? this.#seal(errand) : this.#sessions(errand, '')))
  }

  #seal(errand: Errand): void {
    this.#ask(errand, 'seal', '', [], ({ sealed }) => {
      if (!sealed) return
      this.#sealed = true
      this.sealedAtMs ??= this.#ports.parts.env.nowMs()
      const rows: Errand = { asked: undefined, step: () => this.#rows(rows, '') }
      this.#errands.push(rows)
      this.#then(errand, () => this.#sessions(errand, ''))
      rows.step()
    })
  }

  #rows(errand: Errand, after: string): void {
    this.#ask(errand, 'rows', after, [], answer => {
      const { next } = answer
      const rows = this.lost ? this.#recovered(answer) : answer.rows
      const goOn = (): void =>
        this.#then(errand, () => {
          if (next !== '') this.#rows(errand, next)
          else if (this.lost) this.#sessions(errand, '')
          else this.#through(errand)
        })
      if (rows.length === 0) goOn()
      else this.#import(errand, writer => writeImportRows(writer, this.head, rows), goOn)
    })
  }

  /** The rows of a slot that is recovered begin another era, which the last of them says. */
  #recovered({ rows, next }: Answer): Answer['rows'] {
    const key = eraKey(this.head.slot)
    const former = rows.find(row => row.key === key)
    if (former !== undefined) this.#era = new ByteReader(former.value).varint() + 1
    const others = rows.filter(row => row !== former)
    if (next !== '') return others
    const value = new ByteWriter(8)
    value.varint(this.#era)
    return [...others, { key, value: value.copy() }]
  }

  /** Everything is on its way into the log once both errands are through; what says so may follow at once. */
  #through(errand: Errand): void {
    this.#errands = this.#errands.filter(other => other !== errand)
    if (this.#errands.length > 0) return
    const last: Errand = { asked: undefined, step: () => this.#imported(last) }
    this.#errands.push(last)
    last.step()
  }

  #imported(errand: Errand): void {
    const { slot, move } = this.head
    this.#import(
      errand,
      writer => writeSlotStep(writer, { step: 'imported', slot, move, epoch: 0 }),
      () => {
        this.#errands = []
      },
      result =>
        logSlotStep(this.#ports.parts.env, { step: 'imported', slot, move, epoch: 0 }, result)
    )
  }

  #then(errand: Errand, step: () => void): void {
    errand.step = step
    step()
  }

  #ask(
    errand: Errand,
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
      if (to !== undefined) hints.failed(env.table(), to)
      this.#restUntilMs = env.nowMs() + restMs
      return
    }
    errand.asked = { sequence, to, untilMs: env.nowMs() + answerMs, onAnswer }
  }

  /** Logs what was read, behind all that was logged before, and goes on. Waits while too much is on its way. */
  #import(
    errand: Errand,
    write: (writer: ByteWriter) => void,
    goOn: () => void,
    onResult: (result: unknown) => void = () => {}
  ): void {
    errand.step = () => this.#import(errand, write, goOn, onResult)
    if (this.#imports >= importsMax) return
    const { env } = this.#ports.parts
    const writer = this.#ports.proposals.open()
    if (writer === undefined) {
      this.#restUntilMs = env.nowMs() + restMs
      return
    }
    write(writer)
    this.#imports++
    this.#ports.proposals.own(result => {
      this.#imports--
      onResult(result)
      const done = !isCommandError(result) && (result as { done: boolean }).done
      if (!done) {
        // The move is over, or leadership, either of which ends this arrival; or there was no room in the log.
        this.#restUntilMs = env.nowMs() + restMs
        this.#begin()
      }
      this.#ports.turn()
    })
    goOn()
  }
}
