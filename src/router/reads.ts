import type { ErrorCode } from '../base/error-codes.ts'
import { assert, RingsetError } from '../base/errors.ts'
import type { EndpointId } from '../protocol/endpoint.ts'
import type { Message, Page, PayloadOf } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import { checkUid } from '../protocol/session.ts'
import type { Admission, RouterParts } from './admission.ts'
import type { RouterLimits } from './limits.ts'
import { writeRouteEpoch } from './move-commands.ts'
import { type Proposals, refusalCode } from './proposals.ts'
import type { Replies } from './replies.ts'
import type { SessionRoute, SessionRoutes } from './session-routes.ts'
import { decodeMessage, firstMessage } from './timelines.ts'

type ReadKind = 'LOOKUP' | 'LATEST' | 'HISTORY_READ' | 'SYNC'
export type ReadPacket = Packet<ReadKind>

interface PendingRead {
  readonly from: EndpointId
  readonly request: ReadPacket
}

interface DueRead extends PendingRead {
  /** The term in which it was confirmed that this replica leads; 0: it was not. */
  readonly term: number
  /** Of a SYNC that was begun: what is left of it. */
  sync: Generator<void, PayloadOf<'SYNC_OK'>> | undefined
}

interface Lacked {
  readonly pages: readonly Page[]
  readonly bytes: number
  readonly whole: boolean
}

/** What a message costs in an answer beside its body. */
const messageOverheadBytes = 160
/** In one turn reads are answered for so long, so that whoever asks for much does not hold up everybody. */
const sliceMs = 4

/**
 * Linearizable reads: those of one turn share one ReadIndex round, and are answered from the rows once it is confirmed. Admission is
 * checked on receipt and again whenever work on the answer goes on, since a slot may have left in between.
 */
export class Reads {
  readonly #parts: RouterParts
  readonly #admission: Admission
  readonly #routes: SessionRoutes
  readonly #replies: Replies
  readonly #limits: RouterLimits
  readonly #proposals: Proposals
  #batch: PendingRead[] = []
  /** Confirmed or refused, and not answered yet, in turn. */
  readonly #due = new Set<DueRead>()
  /** The route epoch that is on its way into the log. */
  #raising = 0
  #pending = 0

  constructor(
    parts: RouterParts,
    admission: Admission,
    routes: SessionRoutes,
    replies: Replies,
    limits: RouterLimits,
    proposals: Proposals
  ) {
    this.#parts = parts
    this.#admission = admission
    this.#routes = routes
    this.#replies = replies
    this.#limits = limits
    this.#proposals = proposals
  }

  /** Throws RingsetError for a malformed request. */
  onRequest(from: EndpointId, request: ReadPacket): void {
    const checked = this.#check(from, request)
    const { slot } = checked
    const code = checked.code ?? this.#routingRefusal(from, request)
    if (code !== undefined) {
      this.#refuse(from, request, code, slot)
      return
    }
    if (this.#pending >= this.#limits.pendingReads) {
      this.#refuse(from, request, 'OVERLOADED', slot)
      return
    }
    this.#pending++
    this.#batch.push({ from, request })
  }

