import type { Connection } from './connection.ts'

const maxRecent = 10_000

/** The connections of a transfer by id and by device. */
export class ConnectionTable {
  readonly #byId = new Map<number, Connection>()
  readonly #byDevice = new Map<string, Connection>()
  /** Connections whose route was taken back not long ago. */
  readonly #recent = new Map<number, Connection>()
  #unauthenticated = 0

  get size(): number {
    return this.#byId.size
  }

  get unauthenticated(): number {
    return this.#unauthenticated
  }

  get(connId: number): Connection | undefined {
    return this.#byId.get(connId)
  }

  /** A copy, so that members may leave while it is walked. */
  all(): Connection[] {
    return [...this.#byId.values()]
  }

  /** A connection in phase `new`. */
  add(connection: Connection): void {
    this.#byId.set(connection.connId, connection)
    this.#unauthenticated++
  }

  ofDevice(uid: string, deviceId: string): Connection | undefined {
    return this.#byDevice.get(deviceKey(uid, deviceId))
  }

  /** `new` → `opening`; from now on it is the connection of its device. */
  opening(connection: Connection): void {
    this.#unauthenticated--
    connection.phase = 'opening'
    this.#byDevice.set(keyOf(connection), connection)
  }

  /** Any phase → `closed`. */
  remove(connection: Connection): void {
    if (!this.#byId.delete(connection.connId)) return
    if (connection.phase === 'new') this.#unauthenticated--
    connection.phase = 'closed'
    connection.unacked = undefined
    if (connection.route === undefined) return
    const key = keyOf(connection)
    if (this.#byDevice.get(key) === connection) this.#byDevice.delete(key)
  }

  addRecent(connection: Connection): void {
    this.#recent.set(connection.connId, connection)
    if (this.#recent.size > maxRecent) {
      const oldest = this.#recent.keys().next()
      if (!oldest.done) this.#recent.delete(oldest.value)
    }
  }

  takeRecent(connId: number): Connection | undefined {
    const connection = this.#recent.get(connId)
    if (connection) this.#recent.delete(connId)
    return connection
  }
}

const keyOf = (connection: Connection): string =>
  deviceKey(connection.uid, connection.route?.deviceId ?? '')

// Neither part may hold control characters, so the pair cannot be mistaken.
const deviceKey = (uid: string, deviceId: string): string => `${uid}\n${deviceId}`
