import type { BenchEnvironment } from './environment.ts'
import type { LatencySummary } from './latency.ts'
import type { WindowUsage } from './role-usage.ts'

export interface BenchRow extends LatencySummary {
  readonly name: string
  readonly perSecond: number
  readonly failed: number
}

/** Rows that were measured in one window, and what the processes used in it. */
export interface BenchRun {
  readonly rows: readonly BenchRow[]
  readonly usage?: WindowUsage
  /** Processor time of the load generator, percent of one core. */
  readonly driverCpuPercent?: number
  readonly facts?: Readonly<Record<string, string | number>>
}

export interface BenchReport {
  readonly suite: string
  /** What "done" means for the operations counted. */
  readonly acked: string
  readonly runs: readonly BenchRun[]
  readonly environment: BenchEnvironment
}

export interface BenchOptions {
  readonly seconds: number
  readonly onProgress: (text: string) => void
}
