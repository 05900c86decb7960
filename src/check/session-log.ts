import type { Model, Operation } from './linearizability.ts'
import { PagedNumbers } from './paged-numbers.ts'

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

/**
 * One session as a log: a message is appended once, as latest + 1, however often it is sent; every
 * send of it answers that msgid; `latest` answers the last one. `duplicate: false` says that this
 * very send appended it; `true` may be either, for a send may repeat itself inside.
 *
 * What somebody has received is in the log by then. Where `latest` is read, that is an operation of
 * its own, which answers at that line that the latest msgid is at least this one.
 *
 * Sends of unknown outcome are what makes such histories hard, so they are reduced first, without
 * changing the answer. A message of which some send or some receiver got the msgid can only be
 * appended as that. Of the others nobody ever learns the msgid, so they are interchangeable, and it
 * is enough to use them in the order of their first call. The state is then just the latest msgid.
 *
 * @param received message → how it was received; called only where it matters.
 */
export function prepareSessionLog(
  sends: readonly SendRecord[],
  reads: readonly LatestRecord[],
  received: () => ReadonlyMap<number, Receipt> = () => new Map()
): Prepared<number, LogInput> {
  const byMsgid = new Map<number, SendRecord>()
  const taken = new Set<number>()
  const byMessage = new Map<number, SendRecord>()
  for (const send of sends) {
    if (send.msgid === 0) continue
    const twin = byMessage.get(send.message)
    if (twin !== undefined && twin.msgid !== send.msgid) {
      return { refused: `${where(twin)} and ${where(send)}: one message with two msgids` }
    }
    const rival = byMsgid.get(send.msgid)
    if (rival !== undefined && rival.message !== send.message) {
      return { refused: `${where(rival)} and ${where(send)}: two messages with one msgid` }
    }
    byMessage.set(send.message, send)
    byMsgid.set(send.msgid, send)
    taken.add(send.msgid)
  }
  const operations: Operation<LogInput>[] = []
  for (const { call, return: end, msgid } of reads) {
    operations.push({ call, return: end, input: { kind: 'latest', msgid } })
  }
  const firstUnknown = new Map<number, SendRecord>()
  for (const send of sends) {
    const { call, return: end, msgid, duplicate, message } = send
    if (msgid === 0) {
      const first = firstUnknown.get(message)
      if (first === undefined || call < first.call) firstUnknown.set(message, send)
    } else {
      operations.push({ call, return: end, input: { kind: 'append', msgid, fresh: !duplicate } })
    }
  }
  const unknown = [...firstUnknown.values()].sort((a, b) => a.call - b.call)
  const receipts = unknown.length > 0 || reads.length > 0 ? received() : new Map()
  for (const { msgid } of receipts.values()) taken.add(msgid)
  for (const { call, message } of unknown) operations.push(unknownSend(call, message))
  if (reads.length > 0) {
    // Between two lines, where nothing else is.
    for (const { msgid, line } of receipts.values()) {
      operations.push({ call: line - 0.5, return: line - 0.25, input: { kind: 'seen', msgid } })
    }
  }
  return { operations, model: sessionLog(taken) }

  function unknownSend(call: number, message: number): Operation<LogInput> {
    const end = Number.POSITIVE_INFINITY
    const answered = byMessage.get(message)?.msgid
    if (answered !== undefined) {
      return { call, return: end, input: { kind: 'append', msgid: answered, fresh: false } }
    }
    const receipt = receipts.get(message)
    if (receipt === undefined) {
      return { call, return: end, input: { kind: 'append-unseen' }, chain: 0 }
    }
    const { msgid, line } = receipt
    // Nothing else can have appended it; what is received before it is sent other judges see.
    const by = line > call ? line : end
    return { call, return: by, input: { kind: 'append', msgid, fresh: false } }
  }
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
