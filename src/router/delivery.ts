import { transferEndpoint } from '../protocol/endpoint.ts'
import type { Message, Page, PayloadOf } from '../protocol/kinds.ts'
import { packet } from '../protocol/packet.ts'
import type { RouterParts } from './admission.ts'
import type { SessionRoutes } from './session-routes.ts'
import type { SessionRow } from './sessions.ts'
import { decodeMessage, getMessage } from './timelines.ts'
import { instanceId } from './transfers.ts'

/** One DELIVER holds about so many bytes and items at most. */
const deliverBytes = 256 * 1024
const deliverItems = 1_000
/** What followers remember of the newest messages, for the case that they lead before those were handed out. */
const recentMax = 1_024
const recentMs = 2_000

interface Arrivals {
  readonly slot: number
  readonly session: string
  readonly messages: Buffer[]
}

interface Recent {
  readonly slot: number
  readonly session: string
  readonly msgid: number
  readonly atMs: number
}

interface Outgoing {
  readonly transferId: string
  readonly transferBootId: number
  items: PayloadOf<'DELIVER'>['items'][number][]
  bytes: number
}

/**
 * Hands messages that were applied in this turn to the transfers of the online members in this set. A lost DELIVER is repaired by the next heartbeat of the
 * device, so nothing is kept for it.
 */
export class Delivery {
  readonly #parts: RouterParts
  readonly #routes: SessionRoutes
  #arrivals = new Map<string, Arrivals>()
  #recent: Recent[] = []
  #recentNext = 0

  constructor(parts: RouterParts, routes: SessionRoutes) {
    this.#parts = parts
    this.#routes = routes
  }

  /** A message entered a timeline. @param leads whether this replica is the one to hand it out. */
  appended(row: SessionRow, msgid: number, message: Buffer, leads: boolean): void {
    if (leads) this.#arrived(row.slot, row.session, message)
    else this.#remember(row.slot, row.session, msgid)
  }

  /** This replica was elected: what the former leader may have failed to hand out goes out (again). */
  onElected(): void {
    const { env, rows } = this.#parts
    const sinceMs = env.nowMs() - recentMs
    const { length } = this.#recent
    for (let i = 0; i < length; i++) {
      const { slot, session, msgid, atMs } = this.#recent[(this.#recentNext + i) % length]!
      const message = atMs < sinceMs ? undefined : getMessage(rows, slot, session, msgid)
      if (message !== undefined) this.#arrived(slot, session, message)
    }
    this.#recent = []
    this.#recentNext = 0
  }

  flush(): void {
    if (this.#arrivals.size === 0) return
    const arrivals = this.#arrivals
    this.#arrivals = new Map()
    const outgoing = new Map<string, Outgoing>()
    for (const arrival of arrivals.values()) this.#route(arrival, outgoing)
    for (const one of outgoing.values()) this.#send(one)
  }

  #arrived(slot: number, session: string, message: Buffer): void {
    const known = this.#arrivals.get(session)
    if (known === undefined) this.#arrivals.set(session, { slot, session, messages: [message] })
    else known.messages.push(message)
  }

  #remember(slot: number, session: string, msgid: number): void {
    const one = { slot, session, msgid, atMs: this.#parts.env.nowMs() }
    if (this.#recent.length < recentMax) this.#recent.push(one)
    else this.#recent[this.#recentNext] = one
    this.#recentNext = (this.#recentNext + 1) % recentMax
  }

  #route({ slot, session, messages }: Arrivals, outgoing: Map<string, Outgoing>): void {
    const { machine, rows } = this.#parts
    const row = machine.sessions.get(rows, slot, session)
    const { members, memberSlots } = this.#routes.route(session)
    let pages: { page: Page; bytes: number }[] | undefined
    for (let i = 0; i < members.length; i++) {
      if ((row.localMembers & (1 << i)) === 0) continue
      if (i > 0 && members.indexOf(members[i]!) < i) continue
      for (const route of machine.presence.routes(rows, memberSlots[i]!, members[i]!)) {
        pages ??= pagesOf(row, messages)
        for (const { page, bytes } of pages) {
          this.#add(outgoing, route.transferId, route.transferBootId, route.connId, page, bytes)
        }
      }
    }
  }

  #add(
    outgoing: Map<string, Outgoing>,
    transferId: string,
    transferBootId: number,
    connId: number,
    page: Page,
    bytes: number
  ): void {
    const id = instanceId(transferId, transferBootId)
    let one = outgoing.get(id)
    if (one === undefined) {
      one = { transferId, transferBootId, items: [], bytes: 0 }
      outgoing.set(id, one)
    }
    for (let i = one.items.length - 1; i >= 0; i--) {
      const item = one.items[i]!
      if (item.page.session !== page.session) break
      if (item.page === page) {
        item.connIds.push(connId)
        return
      }
    }
    if (one.items.length >= deliverItems || one.bytes + bytes > deliverBytes) this.#send(one)
    one.items.push({ connIds: [connId], page })
    one.bytes += bytes
  }

  #send(one: Outgoing): void {
    if (one.items.length === 0) return
    const { env } = this.#parts
    const { transferBootId, items } = one
    const sent = env.send(
      transferEndpoint(one.transferId),
      packet('DELIVER', { transferBootId, items })
    )
    env.metrics.count(sent ? 'router_deliveries_total' : 'router_deliveries_dropped_total')
    one.items = []
    one.bytes = 0
  }
}

/** The messages as pages of bounded size. */
function pagesOf(row: SessionRow, messages: readonly Buffer[]): { page: Page; bytes: number }[] {
  const pages: { page: Page; bytes: number }[] = []
  let run: Message[] = []
  let bytes = 0
  const close = (): void => {
    const page = { session: row.session, first: row.first, latest: row.latest, messages: run }
    pages.push({ page, bytes })
    run = []
    bytes = 0
  }
  for (const message of messages) {
    if (run.length > 0 && bytes + message.length > deliverBytes) close()
    run.push(decodeMessage(message))
    bytes += message.length
  }
  close()
  return pages
}
