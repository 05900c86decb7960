import { Findings, quote } from './findings.ts'
import { RunSet } from './run-set.ts'
import type { Receive, SendRequest } from './values.ts'

/** Several devices of a sender used the clientMsgId, so it names no message by itself. */
const ambiguous = -1

interface Message {
  readonly uid: string
  readonly deviceId: string
  readonly clientMsgId: number
  /** Attempts that did not certainly fail. */
  alive: number
  invoked: boolean
  /** 0 until known. */
  msgid: number
  /** Line of the first receive, 0 = never received. */
  receivedAt: number
  /** Nobody had sent it by then. */
  receivedUnsent: boolean
}

/** The messages of one session, numbered 0, 1, 2 … as they are first mentioned. */
export class SessionMessages {
  readonly session: string
  readonly acked = new RunSet()
  readonly #messages: Message[] = []
  readonly #byIdentity = new Map<string, number>()
  readonly #byClientMsgId = new Map<string, number>()
  readonly #byMsgid = new Map<number, number>()

  constructor(session: string) {
    this.session = session
  }

  /** The number of the message with this identity. */
  numberOf(uid: string, deviceId: string, clientMsgId: number): number {
    const identity = `${uid}\n${deviceId}\n${clientMsgId}`
    const known = this.#byIdentity.get(identity)
    if (known !== undefined) return known
    const number = this.#messages.length
    this.#messages.push({
      uid,
      deviceId,
      clientMsgId,
      alive: 0,
      invoked: false,
      msgid: 0,
      receivedAt: 0,
      receivedUnsent: false
    })
    this.#byIdentity.set(identity, number)
    const loose = `${uid}\n${clientMsgId}`
    this.#byClientMsgId.set(loose, this.#byClientMsgId.has(loose) ? ambiguous : number)
    return number
  }

  /** The number of a received message, −1 when it says too little to tell. */
  numberOfReceived(receive: Receive): number {
    const { sender, senderDevice, clientMsgId } = receive
    if (senderDevice !== undefined) return this.numberOf(sender, senderDevice, clientMsgId)
    return (
      this.#byClientMsgId.get(`${sender}\n${clientMsgId}`) ?? this.numberOf(sender, '', clientMsgId)
    )
  }

  get(number: number): Message {
    return this.#messages[number]!
  }

  all(): readonly Message[] {
    return this.#messages
  }

  at(msgid: number): Message | undefined {
    const number = this.#byMsgid.get(msgid)
    return number === undefined ? undefined : this.#messages[number]
  }

  /** Notes that `msgid` is the message's; answers a message that stands against it, if one does. */
  assign(number: number, msgid: number): { readonly other: Message } | undefined {
    const message = this.#messages[number]!
    const holder = this.#byMsgid.get(msgid)
    if (holder === undefined) this.#byMsgid.set(msgid, number)
    else if (holder !== number) return { other: this.#messages[holder]! }
    if (message.msgid === 0) message.msgid = msgid
    else if (message.msgid !== msgid) return { other: message }
    return undefined
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

  sent(session: string, request: SendRequest): number {
    const messages = this.session(session)
    const number = messages.numberOf(request.uid, request.deviceId, request.clientMsgId)
    const message = messages.get(number)
    message.alive++
    message.invoked = true
    this.#sends++
    return number
  }

  failed(session: string, number: number): void {
    this.session(session).get(number).alive--
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
    const message = messages.get(number)
    if (message.receivedAt === 0) {
      message.receivedAt = line
      message.receivedUnsent = !message.invoked
    }
    return number
  }

  reassigned() {
    return this.#reassigned.check('reassigned', 'acknowledged or received messages')
  }

  /** Call once, after the last line. */
  phantoms() {
    for (const messages of this.#sessions.values()) {
      for (const message of messages.all()) {
        const { receivedAt: line, receivedUnsent, alive } = message
        if (line === 0) continue
        this.#phantoms.judged++
        if (this.#sends === 0) this.#phantoms.undecided(() => 'no send is recorded')
        else if (receivedUnsent || alive === 0) {
          const why = receivedUnsent ? 'it was not sent before' : 'every send of it failed'
          const what = `${messageName(message)} in ${quote(messages.session)}`
          this.#phantoms.bad(() => `line ${line}: ${what} was received, but ${why}`)
        }
      }
    }
    return this.#phantoms.check('phantoms', 'received messages')
  }

  #assign(messages: SessionMessages, number: number, msgid: number, line: number): void {
    this.#reassigned.judged++
    const conflict = messages.assign(number, msgid)
    if (conflict === undefined) return
    const message = messages.get(number)
    const what = `msgid ${msgid} of ${quote(messages.session)}`
    this.#reassigned.bad(() => {
      const against =
        conflict.other === message
          ? `which had msgid ${message.msgid}`
          : `but that msgid was given to ${messageName(conflict.other)}`
      return `line ${line}: ${what} for ${messageName(message)}, ${against}`
    })
  }
}

/** How a message is named in examples. */
export function messageName(message: Message): string {
  const { uid, deviceId, clientMsgId } = message
  return `message ${clientMsgId} of ${quote(deviceId === '' ? uid : `${uid}/${deviceId}`)}`
}
