import type { BenchOptions, BenchReport, BenchRow, BenchRun } from './bench.ts'
import { wholeCluster } from './bench-cluster.ts'
import { describeEnvironment } from './environment.ts'
import type { LatencyRecorder } from './latency.ts'
import { closedLoop, type LoadPlan, type LoadResult, openLoop } from './load.ts'
import { measured } from './measured.ts'
import { contactsPerUser, People } from './people.ts'

const bodyBytes = 128
/** Until the just-in-time compilers of all processes have settled. */
const warmUpSeconds = 8
const openRates = [1_000]
const inFlights = [64, 512]

export interface MessagesOptions extends BenchOptions {
  readonly users: number
}

/** Chat messages between users of a two-set cluster, who are spread over the sets by their names: client → majority on disk → ack, and on to the receiver. */
export async function benchMessages(options: MessagesOptions): Promise<BenchReport> {
  const { seconds, users, onProgress } = options
  onProgress('starting a two-set cluster of nine processes')
  const own = await wholeCluster(['s1', 's2'])
  let people: People | undefined
  try {
    people = await People.connect(own, users, connected => onProgress(`${connected} users online`))
    const { control } = own.cluster
    const warmupSeconds = 2
    const runs: BenchRun[] = []
    onProgress('warming up')
    const body = Buffer.alloc(bodyBytes, 'x')
    const warm = people
    await closedLoop((_n, _worker, startedMs) => warm.message(body, startedMs), {
      inFlight: 256,
      warmupSeconds: 0,
      seconds: warmUpSeconds
    })
    for (const inFlight of inFlights) {
      onProgress(`closed loop, ${inFlight} in flight`)
      runs.push(
        await run(people, `${inFlight} in flight`, control, (operation, plan) =>
          closedLoop(operation, { inFlight, warmupSeconds, seconds, ...plan })
        )
      )
    }
    for (const perSecond of openRates) {
      onProgress(`open loop, ${perSecond} messages per second`)
      runs.push(
        await run(people, `${perSecond}/s offered`, control, (operation, plan) =>
          openLoop(operation, { perSecond, warmupSeconds, seconds, ...plan })
        )
      )
    }
    return {
      suite: 'messages',
      acked: `the sender holds the msgid (fsynced on a majority of the home set) and the receiver the message; the rows below it show each alone. ${users} users write to ${contactsPerUser} contacts each`,
      runs,
      environment: describeEnvironment()
    }
  } finally {
    await people?.close()
    await own.close()
  }
}

type Load = (
  operation: (n: number, worker: number, startedMs: number) => Promise<unknown>,
  plan: Pick<LoadPlan, 'onWindow'>
) => Promise<LoadResult>

async function run(
  people: People,
  name: string,
  control: Parameters<typeof measured>[1],
  load: Load
): Promise<BenchRun> {
  const body = Buffer.alloc(bodyBytes, 'x')
  return measured(
    `acked and delivered, ${name}`,
    control,
    ({ onWindow }) =>
      load((_n, _worker, startedMs) => people.message(body, startedMs), {
        onWindow: async edge => {
          people.stopMeasuring()
          await onWindow?.(edge)
          if (edge === 'start') people.startMeasuring()
        }
      }),
    windowSeconds => [
      row(`  acked, ${name}`, people.ackLatencies, windowSeconds),
      row(`  delivered, ${name}`, people.deliveryLatencies, windowSeconds)
    ]
  )
}

function row(name: string, latencies: LatencyRecorder, seconds: number): BenchRow {
  const summary = latencies.summary()
  return { name, ...summary, perSecond: summary.count / seconds, failed: 0 }
}
