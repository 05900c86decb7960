/**
 * What pure code may ask of the world. The host gives real ones, the simulator virtual ones.
 */

export interface Clock {
  /** Monotonic milliseconds since an arbitrary start; fractions allowed. */
  nowMs(): number
  /** Wall-clock milliseconds since 1970; may jump. For humans and log entries, never for decisions between nodes. */
  wallMs(): number
}

export interface Random {
  /** Uniform in [0, 1). */
  float(): number
  /** Uniform integer in [0, bound). */
  below(bound: number): number
  /** A non-zero 48-bit id (boot ids, cluster ids). */
  id48(): number
}

export type LogFacts = Readonly<Record<string, unknown>>

/** Structured log: a fixed event name plus facts; the text is never parsed. */
export interface Log {
  debug(event: string, facts?: LogFacts): void
  info(event: string, facts?: LogFacts): void
  warn(event: string, facts?: LogFacts): void
  error(event: string, facts?: LogFacts): void
}

/** Counters and gauges by name (snake_case with unit suffix, e.g. `router_appends_total`). */
export interface Metrics {
  count(name: string, amount?: number): void
  gauge(name: string, value: number): void
  /** One observation of a distribution (batch sizes, milliseconds). */
  observe(name: string, value: number): void
}

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} }
export const noMetrics: Metrics = { count() {}, gauge() {}, observe() {} }
