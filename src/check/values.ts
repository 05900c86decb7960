import { type HistoryLine, invalidLine, isName } from './history.ts'

/** `send`, invoke. The three fields and the session are the message's identity. */
export interface SendRequest {
  readonly uid: string
  readonly deviceId: string
  readonly clientMsgId: number
}

/** `send`, ok. */
export interface SendResult {
  readonly msgid: number
  /** The message had been appended by an earlier attempt. */
  readonly duplicate: boolean
}

/** `receive`: a device's application got a message for the first time. */
export interface Receive {
  /** The receiving user; without it, `device` must have been seen with one user only. */
  readonly uid?: string
  readonly device: string
  readonly session: string
  readonly msgid: number
  readonly clientMsgId: number
  readonly sender: string
  /** The sender's deviceId; without it, clientMsgId must be unique over the sender's devices. */
  readonly senderDevice?: string
}

/** `member`: this device has to receive the session's messages. */
export interface Member {
  readonly session: string
  readonly uid: string
  readonly device: string
  /** First msgid it must hold, and where contiguity starts. */
  readonly from?: number
  /** Last msgid it must hold. */
  readonly until?: number
}

/** `latest`, ok. */
export interface LatestResult {
  readonly msgid: number
}

/** `register`, invoke. */
export interface RegisterRequest {
  readonly device: string
  /** Anything that tells this connection from all others. */
  readonly connection: string
  readonly connSeq: number
  /** One `mobile` and one `desktop` per user; a newcomer replaces the other. */
  readonly class?: string
}

/** `unregister`, invoke. */
export interface UnregisterRequest {
  readonly device: string
  readonly connection: string
}

/** `unregister`, ok. */
export interface UnregisterResult {
  readonly removed: boolean
}

/** `lookup`, ok: all of the user's routes at one instant, in any order. */
export interface LookupResult {
  readonly routes: readonly { readonly device: string; readonly connection: string }[]
}

/** `sequence.next`, ok: the numbers first … first + count − 1. */
export interface SequenceResult {
  readonly first: number
  readonly count: number
}

/** `owner`: the set serves the slot under this slotEpoch, as seen at this instant. */
export interface Owner {
  readonly slot: number
  readonly set: string
  readonly epoch: number
  /** false: serves until its line with `true`. true: serves no longer. Absent: a mere sighting. */
  readonly released?: boolean
}

/** `leader`: the line's process saw or became the leader. */
export interface Leader {
  readonly group: string
  readonly term: number
  readonly leader: string
}

/** `epoch`: the line's process adopted a routing table. */
export interface TableEpoch {
  readonly epoch: number
  /** The table's content hash. */
  readonly hash?: string
}

export function readSendRequest(line: HistoryLine, number: number): SendRequest {
  const fields = new Fields(line, number)
  return {
    uid: fields.name('uid'),
    deviceId: fields.name('deviceId'),
    clientMsgId: fields.integer('clientMsgId', 0)
  }
}

export function readSendResult(line: HistoryLine, number: number): SendResult {
  const fields = new Fields(line, number)
  return { msgid: fields.integer('msgid', 1), duplicate: fields.boolean('duplicate') }
}

export function readReceive(line: HistoryLine, number: number): Receive {
  const fields = new Fields(line, number)
  const uid = fields.optional('uid', isName)
  const senderDevice = fields.optional('senderDevice', isName)
  return {
    device: fields.name('device'),
    session: fields.name('session'),
    msgid: fields.integer('msgid', 1),
    clientMsgId: fields.integer('clientMsgId', 0),
    sender: fields.name('sender'),
    ...(uid === undefined ? undefined : { uid }),
    ...(senderDevice === undefined ? undefined : { senderDevice })
  }
}

export function readMember(line: HistoryLine, number: number): Member {
  const fields = new Fields(line, number)
  const from = fields.optional('from', isPositive)
  const until = fields.optional('until', isCount)
  return {
    session: fields.name('session'),
    uid: fields.name('uid'),
    device: fields.name('device'),
    ...(from === undefined ? undefined : { from }),
    ...(until === undefined ? undefined : { until })
  }
}

