import { Authority } from './authority.ts'
import type { Check } from './findings.ts'
import { type HistoryLine, invalidLine, nemesis } from './history.ts'
import { Inboxes } from './inboxes.ts'
import { Messages } from './messages.ts'
import {
  keyOf,
  type OperationName,
  Operations,
  operationNames,
  type Pending
} from './operations.ts'
import type { PresenceInput } from './presence.ts'
import { ReplicatedState } from './replicated-state.ts'
import {
  type RegisterRequest,
  readEpoch,
  readLatest,
  readLeader,
  readLookup,
  readMember,
  readOwner,
  readReceive,
  readRegister,
  readSendRequest,
  readSendResult,
  readSequence,
  readUnregister,
  readUnregisterResult,
  type UnregisterRequest
} from './values.ts'

/**
 * The judges, in the order in which their checks are reported; docs/history-format.md says what
 * each one demands.
 */
export const judgeNames = [
  'loss',
  'duplicates',
  'order',
  'contiguity',
  'reassigned',
  'phantoms',
  'session-log',
  'presence',
  'sequences',
  'ownership',
  'epochs',
  'terms',
  'leaders'
] as const
export type JudgeName = (typeof judgeNames)[number]

export type Verdict = 'pass' | 'fail' | 'unknown'

export interface JudgeOptions {
  /** Judges to leave out, for a workload that does not record what they need. */
  readonly without?: readonly JudgeName[]
  /**
   * Steps of a linearizability search over one key before it answers `unknown`. Default 2,000,000:
   * a few seconds.
   */
  readonly stepsPerKey?: number
  /** The same over all keys. Default 20,000,000. */
  readonly stepsTotal?: number
}

export interface Judgement {
  /** `fail` if any check is false; else `unknown` if any is, or if nothing at all was judged. */
  readonly verdict: Verdict
  readonly checks: readonly Check<JudgeName>[]
  readonly lines: number
  /** Lines per `f` that no judge knows (the nemesis aside). */
  readonly ignored: Readonly<Record<string, number>>
}

/**
 * Judges a history, read once, in order.
 * @throws HISTORY_INVALID with fact `line` (counted from 1) when a line breaks the format.
 */
export function judge(lines: Iterable<HistoryLine>, options: JudgeOptions = {}): Judgement {
  const court = new Court(options)
  for (const line of lines) court.take(line)
  return court.judgement(options.without ?? [])
}

/** Of a send, the number of its message within the session. */
type Request = number | RegisterRequest | UnregisterRequest | undefined

const ignoredNamesMax = 100
/** A search takes two steps for an operation that fits at once. */
const stepsPerLine = 8
const operations: ReadonlySet<string> = new Set(operationNames)

/** Reads the lines and hands what they say to the judges. */
class Court {
  readonly #messages = new Messages()
  readonly #inboxes = new Inboxes(this.#messages)
  readonly #authority = new Authority()
  readonly #state: ReplicatedState
  /** Whether a long history may be searched for longer. */
  readonly #grows: boolean
  readonly #operations = new Operations<Request>()
  readonly #ignored = new Map<string, number>()
  #number = 0
  #time = 0

  constructor(options: JudgeOptions) {
    const { stepsPerKey = 2_000_000, stepsTotal } = options
    this.#grows = stepsTotal === undefined
    this.#state = new ReplicatedState({ stepsPerKey, stepsTotal: stepsTotal ?? 20_000_000 })
  }

