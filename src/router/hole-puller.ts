import { errorCodeOf } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { RouterParts } from './admission.ts'
import { writeFill } from './commands.ts'
import type { Hole } from './holes.ts'
import type { Proposals } from './proposals.ts'
import type { SessionRoutes } from './session-routes.ts'

type Copy = Pick<Hole, 'slot' | 'session'>

/** Whoever wants copies to be made level with home. */
export interface RenewalAsker {
  /** One of the copies that it asked for is level. Not called once leadership is lost. */
  renewed(): void
}

interface Renewal extends Copy {
  /** Each as often as it has asked. */
  readonly askers: readonly RenewalAsker[]
}

interface Pull {
  readonly session: string
  readonly homeSet: string
  readonly to: EndpointId | undefined
  readonly sequence: number
  /** When it is given up, or, once it failed, tried again. */
  untilMs: number
  state: 'asked' | 'filling' | 'resting'
}

const pullsMax = 32
/** Of these, pulls from one home set: one that does not answer leaves room for the others. */
const pullsPerHomeMax = 16
const answerMs = 1_000
const restMs = 200
const pullMessages = 500

/** Pulls what copies lack from the sessions' home sets: push is speed, pull is correctness. */
export class HolePuller {
  readonly #parts: RouterParts
  readonly #routes: SessionRoutes
  readonly #proposals: Proposals
  readonly #nextSequence: () => number
  readonly #pulls = new Map<string, Pull>()
  /** Copies to be made level with home, whatever they lack. */
  readonly #renewals = new Map<string, Renewal>()
  /** Sessions to pull, in turn: whoever was asked for goes to the end. */
  readonly #queue = new Set<string>()

  constructor(
    parts: RouterParts,
    routes: SessionRoutes,
    proposals: Proposals,
    nextSequence: () => number
  ) {
    this.#parts = parts
    this.#routes = routes
    this.#proposals = proposals
    this.#nextSequence = nextSequence
  }

  onLeadership(): void {
    this.#pulls.clear()
    this.#renewals.clear()
    this.#queue.clear()
  }

  /** Makes a copy level with what home has when it is asked. */
  renew(slot: number, session: string, asker: RenewalAsker): void {
    const askers = [...(this.#renewals.get(session)?.askers ?? []), asker]
    this.#renewals.set(session, { slot, session, askers })
    this.#queue.add(session)
    // What was asked before may be answered by a home that routes by an older table yet.
    if (this.#pulls.get(session)?.state === 'asked') this.#pulls.delete(session)
  }

  /** Whatever `asker` has asked for is not wanted by it any more. */
  withdraw(asker: RenewalAsker): void {
    for (const [session, renewal] of this.#renewals) {
      const askers = renewal.askers.filter(other => other !== asker)
      if (askers.length === 0) this.#renewals.delete(session)
      else this.#renewals.set(session, { ...renewal, askers })
    }
  }

  tick(): void {
    const { env, replica } = this.#parts
    if (!replica.leading()) return
    const nowMs = env.nowMs()
    this.#expire(nowMs)
    const places = this.#places()
    for (const session of this.#holes().keys()) this.#queue.add(session)
    for (const session of this.#queue) {
      if (places.all >= pullsMax) return
      const copy = this.#wanted(session)
      if (copy === undefined) this.#queue.delete(session)
      else if (this.#pulls.has(session)) continue
      else if (this.#level(copy)) this.#renewed(session)
      else this.#begin(copy, places, nowMs)
    }
  }

  /** True when `answer` belongs to a pull. */
  onAnswer(from: EndpointId, answer: Packet<'HISTORY_READ_OK'> | Packet<'ERROR'>): boolean {
    const pull = this.#find(answer.sequence)
    if (pull === undefined || !from.startsWith(`router/${pull.homeSet}/`)) return false
    const { env, hints } = this.#parts
    if (answer.kind === 'HISTORY_READ_OK') {
      this.#fill(pull, answer)
      return true
    }
    const { code, hint } = answer.payload
    if (errorCodeOf(code) === 'NOT_LEADER' && hint !== undefined) hints.note(env.table(), hint)
    else this.#failed(pull)
    this.#rest(pull)
    return true
  }

  #holes(): ReadonlyMap<string, Hole> {
    return this.#parts.machine.holes.all(this.#parts.rows)
  }

  #wanted(session: string): Copy | undefined {
    return this.#holes().get(session) ?? this.#renewals.get(session)
  }

  /**
   * There is nothing to ask for: the session is at home here, or nobody who lives here wants the copy any more. A hole is in the log, and is
   * closed there.
   */
  #level({ slot, session }: Copy): boolean {
    const { env, setId } = this.#parts
    const owner = env.table().owner(slot)
    if (owner === undefined) return false
    if (owner.setId === setId) return true
    return !this.#holes().has(session) && this.#routes.route(session).localMembers === 0
  }

  #expire(nowMs: number): void {
    for (const pull of this.#pulls.values()) {
      if (pull.untilMs > nowMs || pull.state === 'filling') continue
      if (pull.state === 'asked') this.#failed(pull)
      this.#pulls.delete(pull.session)
    }
  }

  /** Those under way. */
  #places(): Places {
    const places: Places = { all: 0, byHome: new Map() }
    for (const { state, homeSet } of this.#pulls.values()) {
      if (state !== 'resting') takePlace(places, homeSet)
    }
    return places
  }

  /** Asks the session's home, if it has a place for that. What fails at once has had its place in this tick, too. */
  #begin(copy: Copy, places: Places, nowMs: number): void {
    const { env } = this.#parts
    const { session, slot } = copy
    const owner = env.table().owner(slot)
    if (owner === undefined || (places.byHome.get(owner.setId) ?? 0) >= pullsPerHomeMax) return
    takePlace(places, owner.setId)
    this.#queue.delete(session)
    this.#queue.add(session)
    this.#ask(copy, owner.setId, owner.slotEpoch, nowMs)
  }

