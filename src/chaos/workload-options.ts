import type { ClusterConfig } from '../config/schema.ts'
import type { TableView } from '../table/table-view.ts'
import type { HistoryRecorder } from './history-recorder.ts'
import type { Scenario } from './scenario.ts'

export interface WorkloadOptions {
  readonly config: ClusterConfig
  /** Of the cluster. Undefined: it is not known, and there are no backends. */
  readonly secret: Buffer | undefined
  /** A connect token for a user. Default: made from the secret. */
  readonly token?: (uid: string) => string | (() => Promise<string>)
  /** The names of users, backends and sequences begin so. */
  readonly prefix?: string
  /** To begin with; see `Workload.adopt`. */
  readonly table: TableView
  readonly history: HistoryRecorder
  readonly seed: number
  readonly plan: Scenario['workload']
  /** So many as the plan says. Default: `user-1` and so on, after the prefix. */
  readonly uids?: readonly string[]
}
