import type { ErrorCode } from '../../base/error-codes.ts'
import { RingsetError } from '../../base/errors.ts'
import type { EndpointId } from '../../protocol/endpoint.ts'
import { hardLimits, type Message, type PayloadOf } from '../../protocol/kinds.ts'
import { type Packet, packet } from '../../protocol/packet.ts'
import type { RowPage } from '../../raft/store.ts'
import type { Admission, RouterParts } from '../admission.ts'
import { isCommandError } from '../commands.ts'
import type { Proposals } from '../proposals.ts'
import { headerOf, type Replies } from '../replies.ts'
import { slotPrefix } from '../row-keys.ts'
import type { SessionRoutes } from '../session-routes.ts'
import { sessionsOfPage, slotRowName } from '../slot-rows.ts'
import { decodeMessage, firstMessage } from '../timelines.ts'
import { proposeStep } from './step-proposal.ts'

type SlotRead = Packet<'SLOT_READ'>
type Answer = PayloadOf<'SLOT_READ_OK'>

export interface SourcePorts {
  /** The set is lost, and this replica tells what is left of it, for good as it is now. */
  survives(): boolean
  readonly parts: RouterParts
  readonly admission: Admission
  readonly routes: SessionRoutes
  readonly proposals: Proposals
  readonly replies: Replies
}

/** Of messages, and of each range of rows: an answer to the first question has a page of all of them. */
const pageBytes = 64 * 1024
const pageMessages = 500
const readsMax = 64
/** What of a slot travels as it is, in the order of the keys. Connections do not: they end where the slot was. */
const rowKinds = ['dedup', 'era', 'sequence', 'user', 'user-page'] as const
const empty: Answer = { sealed: false, next: '', sessions: [], messages: [], rows: [] }

/**
 * The end of a move that gives: answers what the slot's new set asks, from rows alone, so that any leader can go on where another
 * stopped. What changes while the slot is still served here is asked for once more after the seal.
 */
export class SlotSource {
  readonly #parts: RouterParts
  readonly #admission: Admission
  readonly #routes: SessionRoutes
  readonly #proposals: Proposals
  readonly #replies: Replies
  readonly #survives: () => boolean
  #reading = 0

  constructor({ parts, admission, routes, proposals, replies, survives }: SourcePorts) {
    this.#survives = survives
    this.#parts = parts
    this.#admission = admission
    this.#routes = routes
    this.#proposals = proposals
    this.#replies = replies
  }

  /** Throws RingsetError for a malformed request. */
  onRead(from: EndpointId, request: SlotRead): void {
    const refusal = this.#refusal(from, request)
    if (refusal !== undefined) {
      this.#refuse(from, request, refusal)
      return
    }
    const { part } = request.payload
    if (part === 'messages') this.#answer(from, request, this.#messages(request))
    else if (part === 'seal') this.#seal(from, request)
    else if (this.#reading >= readsMax) this.#refuse(from, request, 'OVERLOADED')
    else if (part === 'rows') this.#rows(from, request)
    else this.#sessions(from, request)
  }

  #refusal(from: EndpointId, { payload, epoch }: SlotRead): ErrorCode | undefined {
    const { env, machine, rows } = this.#parts
    const survives = this.#survives()
    const leadership = survives ? undefined : this.#admission.leadership()
    if (leadership !== undefined) return leadership
    const view = env.table()
    const { slot, part } = payload
    const move = view.move(slot)
    if (move === undefined || move.epoch < payload.epoch) {
      return epoch > view.epoch ? 'ROUTER_BEHIND' : 'MOVED'
    }
    if (move.epoch > payload.epoch) return 'MOVED'
    if (!from.startsWith(`router/${move.to}/`)) return 'FORBIDDEN'
    // Whatever its own log says of the slot: nobody else is left who could tell.
    if (survives) return undefined
    const state = machine.ownership.state(rows, slot)
    if (state === 'sealed' && machine.ownership.move(rows, slot) === move.epoch) return undefined
    if (state !== 'owned') return 'MOVED'
    return part === 'rows' ? 'BAD_PACKET' : undefined
  }

