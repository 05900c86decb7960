import { type Check, Findings, quote } from './findings.ts'
import { linearize, type Model, type Operation, type Stuck } from './linearizability.ts'
import { type PresenceInput, preparePresence } from './presence.ts'
import { prepareSequence } from './sequence.ts'
import {
  type LatestRecord,
  prepareSessionLog,
  type Receipt,
  type SendRecord,
  SendRecords
} from './session-log.ts'
import type { SequenceResult } from './values.ts'

/**
 * What a linearizability search may cost; a step is one look at one operation, about a microsecond.
 */
export interface Budget {
  readonly stepsPerKey: number
  readonly stepsTotal: number
}

interface SessionRecords {
  readonly sends: SendRecords
  readonly reads: LatestRecord[]
}

/**
 * Judges the linearizability of the router's operations, key by key: a history is linearizable if
 * each key's part is (Herlihy and Wing).
 */
export class ReplicatedState {
  readonly #sessions = new Map<string, SessionRecords>()
  readonly #users = new Map<string, Operation<PresenceInput>[]>()
  readonly #sequences = new Map<string, Operation<SequenceResult>[]>()
  readonly #stepsPerKey: number
  #stepsLeft: number

  constructor(budget: Budget) {
    this.#stepsPerKey = budget.stepsPerKey
    this.#stepsLeft = budget.stepsTotal
  }

  /** All keys together may take that many steps at the least. */
  allow(stepsTotal: number): void {
    this.#stepsLeft = Math.max(this.#stepsLeft, stepsTotal)
  }

  send(session: string, record: SendRecord): void {
    this.#session(session).sends.add(record)
  }

  latest(session: string, record: LatestRecord): void {
    this.#session(session).reads.push(record)
  }

  presence(uid: string, operation: Operation<PresenceInput>): void {
    push(this.#users, uid, operation)
  }

  sequence(name: string, operation: Operation<SequenceResult>): void {
    push(this.#sequences, name, operation)
  }

  /** @param receiptsOf what of a session was received: message → how. */
  sessionsCheck(
    receiptsOf: (session: string) => ReadonlyMap<number, Receipt>
  ): Check<'session-log'> {
    const findings = new Findings()
    for (const [session, records] of this.#sessions) {
      const { reads } = records
      const sends = records.sends.all()
      findings.judged += sends.length + reads.length
      const prepared = prepareSessionLog(sends, reads, receiptsOf(session))
      if ('refused' in prepared) findings.bad(() => `${quote(session)}: ${prepared.refused}`)
      else this.#search(findings, session, prepared.operations, prepared.model)
    }
    return findings.check('session-log', 'sends and reads of latest')
  }

  presenceCheck(): Check<'presence'> {
    const findings = new Findings()
    for (const [uid, operations] of this.#users) {
      findings.judged += operations.length
      const prepared = preparePresence(operations)
      this.#search(findings, uid, prepared.operations, prepared.model)
    }
    return findings.check('presence', 'presence operations')
  }

  sequencesCheck(): Check<'sequences'> {
    const findings = new Findings()
    for (const [name, operations] of this.#sequences) {
      findings.judged += operations.length
      const prepared = prepareSequence(operations)
      this.#search(findings, name, prepared.operations, prepared.model)
    }
    return findings.check('sequences', 'requests for sequence numbers')
  }

  #search<State, Input>(
    findings: Findings,
    key: string,
    operations: readonly Operation<Input>[],
    model: Model<State, Input>
  ): void {
    const search = linearize(operations, model, Math.min(this.#stepsPerKey, this.#stepsLeft))
    this.#stepsLeft -= search.steps
    if (search.result === 'violation') {
      findings.bad(() => `${quote(key)}: ${describe(search.stuck, operations, model)}`)
    } else if (search.result === 'unknown') {
      const size = `${operations.length} operations`
      findings.undecided(() => `${quote(key)}: gave up after ${search.steps} steps, ${size}`)
    }
  }

  #session(session: string): SessionRecords {
    let records = this.#sessions.get(session)
    if (records === undefined) {
      records = { sends: new SendRecords(), reads: [] }
      this.#sessions.set(session, records)
    }
    return records
  }
}

function describe<State, Input>(
  stuck: Stuck,
  operations: readonly Operation<Input>[],
  model: Model<State, Input>
): string {
  const candidates = stuck.candidates.map(position => {
    const { call, return: end, input } = operations[position]!
    return `lines ${call}–${end} ${model.show(input)}`
  })
  const state = stuck.state === '' ? 'nothing' : stuck.state.replaceAll('\n', ' ')
  const progress = `at ${quote(state)} after ${stuck.linearized} of ${stuck.known}`
  return `${progress} none of these can come next: ${candidates.join(' · ')}`
}

function push<V>(lists: Map<string, V[]>, key: string, value: V): void {
  const list = lists.get(key)
  if (list === undefined) lists.set(key, [value])
  else list.push(value)
}
