import { parseSession, routingKey } from '../protocol/session.ts'
import type { TableView } from '../table/table-view.ts'
import type { AppendRouting } from './commands.ts'

/** What follows from a session id and the routing table. */
export interface SessionRoute extends AppendRouting {
  readonly epoch: number
  /** Home slot. */
  readonly slot: number
  readonly members: readonly string[]
  readonly memberSlots: readonly number[]
}

/** Parsed session ids with their routing, kept for the busy ones. */
export class SessionRoutes {
  readonly #setId: string
  readonly #table: () => TableView
  readonly #capacity: number
  #young = new Map<string, SessionRoute>()
  #old = new Map<string, SessionRoute>()

  constructor(setId: string, table: () => TableView, capacity = 16_384) {
    this.#setId = setId
    this.#table = table
    this.#capacity = capacity
  }

  /** Throws BAD_SESSION, or NO_TABLE while no table is known. */
  route(session: string): SessionRoute {
    const table = this.#table()
    const young = this.#young.get(session)
    if (young !== undefined && young.epoch === table.epoch) return young
    const old = this.#old.get(session)
    const route = old !== undefined && old.epoch === table.epoch ? old : this.#make(session, table)
    if (this.#young.size >= this.#capacity) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(session, route)
    return route
  }

  #make(session: string, table: TableView): SessionRoute {
    const parts = parseSession(session)
    const members = parts.type === 'p2p' ? parts.members : []
    const memberSlots = members.map(uid => table.slotOf(uid))
    const targetSets: string[] = []
    let localMembers = 0
    for (const [i, slot] of memberSlots.entries()) {
      const setId = table.owner(slot)?.setId
      if (setId === this.#setId) localMembers |= 1 << i
      else if (setId !== undefined && !targetSets.includes(setId)) targetSets.push(setId)
    }
    const slot = table.slotOf(routingKey(session, parts))
    return { epoch: table.epoch, slot, members, memberSlots, localMembers, targetSets }
  }
}
