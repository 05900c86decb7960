import type { Cursor } from '../protocol/kinds.ts'

/** What one device remembers from one run to the next. */
export interface DeviceState {
  readonly deviceId: string | undefined
  /** No message id from here on was ever used. */
  readonly nextClientMsgId: number
  readonly connSeq: number
  readonly cursors: readonly Cursor[]
}

/**
 * Keeps a device's state over restarts. Cursors may be written late: what they miss is delivered
 * again after a crash. Ids are on disk before they are used.
 */
export interface CursorStore {
  load(): Promise<DeviceState>
  /** Resolves when the identity is safe. */
  saveIdentity(deviceId: string, nextClientMsgId: number, connSeq: number): Promise<void>
  /** Soon; later calls for a session replace earlier ones. */
  saveCursors(cursors: readonly Cursor[]): void
  /** Resolves when everything saved so far is safe. */
  flush(): Promise<void>
}

/**
 * Forgets with the process; for tests, and for handing one device's state from client to client.
 */
export class MemoryStore implements CursorStore {
  #deviceId: string | undefined
  #nextClientMsgId = 1
  #connSeq = 0
  readonly #cursors = new Map<string, number>()

  load(): Promise<DeviceState> {
    return Promise.resolve({
      deviceId: this.#deviceId,
      nextClientMsgId: this.#nextClientMsgId,
      connSeq: this.#connSeq,
      cursors: [...this.#cursors].map(([session, msgid]) => ({ session, msgid }))
    })
  }

  saveIdentity(deviceId: string, nextClientMsgId: number, connSeq: number): Promise<void> {
    this.#deviceId = deviceId
    this.#nextClientMsgId = nextClientMsgId
    this.#connSeq = connSeq
    return Promise.resolve()
  }

  saveCursors(cursors: readonly Cursor[]): void {
    for (const { session, msgid } of cursors) this.#cursors.set(session, msgid)
  }

  flush(): Promise<void> {
    return Promise.resolve()
  }
}