export function readLatest(line: HistoryLine, number: number): LatestResult {
  return { msgid: new Fields(line, number).integer('msgid', 0) }
}

export function readRegister(line: HistoryLine, number: number): RegisterRequest {
  const fields = new Fields(line, number)
  const deviceClass = fields.optional('class', isName)
  return {
    device: fields.name('device'),
    connection: fields.name('connection'),
    connSeq: fields.integer('connSeq', 0),
    ...(deviceClass === undefined ? undefined : { class: deviceClass })
  }
}

export function readUnregister(line: HistoryLine, number: number): UnregisterRequest {
  const fields = new Fields(line, number)
  return { device: fields.name('device'), connection: fields.name('connection') }
}

export function readUnregisterResult(line: HistoryLine, number: number): UnregisterResult {
  return { removed: new Fields(line, number).boolean('removed') }
}

export function readLookup(line: HistoryLine, number: number): LookupResult {
  const routes = new Fields(line, number).list('routes')
  return {
    routes: routes.map(route => {
      const fields = new Fields({ ...line, value: route }, number)
      return { device: fields.name('device'), connection: fields.name('connection') }
    })
  }
}

export function readSequence(line: HistoryLine, number: number): SequenceResult {
  const fields = new Fields(line, number)
  const first = fields.integer('first', 0)
  const count = fields.integer('count', 1)
  if (!Number.isSafeInteger(first + count)) throw invalidLine(number, '`first` is too large')
  return { first, count }
}

export function readOwner(line: HistoryLine, number: number): Owner {
  const fields = new Fields(line, number)
  const released = fields.optional('released', isBoolean)
  return {
    slot: fields.integer('slot', 0),
    set: fields.name('set'),
    epoch: fields.integer('epoch', 0),
    ...(released === undefined ? undefined : { released })
  }
}

export function readLeader(line: HistoryLine, number: number): Leader {
  const fields = new Fields(line, number)
  return {
    group: fields.name('group'),
    term: fields.integer('term', 0),
    leader: fields.name('leader')
  }
}

export function readEpoch(line: HistoryLine, number: number): TableEpoch {
  const fields = new Fields(line, number)
  const hash = fields.optional('hash', isName)
  return { epoch: fields.integer('epoch', 0), ...(hash === undefined ? undefined : { hash }) }
}

/**
 * Reads the fields of a line's `value`; anything unexpected is HISTORY_INVALID. Unknown fields are
 * ignored.
 */
class Fields {
  readonly #values: Readonly<Record<string, unknown>>
  readonly #line: HistoryLine
  readonly #number: number

  constructor(line: HistoryLine, number: number) {
    this.#line = line
    this.#number = number
    const { value } = line
    if (typeof value !== 'object' || value === null) throw this.#wrong('value', 'an object')
    this.#values = value as Readonly<Record<string, unknown>>
  }

  name(field: string): string {
    const value = this.#values[field]
    if (!isName(value)) throw this.#wrong(field, 'a name')
    return value
  }

  integer(field: string, minimum: number): number {
    const value = this.#values[field]
    if (!isCount(value) || value < minimum) {
      throw this.#wrong(field, `an integer of at least ${minimum}`)
    }
    return value
  }

  boolean(field: string): boolean {
    const value = this.#values[field]
    if (typeof value !== 'boolean') throw this.#wrong(field, 'true or false')
    return value
  }

  list(field: string): readonly unknown[] {
    const value = this.#values[field]
    if (!Array.isArray(value)) throw this.#wrong(field, 'a list')
    return value
  }

  optional<T>(field: string, accepts: (value: unknown) => value is T): T | undefined {
    const value = this.#values[field]
    if (value === undefined || value === null) return undefined
    if (!accepts(value)) throw this.#wrong(field, 'of the documented type')
    return value
  }

  #wrong(field: string, expected: string): Error {
    const { f, type } = this.#line
    return invalidLine(this.#number, `\`${field}\` of ${f} ${type} is not ${expected}`)
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isPositive(value: unknown): value is number {
  return isCount(value) && value > 0
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}
