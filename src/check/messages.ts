import { Findings, quote } from './findings.ts'
import { PagedNumbers } from './paged-numbers.ts'
import { RunSet } from './run-set.ts'
import type { Receipt } from './session-log.ts'
import type { Receive, SendRequest } from './values.ts'

/** Several devices of a sender used the clientMsgId, so it names no message by itself. */
const ambiguous = -1

/** Who sends, with what it has sent in one session. */
interface Sender {
  readonly index: number
  readonly uid: string
  readonly deviceId: string
  /** clientMsgId → number of the message. */
  readonly numbers: Map<number, number>
}

/**
 * The messages of one session, numbered 0, 1, 2 … as they are first mentioned. They are kept in columns, by their numbers: as objects, the millions of a long run would take several times the memory.
 */
export class SessionMessages {
  readonly session: string
  readonly acked = new RunSet()
  /** uid → deviceId → sender */
  readonly #senders = new Map<string, Map<string, Sender>>()
  readonly #senderByIndex: Sender[] = []
  #count = 0
  /** Index of the sender. */
  readonly #senderOf = new PagedNumbers()
  readonly #clientMsgIds = new PagedNumbers()
  readonly #sends = new PagedNumbers()
  /** Sends that certainly failed. */
  readonly #failures = new PagedNumbers()
  readonly #msgids = new PagedNumbers()
  /** Line of the first receive. */
  readonly #receivedAt = new PagedNumbers()
  /** Nobody had sent these when they were first received. */
  readonly #receivedUnsent = new Set<number>()
  readonly #byMsgid = new PagedNumbers()

  constructor(session: string) {
    this.session = session
  }

  /** The number of the message with this identity. */
  numberOf(uid: string, deviceId: string, clientMsgId: number): number {
    const sender = this.#sender(uid, deviceId)
    const known = sender.numbers.get(clientMsgId)
    if (known !== undefined) return known
    const number = this.#count++
    sender.numbers.set(clientMsgId, number)
    this.#senderOf.set(number, sender.index)
    this.#clientMsgIds.set(number, clientMsgId)
    return number
  }

  /** The number of a received message, −1 when it says too little to tell. */
  numberOfReceived(receive: Receive): number {
    const { sender, senderDevice, clientMsgId } = receive
    if (senderDevice !== undefined) return this.numberOf(sender, senderDevice, clientMsgId)
    let found: number | undefined
    for (const { numbers } of this.#senders.get(sender)?.values() ?? []) {
      const number = numbers.get(clientMsgId)
      if (number === undefined) continue
      if (found !== undefined) return ambiguous
      found = number
    }
    return found ?? this.numberOf(sender, '', clientMsgId)
  }

