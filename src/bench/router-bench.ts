import { LogicClient } from '../client/logic-client.ts'
import { p2pSession } from '../protocol/session.ts'
import type { BenchOptions, BenchReport, BenchRun } from './bench.ts'
import { routersOnly } from './bench-cluster.ts'
import { describeEnvironment } from './environment.ts'
import { closedLoop, type Operation } from './load.ts'
import { measured } from './measured.ts'

const bodyBytes = 128
const peersPerWorker = 16
/** Until the just-in-time compilers of all processes have settled. */
const warmUpSeconds = 6

/** Committed appends to one group of three replicas, straight from a logic client: the pace of the replicated log itself. */
export async function benchRouter({ seconds, onProgress }: BenchOptions): Promise<BenchReport> {
  onProgress('starting three router processes')
  const { cluster, config, secret, close } = await routersOnly()
  const client = new LogicClient({
    addresses: config.nodes.map(({ peerPort }) => `127.0.0.1:${peerPort}`),
    secret
  })
  try {
    await client.ready()
    const body = Buffer.alloc(bodyBytes, 'x')
    const runs: BenchRun[] = []
    const appends =
      (run: string): Operation =>
      (n, worker) => {
        const uid = `bench-${run}-${worker}`
        const session = p2pSession(uid, `peer-${n % peersPerWorker}`)
        const clientMsgId = n + 1
        return client.append({ session, uid, deviceId: 'bench', clientMsgId, type: 0, body })
      }
    onProgress('warming up')
    await closedLoop(appends('warm-up'), {
      inFlight: 256,
      warmupSeconds: 0,
      seconds: warmUpSeconds
    })
    for (const inFlight of [1, 8, 64, 512]) {
      onProgress(`${inFlight} in flight`)
      runs.push(
        await measured(`append ${bodyBytes} B, ${inFlight} in flight`, cluster.control, plan =>
          closedLoop(appends(`${inFlight}`), { inFlight, warmupSeconds: 1, seconds, ...plan })
        )
      )
    }
    return {
      suite: 'router',
      acked:
        'applied by the leader after an fsync on a majority of three replicas, deduplicated, in the timeline',
      runs,
      environment: describeEnvironment()
    }
  } finally {
    await client.close()
    await close()
  }
}
