import type { Model, Operation } from './linearizability.ts'
import { PagedNumbers } from './paged-numbers.ts'

const never = Number.POSITIVE_INFINITY

/** A send that did not certainly fail. */
export interface SendRecord {
  readonly call: number
  /** Infinity = outcome unknown. */
  readonly return: number
  /** Which message, as a number within the session. */
  readonly message: number
  /** 0 = unknown. */
  readonly msgid: number
  readonly duplicate: boolean
}

/**
 * The sends of one session, kept in columns until they are judged: as objects, the millions of a long run would take several times the
 * memory.
 */
export class SendRecords {
  #count = 0
  readonly #calls = new PagedNumbers()
  readonly #returns = new PagedNumbers()
  readonly #messages = new PagedNumbers()
  readonly #msgids = new PagedNumbers()
  readonly #duplicates = new Set<number>()

  add(send: SendRecord): void {
    const index = this.#count++
    this.#calls.set(index, send.call)
    this.#returns.set(index, send.return)
    this.#messages.set(index, send.message)
    this.#msgids.set(index, send.msgid)
    if (send.duplicate) this.#duplicates.add(index)
  }

  /** In the order in which they were added. */
  all(): SendRecord[] {
    return Array.from({ length: this.#count }, (_, index) => ({
      call: this.#calls.get(index)!,
      return: this.#returns.get(index)!,
      message: this.#messages.get(index)!,
      msgid: this.#msgids.get(index)!,
      duplicate: this.#duplicates.has(index)
    }))
  }
}

export interface LatestRecord {
  readonly call: number
  readonly return: number
  readonly msgid: number
}

/** What became of a message as its receivers saw it. */
export interface Receipt {
  readonly msgid: number
  /** Line of the first receive. */
  readonly line: number
}

type LogInput =
  | { readonly kind: 'append'; readonly msgid: number; readonly fresh: boolean }
  | { readonly kind: 'append-unseen' }
  | { readonly kind: 'latest' | 'seen'; readonly msgid: number }

/** A problem for `linearize`, or what is wrong without any search. */
export type Prepared<State, Input> =
  | { readonly operations: readonly Operation<Input>[]; readonly model: Model<State, Input> }
  | { readonly refused: string }

/** The sends of one message. */
interface Sends {
  readonly firstCall: number
  /** First call of one of unknown outcome; Infinity = there is none. */
  readonly unknownSince: number
  /** The one that got the msgid first. */
  readonly answered: SendRecord | undefined
  /** One that certainly appended the message. */
  readonly fresh: SendRecord | undefined
}

/**
 * One session as a log: a message is appended once, as latest + 1, however often it is sent; every
 * send of it answers that msgid; `latest` answers the last one. `duplicate: false` says that this
 * very send appended it; `true` may be either, for a send may repeat itself inside.
 *
 * What somebody has received is in the log by then: the send that appended it had done so, if there
 * is but one that can have; else an operation at that line finds it there.
 *
 * Sends of unknown outcome are what makes such histories hard, so they are reduced first, without
 * changing the answer. One of a message that another send certainly appended did nothing. Where some
 * send or some receiver got the msgid, the message can only be appended as that, and once it must
 * have been, nothing more can come of the send. Of the others nobody ever learns the msgid, so they
 * are interchangeable, and it is enough to use them in the order of their first call. The state is
 * then just the latest msgid.
 *
 * @param received message → how it was received.
 */
