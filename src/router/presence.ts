import type { ByteReader, ByteWriter } from '../base/bytes.ts'
import type { ErrorCode } from '../base/error-codes.ts'
import { type Route, route as routeField } from '../protocol/kinds.ts'
import type { Rows } from '../raft/state-machine.ts'
import { slotPrefix } from './row-keys.ts'
import { type Row, type RowReader, RowTable } from './row-table.ts'
import type { Transfers } from './transfers.ts'

interface PresenceRow extends Row {
  routes: Route[]
}

/** Devices of one user that may be on at once, of all classes. */
export const routesPerUserMax = 32

/** What a registration did: the routes that gave way, or why it was refused. */
export type Registration = { readonly replaced: readonly Route[] } | { readonly error: ErrorCode }

const noRoutes: readonly Route[] = []

/** uid → where its devices are connected. */
export class Presence {
  readonly #transfers: Transfers
  readonly #table: RowTable<PresenceRow>

  constructor(transfers: Transfers, capacity: number) {
    this.#transfers = transfers
    this.#table = new RowTable<PresenceRow>({
      capacity,
      blank: key => ({ key, dirty: false, routes: [] }),
      read: readPresence,
      write: writePresence
    })
  }

  /** Routes through live transfers. */
  routes(rows: RowReader, slot: number, uid: string): readonly Route[] {
    const { routes } = this.#row(rows, slot, uid)
    if (routes.length === 0) return noRoutes
    for (const route of routes) {
      if (!this.#alive(rows, route)) return routes.filter(one => this.#alive(rows, one))
    }
    return routes
  }

  /**
   * The newest connection of a device wins: a lower connSeq never overwrites. One mobile and one desktop per user; the newcomer replaces. Routes of dead
   * instances never fence anything.
   */
  register(rows: RowReader, slot: number, uid: string, route: Route): Registration {
    const admitted = this.#transfers.admit(rows, route.transferId, route.transferBootId)
    if (admitted === undefined) return { error: 'OVERLOADED' }
    if (!admitted) return { error: 'TRANSFER_EXPIRED' }
    const row = this.#row(rows, slot, uid)
    const single = route.class === 'mobile' || route.class === 'desktop'
    const kept: Route[] = []
    const replaced: Route[] = []
    for (const other of row.routes) {
      if (!this.#alive(rows, other)) continue
      if (other.deviceId === route.deviceId) {
        if (other.connSeq > route.connSeq) return { error: 'KICKED' }
        if (!sameConnection(other, route)) replaced.push(other)
      } else if (single && other.class === route.class) {
        replaced.push(other)
      } else {
        kept.push(other)
      }
    }
    if (kept.length >= routesPerUserMax) return { error: 'TOO_MANY_CONNECTIONS' }
    kept.push(route)
    row.routes = kept
    this.#table.touch(row)
    return { replaced }
  }

  /** Compare-and-delete on all four ids. False: that very connection is not registered. */
  unregister(rows: RowReader, slot: number, uid: string, route: Route): boolean {
    const row = this.#row(rows, slot, uid)
    const kept = row.routes.filter(
      other =>
        this.#alive(rows, other) &&
        !(other.deviceId === route.deviceId && sameConnection(other, route))
    )
    const removed = row.routes.some(
      other => other.deviceId === route.deviceId && sameConnection(other, route)
    )
    if (kept.length !== row.routes.length) {
      row.routes = kept
      this.#table.touch(row)
    }
    return removed
  }

  forget(id: string): void {
    this.#table.forget(id)
  }

  flush(rows: Rows): void {
    this.#table.flush(rows)
  }

  trim(): void {
    this.#table.trim()
  }

  reset(): void {
    this.#table.clear()
  }

  #alive(rows: RowReader, route: Route): boolean {
    return this.#transfers.alive(rows, route.transferId, route.transferBootId)
  }

  #row(rows: RowReader, slot: number, uid: string): PresenceRow {
    return (
      this.#table.cached(uid) ?? this.#table.load(rows, uid, `${slotPrefix(slot)}/presence/${uid}`)
    )
  }
}

export function sameConnection(a: Route, b: Route): boolean {
  return (
    a.connId === b.connId &&
    a.connSeq === b.connSeq &&
    a.transferBootId === b.transferBootId &&
    a.transferId === b.transferId
  )
}

function readPresence(row: PresenceRow, reader: ByteReader): void {
  const count = reader.u8()
  for (let i = 0; i < count; i++) row.routes.push(routeField.read(reader))
}

function writePresence(row: PresenceRow, writer: ByteWriter): void {
  if (row.routes.length === 0) return
  writer.u8(row.routes.length)
  for (const route of row.routes) routeField.write(writer, route)
}