  #ask({ slot, session }: Copy, homeSet: string, slotEpoch: number, nowMs: number): void {
    const { env, machine, rows, hints } = this.#parts
    const sequence = this.#nextSequence()
    const to = hints.endpoint(env.table(), homeSet)
    const untilMs = nowMs + answerMs
    const pull: Pull = { session, homeSet, to, sequence, untilMs, state: 'asked' }
    this.#pulls.set(session, pull)
    const uid = this.#routes.route(session).members[0] ?? ''
    const from = machine.sessions.get(rows, slot, session).latest + 1
    const header = { bootId: env.bootId, sequence, slot, slotEpoch }
    const request = packet(
      'HISTORY_READ',
      { uid, session, from, limit: pullMessages },
      { ...header, deadlineMs: answerMs }
    )
    if (to === undefined || !env.send(to, request)) {
      this.#failed(pull)
      this.#rest(pull)
    }
  }

  #fill(pull: Pull, answer: Packet<'HISTORY_READ_OK'>): void {
    const { session, messages } = answer.payload
    const wanted = this.#wanted(pull.session)
    const level = messages.length === 0 || (wanted !== undefined && this.#level(wanted))
    if (level) this.#renewed(pull.session)
    if (session !== pull.session || wanted === undefined || level) {
      this.#rest(pull)
      return
    }
    const writer = this.#proposals.open()
    if (writer === undefined) {
      this.#rest(pull)
      return
    }
    pull.state = 'filling'
    const { localMembers } = this.#routes.route(session)
    // Any message closes a hole that nobody minds any more.
    const taken = localMembers === 0 ? messages.slice(0, 1) : messages
    writeFill(writer, wanted.slot, localMembers, session, taken)
    this.#proposals.own(() => {
      if (this.#pulls.get(session) === pull) this.#pulls.delete(session)
    })
  }

  #failed({ to }: Pull): void {
    if (to !== undefined) this.#parts.hints.failed(this.#parts.env.table(), to)
  }

  #renewed(session: string): void {
    const renewal = this.#renewals.get(session)
    this.#renewals.delete(session)
    for (const asker of renewal?.askers ?? []) asker.renewed()
  }

  #rest(pull: Pull): void {
    pull.state = 'resting'
    pull.untilMs = this.#parts.env.nowMs() + restMs
  }

  #find(sequence: number): Pull | undefined {
    for (const pull of this.#pulls.values()) {
      if (pull.sequence === sequence && pull.state === 'asked') return pull
    }
    return undefined
  }
}

interface Places {
  all: number
  readonly byHome: Map<string, number>
}

function takePlace(places: Places, homeSet: string): void {
  places.all++
  places.byHome.set(homeSet, (places.byHome.get(homeSet) ?? 0) + 1)
}
