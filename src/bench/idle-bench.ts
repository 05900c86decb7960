import type { BenchOptions, BenchReport } from './bench.ts'
import { type BenchCluster, wholeCluster } from './bench-cluster.ts'
import { describeEnvironment } from './environment.ts'
import { People } from './people.ts'

export interface IdleOptions extends BenchOptions {
  readonly users: number
}

/** Memory that idle, authenticated connections take in the gateways' processes. */
export async function benchIdle({ seconds, users, onProgress }: IdleOptions): Promise<BenchReport> {
  onProgress('starting a one-set cluster of six processes')
  const own = await wholeCluster(['s1'])
  let people: People | undefined
  try {
    const emptyBytes = await settledBytes(own, seconds)
    people = await People.connect(own, users, connected => onProgress(`${connected} users online`))
    onProgress('letting memory settle')
    const fullBytes = await settledBytes(own, seconds)
    return {
      suite: 'idle',
      acked:
        'connected, authenticated, registered with the router; resident memory of the gateways’ processes (kernel buffers not included)',
      runs: [
        {
          rows: [],
          facts: {
            connections: users,
            emptyMiB: toMiB(emptyBytes),
            connectedMiB: toMiB(fullBytes),
            kibPerConnection: Math.round(((fullBytes - emptyBytes) / users / 1024) * 10) / 10
          }
        }
      ],
      environment: describeEnvironment()
    }
  } finally {
    await people?.close()
    await own.close()
  }
}

/** Resident memory of all processes with a transfer, sampled each second: the least of the last few samples. */
async function settledBytes({ cluster }: BenchCluster, seconds: number): Promise<number> {
  const samples: number[] = []
  for (let i = 0; i < Math.max(3, seconds); i++) {
    await new Promise(resolve => setTimeout(resolve, 1_000))
    const { nodes } = await cluster.control.sample()
    const gateways = nodes.filter(({ status }) => (status?.transfers.length ?? 0) > 0)
    samples.push(gateways.reduce((sum, { status }) => sum + (status?.process?.rssBytes ?? 0), 0))
  }
  return Math.min(...samples.slice(-3))
}

function toMiB(bytes: number): number {
  return Math.round(bytes / 2 ** 20)
}
