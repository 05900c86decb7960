import { collectDefaultMetrics, Registry } from 'prom-client'
import type { Metrics } from '../base/ports.ts'
import { Buckets, type Distribution } from './buckets.ts'

export interface MetricsRegistry extends Metrics {
  /** Prometheus exposition format: these metrics and those of the process. */
  text(): Promise<string>
  /** Counters and gauges by name; distributions as NAME_count, NAME_mean, NAME_p50, NAME_p99, NAME_max. Cheap. */
  snapshot(): Record<string, number>
  distribution(name: string): Distribution
}

const prefix = 'ringset_'
const maxNames = 1000

/**
 * Metrics of one process. Recording is a map look-up and an addition. A name is a counter, a gauge or a distribution by its first use;
 * at most 1,000 names are kept.
 */
export function createMetrics(): MetricsRegistry {
  const processMetrics = new Registry()
  collectDefaultMetrics({ register: processMetrics, prefix, eventLoopMonitoringPrecision: 1_000 })
  const counters = new Map<string, number>()
  const gauges = new Map<string, number>()
  const distributions = new Map<string, Buckets>()
  const room = () => counters.size + gauges.size + distributions.size < maxNames

  return {
    count(name, amount = 1) {
      const before = counters.get(name)
      if (before !== undefined) counters.set(name, before + amount)
      else if (room()) counters.set(name, amount)
    },
    gauge(name, value) {
      if (gauges.has(name) || room()) gauges.set(name, value)
    },
    observe(name, value) {
      let buckets = distributions.get(name)
      if (buckets === undefined) {
        if (!room()) return
        buckets = new Buckets()
        distributions.set(name, buckets)
      }
      buckets.observe(value)
    },
    async text() {
      const lines: string[] = []
      for (const [name, value] of counters) lines.push(...plainLines(name, 'counter', value))
      for (const [name, value] of gauges) lines.push(...plainLines(name, 'gauge', value))
      for (const [name, buckets] of distributions) lines.push(...bucketLines(name, buckets))
      return `${lines.join('\n')}\n\n${await processMetrics.metrics()}`
    },
    snapshot() {
      const all: Record<string, number> = {}
      for (const [name, value] of counters) all[name] = value
      for (const [name, value] of gauges) all[name] = value
      for (const [name, buckets] of distributions) {
        const { count, mean, p50, p99, max } = buckets.summary()
        all[`${name}_count`] = count
        all[`${name}_mean`] = mean
        all[`${name}_p50`] = p50
        all[`${name}_p99`] = p99
        all[`${name}_max`] = max
      }
      return all
    },
    distribution: name => (distributions.get(name) ?? new Buckets()).summary()
  }
}

function plainLines(name: string, type: 'counter' | 'gauge', value: number): string[] {
  return [`# TYPE ${prefix}${name} ${type}`, `${prefix}${name} ${value}`]
}

function bucketLines(name: string, buckets: Buckets): string[] {
  const full = prefix + name
  const { bounds, upTo, count, sum } = buckets.cumulative()
  return [
    `# TYPE ${full} histogram`,
    ...bounds.map((bound, i) => `${full}_bucket{le="${bound}"} ${upTo[i]}`),
    `${full}_bucket{le="+Inf"} ${count}`,
    `${full}_sum ${sum}`,
    `${full}_count ${count}`
  ]
}
