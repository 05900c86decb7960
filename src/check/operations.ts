import { type HistoryLine, invalidLine } from './history.ts'

export const operationNames = [
  'send',
  'latest',
  'register',
  'unregister',
  'lookup',
  'sequence.next'
] as const
export type OperationName = (typeof operationNames)[number]

/** An operation between its invocation and its end. */
export interface Pending<Request> {
  readonly f: OperationName
  readonly key: string
  readonly request: Request
  /** Line of the invocation. */
  readonly call: number
}

/**
 * Pairs invocations with their ends. A process has one operation at a time; `info` or the end of
 * the history leave it open for ever.
 */
export class Operations<Request> {
  readonly #pending = new Map<string, Pending<Request>>()

  /** @throws HISTORY_INVALID when the process has not ended its last operation. */
  invoke(line: HistoryLine, number: number, request: Request): Pending<Request> {
    const before = this.#pending.get(line.process)
    if (before !== undefined) {
      throw invalidLine(number, `the process has not ended its operation of line ${before.call}`)
    }
    const f = line.f as OperationName
    const pending: Pending<Request> = { f, key: keyOf(line, number), request, call: number }
    this.#pending.set(line.process, pending)
    return pending
  }

  /** @throws HISTORY_INVALID when the line does not end what its process invoked last. */
  end(line: HistoryLine, number: number): Pending<Request> {
    const pending = this.#pending.get(line.process)
    if (pending === undefined || pending.f !== line.f || pending.key !== line.key) {
      throw invalidLine(number, `${line.type} of a ${line.f} that its process did not invoke last`)
    }
    this.#pending.delete(line.process)
    return pending
  }

  /** What never ended, in order of invocation. */
  unfinished(): Iterable<Pending<Request>> {
    return this.#pending.values()
  }
}

/** @throws HISTORY_INVALID when the line has no key. */
export function keyOf({ key, f }: HistoryLine, number: number): string {
  if (key === null) throw invalidLine(number, `${f} without a key`)
  return key
}
