import type { Metrics } from '../base/ports.ts'
import type { Page } from '../protocol/kinds.ts'
import { type Packet, packet } from '../protocol/packet.ts'
import type { ClientLinks } from './client-links.ts'
import type { Connection } from './connection.ts'

const messageOverheadBytes = 48

/**
 * The pushes of one turn. What goes to a connection within a turn is merged into one PUSH (up to a
 * size); a page that goes to many connections alone is one packet object for all of them, so that
 * the links can encode it once.
 */
export class Pushes {
  readonly #links: ClientLinks
  readonly #metrics: Metrics
  readonly #maxBytes: number
  #dirty: Connection[] = []
  readonly #shared = new Map<Page, Packet<'PUSH'>>()

  constructor(links: ClientLinks, metrics: Metrics, maxBytes: number) {
    this.#links = links
    this.#metrics = metrics
    this.#maxBytes = maxBytes
  }

  add(connection: Connection, page: Page): void {
    if (connection.turnPages.length === 0) this.#dirty.push(connection)
    connection.turnPages.push(page)
  }

  /**
   * Sends what one connection has so far, where something must come after it. False when any of it
   * was dropped.
   */
  flushOne(connection: Connection): boolean {
    const pages = connection.turnPages
    if (pages.length === 0) return true
    let whole = true
    if (pages.length === 1) whole = this.#sendPage(connection, pages[0]!)
    else {
      let batch: Page[] = []
      let bytes = 0
      for (const page of pages) {
        const size = pageBytes(page)
        if (bytes + size > this.#maxBytes && batch.length > 0) {
          whole = this.#send(connection, packet('PUSH', { pages: batch })) && whole
          batch = []
          bytes = 0
        }
        if (size > this.#maxBytes) whole = this.#sendPage(connection, page) && whole
        else {
          batch.push(page)
          bytes += size
        }
      }
      if (batch.length > 0) {
        whole = this.#send(connection, packet('PUSH', { pages: batch })) && whole
      }
    }
    pages.length = 0
    return whole
  }

  /** The end of the turn. */
  flush(): void {
    if (this.#dirty.length === 0) return
    const dirty = this.#dirty
    this.#dirty = []
    for (const connection of dirty) {
      if (connection.phase === 'open') this.flushOne(connection)
      else connection.turnPages.length = 0
    }
    this.#shared.clear()
  }

  #sendPage(connection: Connection, page: Page): boolean {
    let whole = true
    if (page.messages.length > 1 && pageBytes(page) > this.#maxBytes) {
      for (const part of splitPage(page, this.#maxBytes)) {
        whole = this.#send(connection, packet('PUSH', { pages: [part] })) && whole
      }
      return whole
    }
    let shared = this.#shared.get(page)
    if (!shared) {
      shared = packet('PUSH', { pages: [page] })
      this.#shared.set(page, shared)
    }
    return this.#send(connection, shared)
  }

  #send(connection: Connection, push: Packet<'PUSH'>): boolean {
    const sent = this.#links.send(connection.connId, push)
    if (sent) {
      let messages = 0
      for (const page of push.payload.pages) messages += page.messages.length
      this.#metrics.count('transfer_pushed_messages_total', messages)
    }
    this.#metrics.count(sent ? 'transfer_pushes_total' : 'transfer_pushes_dropped_total')
    return sent
  }
}

function pageBytes(page: Page): number {
  let bytes = page.session.length + 24
  for (const { body } of page.messages) bytes += body.length + messageOverheadBytes
  return bytes
}

function splitPage(page: Page, maxBytes: number): Page[] {
  const parts: Page[] = []
  let messages: Page['messages'] = []
  let bytes = 0
  for (const message of page.messages) {
    const size = message.body.length + messageOverheadBytes
    if (bytes + size > maxBytes && messages.length > 0) {
      parts.push({ ...page, messages })
      messages = []
      bytes = 0
    }
    messages.push(message)
    bytes += size
  }
  parts.push({ ...page, messages })
  return parts
}