  #refuse(from: EndpointId, request: SlotRead, code: ErrorCode): void {
    const { env } = this.#parts
    this.#replies.error(from, request, code, this.#admission.hint(code, request.payload.slot))
    if (code === 'ROUTER_BEHIND') env.send(from, packet('TABLE_PULL', {}))
  }

  #answer(from: EndpointId, request: SlotRead, answer: Partial<Answer>): void {
    const { machine, rows } = this.#parts
    const state = machine.ownership.state(rows, request.payload.slot)
    const sealed = this.#survives() || state === 'sealed'
    this.#replies.ok(from, request, 'SLOT_READ_OK', { ...empty, ...answer, sealed })
  }

  #messages({ payload }: SlotRead): Partial<Answer> {
    const messages: { session: string; message: Message }[] = []
    let bytes = 0
    for (const { session, from, to } of payload.ranges) {
      const { slot } = this.#routes.route(session)
      for (let msgid = from; msgid <= to; msgid++) {
        const found = firstMessage(this.#parts.rows, slot, session, msgid, to)
        if (found === undefined) break
        bytes += found.row.length
        if (messages.length > 0 && (bytes > pageBytes || messages.length >= pageMessages)) {
          return { messages }
        }
        messages.push({ session, message: decodeMessage(found.row) })
        msgid = found.msgid
      }
    }
    return { messages }
  }

  #seal(from: EndpointId, request: SlotRead): void {
    const { machine, rows } = this.#parts
    const { slot, epoch: move } = request.payload
    if (this.#survives() || machine.ownership.state(rows, slot) === 'sealed') {
      this.#answer(from, request, {})
      return
    }
    const header = { ...headerOf(request), kind: request.kind, payload: request.payload }
    const ports = { parts: this.#parts, proposals: this.#proposals }
    const step = { step: 'seal', slot, move, epoch: 0 } as const
    const proposed = proposeStep(ports, step, result => {
      if (isCommandError(result)) this.#refuse(from, header as SlotRead, result.error)
      else this.#answer(from, header as SlotRead, {})
    })
    if (!proposed) this.#refuse(from, request, 'OVERLOADED')
  }

  /** First those that live in the slot, then those that its users have copies of. */
  #sessions(from: EndpointId, request: SlotRead): void {
    const { slot } = request.payload
    const prefix = slotPrefix(slot)
    const own = `${prefix}/session/`
    const sessions: Answer['sessions'] = []
    this.#gather(from, request, [own, `${prefix}/user-page/`], {
      take: (range, [key, value]) => {
        if (range === own) sessions.push(this.#cursorOf(slotRowName(key).id))
        else sessions.push(...this.#copiesOf(slot, value))
      },
      answer: next => ({ sessions, next })
    })
  }

  #copiesOf(slot: number, page: Buffer): Answer['sessions'] {
    return sessionsOfPage(page)
      .filter(session => this.#routes.route(session).slot !== slot)
      .map(session => this.#cursorOf(session))
  }

  #cursorOf(session: string): Answer['sessions'][number] {
    const { machine, rows } = this.#parts
    const { slot } = this.#routes.route(session)
    return { session, msgid: machine.sessions.get(rows, slot, session).latest }
  }

  #rows(from: EndpointId, request: SlotRead): void {
    const prefix = slotPrefix(request.payload.slot)
    const rows: Answer['rows'] = []
    const ranges = rowKinds.map(kind => `${prefix}/${kind}/`)
    this.#gather(from, request, ranges, {
      take: (_, [key, value]) => {
        rows.push({ key, value })
      },
      answer: next => ({ rows, next })
    })
  }

  /**
   * A page of rows: to begin with of all ranges at once, which is everything for most slots, then of one range after the other.
   * @param ranges what their keys begin with, in the order of the keys.
   */
  #gather(
    from: EndpointId,
    request: SlotRead,
    ranges: readonly string[],
    page: {
      readonly take: TakeRow
      /** @param next where to go on; empty at the end. */
      answer(next: string): Partial<Answer>
    }
  ): void {
    const { after } = request.payload
    if (Buffer.byteLength(after, 'utf8') > hardLimits.rowKeyBytes) {
      throw new RingsetError('BAD_PACKET', 'a key is too long')
    }
    const whole = after === ''
    const asked = whole ? ranges : ranges.filter(range => after.startsWith(range))
    if (asked.length === 0) throw new RingsetError('BAD_PACKET', 'rows behind no row')
    const header = {
      ...headerOf(request),
      kind: request.kind,
      payload: request.payload
    } as SlotRead
    const pages: RowPage[] = []
    let open = asked.length
    const read = (range: string, at: number): void => {
      const bounds = { after: whole ? range : after, before: endOf(range), maxBytes: pageBytes }
      this.#parts.replica.readRows(bounds, found => {
        pages[at] = found
        open--
        if (open > 0) return
        this.#reading--
        const refusal = this.#refusal(from, header)
        if (refusal !== undefined) this.#refuse(from, header, refusal)
        else this.#answer(from, header, page.answer(takeAll(asked, pages, ranges, page.take)))
      })
    }
    this.#reading++
    for (const [at, range] of asked.entries()) read(range, at)
  }
}

type TakeRow = (range: string, row: RowPage['rows'][number]) => void

/** Takes what was read, up to the first range that has more. Returns where to go on; empty at the end. */
function takeAll(
  asked: readonly string[],
  pages: readonly RowPage[],
  ranges: readonly string[],
  take: TakeRow
): string {
  for (const [at, range] of asked.entries()) {
    const { rows, more } = pages[at]!
    for (const row of rows) take(range, row)
    const last = rows.at(-1)
    if (more && last !== undefined) return last[0]
  }
  return ranges[ranges.indexOf(asked.at(-1)!) + 1] ?? ''
}

/** A key behind all that begin with `prefix`, which ends in a slash. */
function endOf(prefix: string): string {
  return `${prefix.slice(0, -1)}0`
}
