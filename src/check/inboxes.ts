import { Findings, quote } from './findings.ts'
import { invalidLine } from './history.ts'
import type { Messages, SessionMessages } from './messages.ts'
import { RunSet } from './run-set.ts'
import type { Member, Receive } from './values.ts'

/** What one device holds of one session. */
interface Inbox {
  readonly msgids: RunSet
  /** Numbers of the messages within the session. */
  readonly messages: RunSet
}

const nothing = new RunSet()

/** Judges `loss`, `duplicates`, `order` and `contiguity` at every device. */
export class Inboxes {
  readonly #messages: Messages
  /** session → device → inbox */
  readonly #inboxes = new Map<string, Map<string, Inbox>>()
  /** session → device → declaration */
  readonly #members = new Map<string, Map<string, Member>>()
  /** uid → device name → key of the device */
  readonly #devices = new Map<string, Map<string, string>>()
  /** device name → the one uid that has it, undefined when several have */
  readonly #users = new Map<string, string | undefined>()
  readonly #loss = new Findings()
  readonly #duplicates = new Findings()
  readonly #order = new Findings()
  readonly #contiguity = new Findings()
  #deliveriesRecorded = false

  constructor(messages: Messages) {
    this.#messages = messages
  }

  member(member: Member): void {
    this.#deliveriesRecorded = true
    const device = this.device(member.uid, member.device)
    within(this.#members, member.session).set(device, member)
  }

  /** Notes that the user has this device, so that p2p messages are expected there. */
  device(uid: string, device: string): string {
    const devices = within(this.#devices, uid)
    let key = devices.get(device)
    if (key === undefined) {
      key = `${uid}\n${device}`
      devices.set(device, key)
      this.#users.set(device, this.#users.has(device) ? undefined : uid)
    }
    return key
  }

  receive(receive: Receive, line: number): void {
    this.#deliveriesRecorded = true
    const uid = receive.uid ?? this.#users.get(receive.device)
    if (uid === undefined) {
      throw invalidLine(line, 'whose device this is cannot be told: give `uid`')
    }
    const device = this.device(uid, receive.device)
    const number = this.#messages.received(receive, line)
    const inboxes = within(this.#inboxes, receive.session)
    let inbox = inboxes.get(device)
    if (inbox === undefined) {
      inbox = { msgids: new RunSet(), messages: new RunSet() }
      inboxes.set(device, inbox)
    }
    this.#accept(inbox, receive, number, () => `line ${line}: ${place(receive.session, device)}`)
  }

  duplicates() {
    return this.#duplicates.check('duplicates', 'receives')
  }

  order() {
    return this.#order.check('order', 'receives')
  }

  /** Call once, after the last line. */
  contiguity() {
    for (const [session, inboxes] of this.#inboxes) {
      const members = this.#members.get(session)
      for (const [device, { msgids }] of inboxes) {
        this.#contiguity.judged++
        const from = members?.get(device)?.from ?? msgids.first!
        const all = new RunSet()
        all.append(from, msgids.last!)
        for (const [first, last] of all.without(msgids, from, msgids.last!)) {
          this.#contiguity.bad(() => `${place(session, device)}: ${span(first, last)} missing`)
        }
      }
    }
    return this.#contiguity.check('contiguity', 'inboxes')
  }

  /** Call once, after the last line. */
  loss() {
    for (const messages of this.#messages.sessions()) {
      if (messages.acked.size > 0) this.#judgeLoss(messages)
    }
    return this.#loss.check('loss', 'pairs of acknowledged message and device')
  }

  #accept(inbox: Inbox, receive: Receive, number: number, where: () => string): void {
    const { msgid } = receive
    this.#duplicates.judged++
    this.#order.judged++
    const highest = inbox.msgids.last ?? 0
    const fresh = inbox.msgids.add(msgid)
    if (!fresh) {
      this.#duplicates.bad(() => `${where()} got msgid ${msgid} again`)
      return
    }
    if (number >= 0 && !inbox.messages.add(number)) {
      const message = this.#messages.session(receive.session).nameOf(number)
      this.#duplicates.bad(() => `${where()} got ${message} again, now as msgid ${msgid}`)
    }
    if (msgid < highest) {
      this.#order.bad(() => `${where()} got msgid ${msgid} after ${highest}`)
    }
  }

  #judgeLoss(messages: SessionMessages): void {
    const { session, acked } = messages
    const expected = this.#deliveriesRecorded ? this.#expected(session) : []
    if (expected.length === 0) {
      this.#loss.judged += acked.size
      this.#loss.undecided(() => `${quote(session)}: no device is known to expect it`, acked.size)
      return
    }
    const inboxes = this.#inboxes.get(session)
    for (const device of expected) {
      const member = this.#members.get(session)?.get(device)
      const from = member?.from ?? 1
      const until = member?.until ?? Number.MAX_SAFE_INTEGER
      this.#loss.judged += acked.size
      const held = inboxes?.get(device)?.msgids ?? nothing
      for (const [first, last] of acked.without(held, from, until)) {
        const message = messages.nameAt(first)
        const what = message === undefined ? '' : ` (${message})`
        const lost = `${span(first, last)}${what} was acknowledged, never received`
        this.#loss.bad(() => `${place(session, device)}: ${lost}`, last - first + 1)
      }
    }
  }

  /** The declared members, or all devices of the two users. */
  #expected(session: string): string[] {
    const members = this.#members.get(session)
    if (members !== undefined) return [...members.keys()]
    const devices: string[] = []
    for (const uid of p2pUsers(session)) devices.push(...(this.#devices.get(uid)?.values() ?? []))
    return devices
  }
}

/** The two users of `p2p/A/B` (`%2F` and `%25` unescaped), nobody for other sessions. */
function p2pUsers(session: string): readonly string[] {
  const parts = session.split('/')
  if (parts.length !== 3 || parts[0] !== 'p2p') return []
  const [a, b] = [unescaped(parts[1]!), unescaped(parts[2]!)]
  return a === b ? [a] : [a, b]
}

function unescaped(text: string): string {
  return text.replaceAll('%2F', '/').replaceAll('%25', '%')
}

function within<V>(outer: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let inner = outer.get(key)
  if (inner === undefined) {
    inner = new Map()
    outer.set(key, inner)
  }
  return inner
}

function place(session: string, device: string): string {
  return `${quote(device.replace('\n', '/'))} in ${quote(session)}`
}

function span(first: number, last: number): string {
  return first === last ? `msgid ${first}` : `msgids ${first}–${last}`
}