  /**
   * A router that renews a copy must hear of all that was not sent to it: so what was routed by an older table than its own must be in
   * the log already, and nothing may be routed so any more.
   */
  #routingRefusal(from: EndpointId, request: ReadPacket): ErrorCode | undefined {
    if (request.kind !== 'HISTORY_READ' || !from.startsWith('router/')) return undefined
    const { env, machine, rows } = this.#parts
    const { epoch } = env.table()
    if (request.epoch > epoch) env.send(from, packet('TABLE_PULL', {}))
    else if (request.epoch <= machine.ownership.routeEpoch(rows)) return undefined
    else if (this.#raising < epoch) {
      const writer = this.#proposals.open()
      if (writer !== undefined) {
        this.#raising = epoch
        writeRouteEpoch(writer, epoch)
        this.#proposals.own(() => {
          this.#raising = 0
        })
      }
    }
    return 'ROUTER_BEHIND'
  }

  flush(): void {
    if (this.#batch.length === 0) return
    const batch = this.#batch
    this.#batch = []
    this.#parts.env.metrics.count('router_reads_total', batch.length)
    const { replica } = this.#parts
    const term = replica.term()
    const refusal = replica.read(confirmed => {
      for (const read of batch) {
        this.#due.add({ ...read, term: confirmed ? term : 0, sync: undefined })
      }
    })
    if (refusal === undefined) return
    this.#pending -= batch.length
    for (const { from, request } of batch) {
      this.#refuse(from, request, refusalCode(refusal), request.slot)
    }
  }

  /** Answers what is due, for one slice of time; what is left comes in the next turn. */
  answer(): void {
    if (this.#due.size === 0) return
    const { env } = this.#parts
    const untilMs = env.nowMs() + sliceMs
    for (const read of this.#due) {
      this.#due.delete(read)
      if (this.#goOn(read, untilMs)) this.#pending--
      else this.#due.add(read)
      if (env.nowMs() >= untilMs) break
    }
    if (this.#due.size > 0) env.flushIn(0)
  }

  /**
   * True once it is answered. The rows have only moved forward since it was confirmed, so it may be answered from them as long as this
   * replica leads on.
   */
  #goOn(read: DueRead, untilMs: number): boolean {
    const { from, request } = read
    const { replica } = this.#parts
    const { code, slot } = this.#check(from, request)
    const refusal = code ?? (read.term === replica.term() ? undefined : 'NO_LEADER')
    if (refusal !== undefined) {
      this.#refuse(from, request, refusal, slot)
      return true
    }
    if (request.kind === 'SYNC') return this.#syncOn(read, request, untilMs)
    this.#execute(from, request)
    return true
  }

  /** True once it is answered. A device may name any number of sessions, of which each has to be looked up. */
  #syncOn(read: DueRead, request: Packet<'SYNC'>, untilMs: number): boolean {
    read.sync ??= this.#sync(request)
    do {
      const { done, value } = read.sync.next()
      if (!done) continue
      this.#replies.ok(read.from, request, 'SYNC_OK', value)
      return true
    } while (this.#parts.env.nowMs() < untilMs)
    return false
  }

  #refuse(from: EndpointId, request: ReadPacket, code: ErrorCode, slot: number): void {
    this.#replies.error(from, request, code, this.#admission.hint(code, slot))
  }

  #check(from: EndpointId, request: ReadPacket): { code: ErrorCode | undefined; slot: number } {
    switch (request.kind) {
      case 'LOOKUP':
        for (const uid of request.payload.uids) checkUid(uid)
        return this.#checkAll(request, request.payload.uids, uid => this.#slotOf(uid))
      case 'LATEST':
        return this.#checkAll(
          request,
          request.payload.sessions,
          one => this.#routes.route(one).slot
        )
      case 'HISTORY_READ':
        return this.#checkHistory(from, request)
      case 'SYNC': {
        checkUid(request.payload.uid)
        const slot = this.#slotOf(request.payload.uid)
        return { code: this.#admission.refusal(request, slot), slot }
      }
      default:
        throw new RingsetError('UNKNOWN_KIND')
    }
  }

  /** The packet is routed by its first key; the others must live here too. */
  #checkAll(
    request: ReadPacket,
    keys: readonly string[],
    slotOf: (key: string) => number
  ): { code: ErrorCode | undefined; slot: number } {
    if (keys.length === 0) throw new RingsetError('BAD_PACKET', 'an empty list of keys')
    const { machine, rows } = this.#parts
    let first = -1
    for (const key of keys) {
      const slot = slotOf(key)
      if (first < 0) {
        const code = this.#admission.refusal(request, slot)
        if (code !== undefined) return { code, slot }
        first = slot
      } else if (slot !== first && machine.ownership.state(rows, slot) !== 'owned') {
        const sealed = machine.ownership.state(rows, slot) === 'sealed'
        return { code: sealed ? 'SLOT_SEALED' : 'MOVED', slot }
      }
    }
    return { code: undefined, slot: first }
  }

  #checkHistory(
    from: EndpointId,
    request: Packet<'HISTORY_READ'>
  ): { code: ErrorCode | undefined; slot: number } {
    const { uid, session } = request.payload
    const route = this.#routes.route(session)
    if (!route.members.includes(uid)) {
      checkUid(uid)
      throw new RingsetError('FORBIDDEN')
    }
    // A router of another set pulls what its copy lacks, from the session's home.
    const slot = from.startsWith('router/') ? route.slot : this.#slotOf(uid)
    return { code: this.#admission.refusal(request, slot), slot }
  }

  #execute(from: EndpointId, request: Exclude<ReadPacket, Packet<'SYNC'>>): void {
    switch (request.kind) {
      case 'LOOKUP':
        this.#replies.ok(from, request, 'LOOKUP_OK', this.#lookup(request.payload.uids))
        return
      case 'LATEST':
        this.#replies.ok(from, request, 'LATEST_OK', this.#latest(request.payload.sessions))
        return
      case 'HISTORY_READ': {
        const { session, from: first, limit } = request.payload
        const route = this.#routes.route(session)
        const page = this.#page(route, session, Math.max(first, 1), limit, this.#limits.pageBytes)
        this.#replies.ok(from, request, 'HISTORY_READ_OK', page.page)
        return
      }
      default:
        throw new RingsetError('UNKNOWN_KIND')
    }
  }

  #lookup(uids: readonly string[]): PayloadOf<'LOOKUP_OK'> {
    const { machine, rows } = this.#parts
    const users = uids.map(uid => ({
      uid,
      routes: [...machine.presence.routes(rows, this.#slotOf(uid), uid)]
    }))
    return { users }
  }

  #latest(sessions: readonly string[]): PayloadOf<'LATEST_OK'> {
    const { machine, rows } = this.#parts
    const cursors = sessions.map(session => {
      const { slot } = this.#routes.route(session)
      return { session, msgid: machine.sessions.get(rows, slot, session).latest }
    })
    return { cursors }
  }

  /**
   * What the device lacks. A reported cursor above the latest is ignored: cursors are never rolled back. Sessions the user is not in are ignored too, so
   * that one bad cursor cannot keep a device from syncing. It is made in steps, one per session; what comes in between two of them is
   * pushed as ever.
   */
  *#sync({ payload }: Packet<'SYNC'>): Generator<void, PayloadOf<'SYNC_OK'>> {
    const { uid, full, cursors } = payload
    const reported = new Map<string, number>()
    for (const { session, msgid } of cursors) {
      reported.set(session, Math.max(msgid, reported.get(session) ?? 0))
    }
    const pages: Page[] = []
    let roomBytes = this.#limits.pageBytes
    let whole = true
    for (const [session, after] of reported) {
      const lacked = this.#lacked(uid, session, after, roomBytes)
      pages.push(...lacked.pages)
      roomBytes -= lacked.bytes
      whole &&= lacked.whole
      yield
    }
    if (!full || !whole) return { pages, more: !whole }
    for (const session of this.#unreported(uid, reported)) {
      const lacked = this.#lacked(uid, session, 0, roomBytes)
      pages.push(...lacked.pages)
      roomBytes -= lacked.bytes
      if (!lacked.whole) return { pages, more: true }
      yield
    }
    return { pages, more: false }
  }

  #unreported(uid: string, reported: ReadonlyMap<string, number>): string[] {
    const { machine, rows } = this.#parts
    const sessions: string[] = []
    machine.users.every(rows, this.#slotOf(uid), uid, session => {
      if (!reported.has(session)) sessions.push(session)
      return true
    })
    return sessions
  }

  /** What a user lacks of a session behind `after`: a page, at most. */
  #lacked(uid: string, session: string, after: number, roomBytes: number): Lacked {
    const { machine, rows } = this.#parts
    const nothing = { pages: [], bytes: 0, whole: true }
    const route = this.#member(session, uid)
    if (route === undefined) return nothing
    if (machine.sessions.get(rows, route.slot, session).latest <= after) return nothing
    if (roomBytes <= 0) return { ...nothing, whole: false }
    const { pageMessages } = this.#limits
    const { page, bytes, whole } = this.#page(route, session, after + 1, pageMessages, roomBytes)
    return { pages: [page], bytes, whole }
  }

  #member(session: string, uid: string): SessionRoute | undefined {
    let route: SessionRoute
    try {
      route = this.#routes.route(session)
    } catch (error) {
      if (error instanceof RingsetError && error.code !== 'NO_TABLE') return undefined
      throw error
    }
    return route.members.includes(uid) ? route : undefined
  }

  /** Messages from `from` on, within the bounds; at least one if there is any. `whole`: up to the latest. */
  #page(
    route: SessionRoute,
    session: string,
    from: number,
    limit: number,
    limitBytes: number
  ): { page: Page; bytes: number; whole: boolean } {
    const { machine, rows } = this.#parts
    const { latest, first } = machine.sessions.get(rows, route.slot, session)
    const messages: Message[] = []
    const count = Math.min(limit, this.#limits.pageMessages)
    let bytes = 0
    let msgid = Math.max(from, first)
    while (msgid <= latest && messages.length < count) {
      const found = firstMessage(rows, route.slot, session, msgid, latest)
      assert(found !== undefined, 'a timeline has no gap', { session, msgid })
      bytes += found.row.length + messageOverheadBytes
      if (messages.length > 0 && bytes > limitBytes) break
      messages.push(decodeMessage(found.row))
      msgid = found.msgid + 1
    }
    return { page: { session, first, latest, messages }, bytes, whole: msgid > latest }
  }

  #slotOf(key: string): number {
    return this.#parts.env.table().slotOf(key)
  }
}
