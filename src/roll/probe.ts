import { randomBytes } from 'node:crypto'
import { RingsetError } from '../base/errors.ts'
import { HistoryRecorder, judgementText, onlyMessages } from '../chaos/history-recorder.ts'
import { violationsOf } from '../chaos/report.ts'
import { Workload } from '../chaos/workload.ts'
import { readSecrets } from '../config/secrets.ts'
import type { RunningCluster } from '../launch/running-cluster.ts'
import { compileTable } from '../table/compile-table.ts'
import type { TableView } from '../table/table-view.ts'

/** What users would have seen. */
export interface Proof {
  readonly acked: number
  readonly lost: number
  readonly duplicated: number
  /** Operations that ended in an error at their caller, after all repetitions. */
  readonly errors: number
  /** The longest that a message took from when it was due to its acknowledgement, or to its receiver. */
  readonly longestGapMs: number
  /** Nothing was lost, doubled, out of order or refused. */
  readonly ok: boolean
  /** What was found, in words; empty when all is well. */
  readonly findings: readonly string[]
}

const usersPerSet = 3
const messagesPerUserAndSecond = 10
const messagesPerSecondMax = 200
const settleMs = 30_000
/** Nobody else should be called so. Names are of one use: a conversation is judged from its first message on. */
const uidPrefix = 'ringset-probe-'

/** A few users in every set, on the library that everybody uses, who write to each other and note what becomes of it. */
export class Probe {
  readonly #workload: Workload
  readonly #history: HistoryRecorder

  private constructor(workload: Workload, history: HistoryRecorder) {
    this.#workload = workload
    this.#history = history
  }

  /** Connects them and starts their traffic. Throws what keeps them from connecting. */
  static async start(cluster: RunningCluster): Promise<Probe> {
    const table = compileTable(await cluster.control.any(node => node.table()))
    const history = new HistoryRecorder()
    const uids = probeUids(table)
    const workload = new Workload({
      config: cluster.config,
      secret: readSecrets(cluster.dataDirectory).secret,
      table,
      history,
      seed: randomBytes(4).readUInt32BE(),
      uids,
      plan: {
        users: uids.length,
        tenants: 0,
        secondDevices: 0,
        messagesPerSecond: Math.min(uids.length * messagesPerUserAndSecond, messagesPerSecondMax),
        reconnectsPerSecond: 0,
        backends: 0,
        backendOperationsPerSecond: 1
      }
    })
    try {
      await workload.connect()
    } catch (error) {
      await workload.close()
      throw error
    }
    workload.start()
    return new Probe(workload, history)
  }

  get acked(): number {
    return this.#workload.acked
  }

  /** Messages that were due and are not acknowledged yet. */
  get waiting(): number {
    return this.#workload.sent - this.#workload.acked
  }

  get errors(): number {
    return sum(this.#workload.errors.values())
  }

  /** Ends the traffic, waits until all of it has arrived, and judges it. */
  async end(): Promise<Proof> {
    try {
      await this.#workload.end()
      const missing = await this.#workload.settle(settleMs)
      return this.#proof(missing)
    } finally {
      await this.close()
    }
  }

  close(): Promise<void> {
    return this.#workload.close()
  }

  #proof(missing: readonly string[]): Proof {
    const { acked, errors: codes } = this.#workload
    const judgement = this.#history.judge(onlyMessages)
    const took = this.#workload
      .samples()
      .flatMap(({ dueMs, ackedMs, deliveredMs }) =>
        [ackedMs, deliveredMs].filter(atMs => atMs > 0).map(atMs => atMs - dueMs)
      )
    const errors = sum(codes.values())
    const sound = judgement.verdict === 'pass' && missing.length === 0
    return {
      acked,
      lost: violationsOf(judgement, 'loss'),
      duplicated: violationsOf(judgement, 'duplicates'),
      errors,
      longestGapMs: Math.round(took.reduce((most, ms) => Math.max(most, ms), 0)),
      ok: sound && errors === 0,
      findings: [
        ...[...codes].map(([code, times]) => `${code} ${times} times`),
        ...missing.map(text => `never arrived: ${text}`),
        ...(sound ? [] : [judgementText(judgement)])
      ]
    }
  }
}

/** So many users in every set that owns users. */
function probeUids(table: TableView): string[] {
  const name = randomBytes(5).toString('hex')
  const owners = new Set(table.table?.runs.map(({ setId }) => setId))
  const bySet = new Map([...owners].map(setId => [setId, [] as string[]]))
  let missing = owners.size * usersPerSet
  if (missing === 0) throw new RingsetError('NO_TABLE')
  for (let i = 1; missing > 0; i++) {
    const uid = `${uidPrefix}${name}-${i}`
    const uids = bySet.get(table.owner(table.slotOf(uid))?.setId ?? '')
    if (uids === undefined || uids.length === usersPerSet) continue
    uids.push(uid)
    missing--
  }
  return [...bySet.values()].flat()
}

function sum(numbers: Iterable<number>): number {
  let total = 0
  for (const number of numbers) total += number
  return total
}