  sent(number: number): void {
    raise(this.#sends, number)
  }

  failed(number: number): void {
    raise(this.#failures, number)
  }

  received(number: number, line: number): void {
    if (this.#receivedAt.get(number) !== undefined) return
    this.#receivedAt.set(number, line)
    if (this.#sends.get(number) === undefined) this.#receivedUnsent.add(number)
  }

  /** Message → its msgid and the line of its first receive, of those that were received, unless with another's msgid. */
  receivedAs(): Map<number, Receipt> {
    const receipts = new Map<number, Receipt>()
    for (let number = 0; number < this.#count; number++) {
      const line = this.#receivedAt.get(number)
      const msgid = this.#msgids.get(number)
      if (line !== undefined && msgid !== undefined) receipts.set(number, { msgid, line })
    }
    return receipts
  }

  /** What was received, in the order of the numbers, and what speaks against it. */
  *receipts(): Generator<{
    readonly number: number
    readonly line: number
    readonly why?: string
  }> {
    for (let number = 0; number < this.#count; number++) {
      const line = this.#receivedAt.get(number)
      if (line === undefined) continue
      const unsent = this.#receivedUnsent.has(number)
      if (unsent) yield { number, line, why: 'it was not sent before' }
      else if (this.#failures.get(number) === this.#sends.get(number)) {
        yield { number, line, why: 'every send of it failed' }
      } else yield { number, line }
    }
  }

  /** How a message is named in examples. */
  nameOf(number: number): string {
    const { uid, deviceId } = this.#senderByIndex[this.#senderOf.get(number)!]!
    const sender = quote(deviceId === '' ? uid : `${uid}/${deviceId}`)
    return `message ${this.#clientMsgIds.get(number)!} of ${sender}`
  }

  /** The name of the message with this msgid. */
  nameAt(msgid: number): string | undefined {
    const number = this.#byMsgid.get(msgid)
    return number === undefined ? undefined : this.nameOf(number)
  }

  /** Notes that `msgid` is the message's; answers what stands against it, if something does. */
  assign(number: number, msgid: number): string | undefined {
    const holder = this.#byMsgid.get(msgid)
    if (holder === undefined) this.#byMsgid.set(msgid, number)
    else if (holder !== number) return `but that msgid was given to ${this.nameOf(holder)}`
    const before = this.#msgids.get(number)
    if (before === undefined) this.#msgids.set(number, msgid)
    else if (before !== msgid) return `which had msgid ${before}`
    return undefined
  }

  #sender(uid: string, deviceId: string): Sender {
    let devices = this.#senders.get(uid)
    if (devices === undefined) {
      devices = new Map()
      this.#senders.set(uid, devices)
    }
    let sender = devices.get(deviceId)
    if (sender === undefined) {
      sender = { index: this.#senderByIndex.length, uid, deviceId, numbers: new Map() }
      this.#senderByIndex.push(sender)
      devices.set(deviceId, sender)
    }
    return sender
  }
}

/**
 * Judges `reassigned` (one msgid, one message, everywhere) and `phantoms` (whatever is received was
 * sent).
 */
export class Messages {
  readonly #sessions = new Map<string, SessionMessages>()
  readonly #reassigned = new Findings()
  readonly #phantoms = new Findings()
  #sends = 0

  session(session: string): SessionMessages {
    let messages = this.#sessions.get(session)
    if (messages === undefined) {
      messages = new SessionMessages(session)
      this.#sessions.set(session, messages)
    }
    return messages
  }

  sessions(): Iterable<SessionMessages> {
    return this.#sessions.values()
  }

  /** @returns the message's number in its session. */
  sent(session: string, request: SendRequest): number {
    const messages = this.session(session)
    const number = messages.numberOf(request.uid, request.deviceId, request.clientMsgId)
    messages.sent(number)
    this.#sends++
    return number
  }

  failed(session: string, number: number): void {
    this.session(session).failed(number)
  }

  acked(session: string, number: number, msgid: number, line: number): void {
    const messages = this.session(session)
    messages.acked.add(msgid)
    this.#assign(messages, number, msgid, line)
  }

  /** @returns the message's number in its session, −1 when it cannot be told. */
  received(receive: Receive, line: number): number {
    const messages = this.session(receive.session)
    const number = messages.numberOfReceived(receive)
    if (number === ambiguous) return number
    this.#assign(messages, number, receive.msgid, line)
    messages.received(number, line)
    return number
  }

  reassigned() {
    return this.#reassigned.check('reassigned', 'acknowledged or received messages')
  }

  /** Call once, after the last line. */
  phantoms() {
    for (const messages of this.#sessions.values()) {
      for (const { number, line, why } of messages.receipts()) {
        this.#phantoms.judged++
        if (this.#sends === 0) this.#phantoms.undecided(() => 'no send is recorded')
        else if (why !== undefined) {
          this.#phantoms.bad(() => {
            const what = `${messages.nameOf(number)} in ${quote(messages.session)}`
            return `line ${line}: ${what} was received, but ${why}`
          })
        }
      }
    }
    return this.#phantoms.check('phantoms', 'received messages')
  }

  #assign(messages: SessionMessages, number: number, msgid: number, line: number): void {
    this.#reassigned.judged++
    const against = messages.assign(number, msgid)
    if (against === undefined) return
    this.#reassigned.bad(() => {
      const what = `msgid ${msgid} of ${quote(messages.session)} for ${messages.nameOf(number)}`
      return `line ${line}: ${what}, ${against}`
    })
  }
}

function raise(counts: PagedNumbers, index: number): void {
  counts.set(index, (counts.get(index) ?? 0) + 1)
}