  take(line: HistoryLine): void {
    this.#number++
    if (line.time < this.#time) throw invalidLine(this.#number, '`time` goes back')
    this.#time = line.time
    if (line.process === nemesis) return
    if (!operations.has(line.f)) this.#observe(line)
    else if (line.type === 'invoke') this.#invoke(line)
    else this.#end(line)
  }

  judgement(without: readonly JudgeName[]): Judgement {
    if (this.#grows) this.#state.allow(stepsPerLine * this.#number)
    for (const pending of this.#operations.unfinished()) this.#unknown(pending)
    const judges: Record<JudgeName, () => Check<JudgeName>> = {
      loss: () => this.#inboxes.loss(),
      duplicates: () => this.#inboxes.duplicates(),
      order: () => this.#inboxes.order(),
      contiguity: () => this.#inboxes.contiguity(),
      reassigned: () => this.#messages.reassigned(),
      phantoms: () => this.#messages.phantoms(),
      'session-log': () =>
        this.#state.sessionsCheck(key => this.#messages.session(key).receivedAs()),
      presence: () => this.#state.presenceCheck(),
      sequences: () => this.#state.sequencesCheck(),
      ownership: () => this.#authority.ownership(),
      epochs: () => this.#authority.epochs(),
      terms: () => this.#authority.terms(),
      leaders: () => this.#authority.leaders()
    }
    const checks = judgeNames.filter(name => !without.includes(name)).map(name => judges[name]())
    return {
      verdict: verdictOf(checks),
      checks,
      lines: this.#number,
      ignored: Object.fromEntries(this.#ignored)
    }
  }

  #observe(line: HistoryLine): void {
    const number = this.#number
    switch (line.f) {
      case 'receive':
        this.#inboxes.receive(readReceive(this.#ok(line), number), number)
        break
      case 'member':
        this.#inboxes.member(readMember(this.#ok(line), number))
        break
      case 'owner':
        this.#authority.owner(readOwner(this.#ok(line), number), number)
        break
      case 'leader':
        this.#authority.leader(readLeader(this.#ok(line), number), line.process, number)
        break
      case 'epoch':
        this.#authority.epoch(readEpoch(this.#ok(line), number), line.process, number)
        break
      default:
        this.#ignore(line.f)
    }
  }

  #ignore(f: string): void {
    const name = this.#ignored.has(f) || this.#ignored.size < ignoredNamesMax ? f : 'other'
    this.#ignored.set(name, (this.#ignored.get(name) ?? 0) + 1)
  }

  #ok(line: HistoryLine): HistoryLine {
    if (line.type !== 'ok') throw invalidLine(this.#number, `${line.f} can only be \`ok\``)
    return line
  }

  #invoke(line: HistoryLine): void {
    const number = this.#number
    switch (line.f as OperationName) {
      case 'send': {
        const request = readSendRequest(line, number)
        const message = this.#messages.sent(keyOf(line, number), request)
        this.#operations.invoke(line, number, message)
        this.#inboxes.device(request.uid, request.deviceId)
        break
      }
      case 'register':
        this.#operations.invoke(line, number, readRegister(line, number))
        break
      case 'unregister':
        this.#operations.invoke(line, number, readUnregister(line, number))
        break
      case 'latest':
      case 'lookup':
      case 'sequence.next':
        this.#operations.invoke(line, number, undefined)
    }
  }

  #end(line: HistoryLine): void {
    const pending = this.#operations.end(line, this.#number)
    if (line.type === 'info') this.#unknown(pending)
    else if (line.type === 'ok') this.#succeed(pending, line)
    else if (pending.f === 'send') {
      this.#messages.failed(pending.key, pending.request as number)
    }
  }

  #succeed(pending: Pending<Request>, line: HistoryLine): void {
    const number = this.#number
    const { call, key } = pending
    const times = { call, return: number }
    switch (pending.f) {
      case 'send': {
        const { msgid, duplicate } = readSendResult(line, number)
        const message = pending.request as number
        this.#messages.acked(key, message, msgid, number)
        this.#state.send(key, { ...times, message, msgid, duplicate })
        break
      }
      case 'latest':
        this.#state.latest(key, { ...times, msgid: readLatest(line, number).msgid })
        break
      case 'lookup': {
        const input: PresenceInput = { kind: 'lookup', ...readLookup(line, number) }
        this.#state.presence(key, { ...times, input })
        break
      }
      case 'register':
        this.#state.presence(key, { ...times, input: registerOf(pending) })
        break
      case 'unregister': {
        const { removed } = readUnregisterResult(line, number)
        this.#state.presence(key, { ...times, input: unregisterOf(pending, removed) })
        break
      }
      case 'sequence.next':
        this.#state.sequence(key, { ...times, input: readSequence(line, number) })
        break
    }
  }

  #unknown(pending: Pending<Request>): void {
    const { call, key } = pending
    const times = { call, return: Number.POSITIVE_INFINITY }
    if (pending.f === 'send') {
      const message = pending.request as number
      this.#state.send(key, { ...times, message, msgid: 0, duplicate: false })
    } else if (pending.f === 'register') {
      this.#state.presence(key, { ...times, input: registerOf(pending) })
    } else if (pending.f === 'unregister') {
      this.#state.presence(key, { ...times, input: unregisterOf(pending, false) })
    }
  }
}

function registerOf(pending: Pending<Request>): PresenceInput {
  return { kind: 'register', ...(pending.request as RegisterRequest) }
}

function unregisterOf(pending: Pending<Request>, removed: boolean): PresenceInput {
  return { kind: 'unregister', removed, ...(pending.request as UnregisterRequest) }
}

function verdictOf(checks: readonly Check[]): Verdict {
  if (checks.some(check => check.ok === false)) return 'fail'
  if (checks.some(check => check.ok === 'unknown')) return 'unknown'
  return checks.some(check => check.judged > 0) ? 'pass' : 'unknown'
}