export function prepareSessionLog(
  sends: readonly SendRecord[],
  reads: readonly LatestRecord[],
  received: ReadonlyMap<number, Receipt>
): Prepared<number, LogInput> {
  const byMessage = new Map<number, Sends>()
  const byMsgid = new Map<number, SendRecord>()
  for (const send of sends) {
    const before = byMessage.get(send.message)
    const twin = before?.answered
    if (send.msgid > 0) {
      if (twin !== undefined && twin.msgid !== send.msgid) {
        return { refused: `${where(twin)} and ${where(send)}: one message with two msgids` }
      }
      const rival = byMsgid.get(send.msgid)
      if (rival !== undefined && rival.message !== send.message) {
        return { refused: `${where(rival)} and ${where(send)}: two messages with one msgid` }
      }
      byMsgid.set(send.msgid, send)
    }
    byMessage.set(send.message, withSend(before, send))
  }
  const operations: Operation<LogInput>[] = []
  for (const { call, return: end, msgid } of reads) {
    operations.push({ call, return: end, input: { kind: 'latest', msgid } })
  }
  for (const { call, return: end, message, msgid, duplicate } of sends) {
    if (msgid === 0) continue
    const line = duplicate ? never : lineAfter(call, received.get(message))
    const input = { kind: 'append', msgid, fresh: !duplicate } as const
    operations.push({ call, return: Math.min(end, line), input })
  }
  const unseen: number[] = []
  for (const [message, one] of byMessage) {
    const receipt = received.get(message)
    if (one.answered !== undefined || receipt !== undefined) {
      operations.push(...furtherOperations(one, receipt))
    } else unseen.push(one.unknownSince)
  }
  for (const call of unseen.sort((a, b) => a - b)) {
    operations.push({ call, return: never, input: { kind: 'append-unseen' }, chain: 0 })
  }
  const taken = new Set(byMsgid.keys())
  for (const { msgid } of received.values()) taken.add(msgid)
  return { operations, model: sessionLog(taken) }
}

function withSend(before: Sends | undefined, send: SendRecord): Sends {
  const { firstCall = never, unknownSince = never, answered, fresh } = before ?? {}
  const one = { firstCall: Math.min(firstCall, send.call), unknownSince, answered, fresh }
  if (send.msgid === 0) return { ...one, unknownSince: Math.min(unknownSince, send.call) }
  const first = answered === undefined || send.return < answered.return ? send : answered
  return { ...one, answered: first, fresh: send.duplicate ? fresh : send }
}

/** Those of a message of known msgid that are not the operation of one send that was answered. */
function* furtherOperations(
  { firstCall, unknownSince, answered, fresh }: Sends,
  receipt: Receipt | undefined
): Generator<Operation<LogInput>> {
  const msgid = (answered ?? receipt)!.msgid
  const answeredAt = answered?.return ?? never
  const line = lineAfter(firstCall, receipt)
  // Between two lines, where nothing else is.
  const doneAt = Math.min(answeredAt + 0.25, line)
  const unknown = fresh === undefined && unknownSince < doneAt
  if (unknown) {
    const input = { kind: 'append', msgid, fresh: false } as const
    yield { call: unknownSince, return: doneAt, input }
  }
  const held = unknown || (fresh !== undefined && fresh.call < line)
  if (line < answeredAt && !held) {
    yield { call: line - 0.5, return: line - 0.25, input: { kind: 'seen', msgid } }
  }
}

/** What is received before it is sent is not for this judge. */
function lineAfter(call: number, receipt: Receipt | undefined): number {
  return receipt !== undefined && receipt.line > call ? receipt.line : never
}

function sessionLog(taken: ReadonlySet<number>): Model<number, LogInput> {
  return {
    initial: 0,
    step(latest, input) {
      switch (input.kind) {
        case 'latest':
          return latest === input.msgid ? latest : undefined
        case 'seen':
          return latest >= input.msgid ? latest : undefined
        case 'append':
          if (latest >= input.msgid) return input.fresh ? undefined : latest
          return latest + 1 === input.msgid ? input.msgid : undefined
        case 'append-unseen':
          return taken.has(latest + 1) ? undefined : latest + 1
      }
    },
    key: latest => `latest ${latest}`,
    staysIdle: () => true,
    show(input) {
      if (input.kind === 'latest') return `latest → ${input.msgid}`
      if (input.kind === 'seen') return `received ${input.msgid}`
      if (input.kind === 'append')
        return `send → ${input.msgid}${input.fresh ? '' : ' (duplicate)'}`
      return 'send → unknown'
    }
  }
}

function where(send: SendRecord): string {
  return `lines ${send.call}–${send.return}`
}
