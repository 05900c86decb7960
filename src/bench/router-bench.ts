import { LogicClient } from '../client/logic-client.ts'
import { p2pSession } from '../protocol/session.ts'
import type { BenchOptions, BenchReport, BenchRun } from './bench.ts'
import { routersOnly } from './bench-cluster.ts'
import { describeEnvironment } from './environment.ts'
import { closedLoop } from './load.ts'
import { measured } from './measured.ts'

const bodyBytes = 128
const peersPerWorker = 16

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
    for (const inFlight of [1, 8, 64, 512]) {
      onProgress(`${inFlight} in flight`)
      const run = `${inFlight}-${Date.now()}`
      runs.push(
        await measured(`append ${bodyBytes} B, ${inFlight} in flight`, cluster.control, plan =>
          closedLoop(
            (n, worker) => {
              const uid = `bench-${run}-${worker}`
              const session = p2pSession(uid, `peer-${n % peersPerWorker}`)
              return client.append({
                session,
                uid,
                deviceId: 'bench',
                clientMsgId: n + 1,
                type: 0,
                body
              })
            },
            { inFlight, warmupSeconds: Math.min(2, seconds / 2), seconds, ...plan }
          )
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
