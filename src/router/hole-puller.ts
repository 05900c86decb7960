import { errorCodeOf } from '../base/error-codes.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { RouterParts } from './admission.ts'
import { writeFill } from './commands.ts'
import type { Hole } from './holes.ts'
import type { Proposals } from './proposals.ts'
import type { SessionRoutes } from './session-routes.ts'

interface Renewal extends Pick<Hole, 'slot' | 'session'> {
  readonly done: () => void
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
  }

  /** Makes a copy level with what home has when it is asked. @param done not called once leadership is lost. */
  renew(slot: number, session: string, done: () => void): void {
    const known = this.#renewals.get(session)
    const both = (): void => {
      known?.done()
      done()
    }
    this.#renewals.set(session, { slot, session, done: both })
  }

  tick(): void {
    const { env, machine, rows, replica } = this.#parts
    if (!replica.leading()) return
    const nowMs = env.nowMs()
    for (const pull of this.#pulls.values()) {
      if (pull.untilMs > nowMs || pull.state === 'filling') continue
      if (pull.state === 'asked') this.#failed(pull)
      this.#pulls.delete(pull.session)
    }
    for (const hole of machine.holes.all(rows).values()) {
      if (this.#pulls.size >= pullsMax) return
      if (!this.#pulls.has(hole.session)) this.#ask(hole, nowMs)
    }
    for (const renewal of [...this.#renewals.values()].slice(0, pullsMax)) {
      if (this.#pulls.size >= pullsMax) return
      if (!this.#pulls.has(renewal.session)) this.#ask(renewal, nowMs)
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

  #ask(hole: Pick<Hole, 'slot' | 'session'>, nowMs: number): void {
    const { env, machine, rows, hints, setId } = this.#parts
    const owner = env.table().owner(hole.slot)
    const { session, slot } = hole
    const sequence = this.#nextSequence()
    const homeSet = owner?.setId ?? ''
    const to = hints.endpoint(env.table(), homeSet)
    const untilMs = nowMs + answerMs
    const pull: Pull = { session, homeSet, to, sequence, untilMs, state: 'asked' }
    this.#pulls.set(session, pull)
    if (homeSet === setId) this.#renewed(session)
    if (owner === undefined || homeSet === setId) {
      this.#rest(pull)
      return
    }
    const uid = this.#routes.route(session).members[0] ?? ''
    const from = machine.sessions.get(rows, slot, session).latest + 1
    const header = { bootId: env.bootId, sequence, slot, slotEpoch: owner.slotEpoch }
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
    const hole = this.#parts.machine.holes.all(this.#parts.rows).get(pull.session)
    const wanted = hole ?? this.#renewals.get(pull.session)
    if (session !== pull.session || messages.length === 0 || wanted === undefined) {
      if (messages.length === 0) this.#renewed(pull.session)
      this.#rest(pull)
      return
    }
    const writer = this.#proposals.open()
    if (writer === undefined) {
      this.#rest(pull)
      return
    }
    pull.state = 'filling'
    writeFill(writer, wanted.slot, this.#routes.route(session).localMembers, session, messages)
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
    renewal?.done()
  }

  /** Those behind it get their turn first. */
  #rest(pull: Pull): void {
    const renewal = this.#renewals.get(pull.session)
    if (renewal !== undefined) {
      this.#renewals.delete(pull.session)
      this.#renewals.set(pull.session, renewal)
    }
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
