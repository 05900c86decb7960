import type { ClusterControl, ClusterSample } from '../control/cluster-control.ts'
import type { BenchRow, BenchRun } from './bench.ts'
import type { LoadPlan, LoadResult } from './load.ts'
import { usageBetween } from './role-usage.ts'

/** Runs one load and samples the cluster and this process at both edges of its window. `more` adds rows of the same window. */
export async function measured(
  name: string,
  control: ClusterControl,
  load: (plan: Pick<LoadPlan, 'onWindow'>) => Promise<LoadResult>,
  more: (seconds: number) => readonly BenchRow[] = () => []
): Promise<BenchRun> {
  let before: ClusterSample | undefined
  let after: ClusterSample | undefined
  let driver = process.cpuUsage()
  let driverMicros = 0
  const result = await load({
    onWindow: async edge => {
      if (edge === 'start') {
        before = await control.sample()
        driver = process.cpuUsage()
      } else {
        const { user, system } = process.cpuUsage(driver)
        driverMicros = user + system
        after = await control.sample()
      }
    }
  })
  const { seconds, ...figures } = result
  const usage = usageBetween(before!, after!)
  return {
    rows: [{ name, ...figures }, ...more(seconds)],
    usage,
    driverCpuPercent: driverMicros / 10_000 / seconds,
    facts: {
      syncsPerOperation: round(usage.syncs / Math.max(1, figures.count)),
      meanBatch: round(usage.meanBatch)
    }
  }
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000
}
