import type { Metrics } from '../base/ports.ts'

/** Passes everything on to the process's metrics and keeps one role's own counts, which several roles of a kind would mix up there. */
export class RoleMetrics implements Metrics {
  readonly #metrics: Metrics
  readonly #values = new Map<string, number>()

  constructor(metrics: Metrics) {
    this.#metrics = metrics
  }

  /** A counter's sum or a gauge's last value; 0 when never touched. */
  value(name: string): number {
    return this.#values.get(name) ?? 0
  }

  count(name: string, amount = 1): void {
    this.#values.set(name, (this.#values.get(name) ?? 0) + amount)
    this.#metrics.count(name, amount)
  }

  gauge(name: string, value: number): void {
    this.#values.set(name, value)
    this.#metrics.gauge(name, value)
  }

  observe(name: string, value: number): void {
    this.#metrics.observe(name, value)
  }
}
