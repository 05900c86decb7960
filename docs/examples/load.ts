// Load from a backend that routes for itself: appends at an even rate, whatever the cluster does, and says what that was like. Run it,
// then move slots, kill leaders, add a set: what changes is the epoch, a few extra hops, and nothing else.
//
//   export RINGSET_SECRET=$(cat .ringset/secret)
//   npx tsx docs/examples/load.ts 127.0.0.1:7001 [appends per second] [seconds]
import { LogicClient, p2pSession, RingsetError } from '../../src/client/client.ts'

const [addresses = '127.0.0.1:7001', perSecond = '200', seconds = '10'] = process.argv.slice(2)
const everyMs = 1_000 / Number(perSecond)
const users = 100

const client = new LogicClient({
  addresses: addresses.split(','),
  secret: Buffer.from(process.env.RINGSET_SECRET ?? '', 'hex'),
  name: `load-${process.pid}`
})
await client.ready()

// Ids of this run: what an earlier one has sent is not taken for it.
const deviceId = `load-${Date.now().toString(36)}`
const refusals = new Map<string, number>()
let latenciesMs: number[] = []
let sent = 0
let acked = 0
let longestMs = 0

async function append(number: number, dueMs: number): Promise<void> {
  const uid = `load-${number % users}`
  const session = p2pSession(uid, `load-${(number + 1) % users}`)
  try {
    const body = Buffer.from(`message ${number}`)
    await client.append({ session, uid, deviceId, clientMsgId: number, type: 0, body })
    // From the moment it was due: a stall is seen by all that fall into it.
    const latencyMs = performance.now() - dueMs
    acked++
    latenciesMs.push(latencyMs)
    longestMs = Math.max(longestMs, latencyMs)
  } catch (error) {
    const code = error instanceof RingsetError ? error.code : String(error)
    refusals.set(code, (refusals.get(code) ?? 0) + 1)
  }
}

function percentile(share: number): string {
  const sorted = latenciesMs.toSorted((a, b) => a - b)
  return (sorted[Math.floor((sorted.length - 1) * share)] ?? 0).toFixed(1)
}

const startMs = performance.now()
const total = Math.round(Number(seconds) * Number(perSecond))
const underWay = new Set<Promise<void>>()
const report = setInterval(() => {
  const { extraHops } = client.counters
  const line = `acked ${acked} of ${sent}, ms p50 ${percentile(0.5)} p99 ${percentile(0.99)}`
  console.log(`${line}, table ${client.tableEpoch}, extra hops ${extraHops}`)
  latenciesMs = []
}, 1_000)
while (sent < total) {
  // All that is due by now, so that a slow timer does not lower the rate.
  while (sent < total && performance.now() >= startMs + sent * everyMs) {
    sent++
    const work = append(sent, startMs + (sent - 1) * everyMs)
    underWay.add(work)
    void work.then(() => underWay.delete(work))
  }
  await new Promise(resolve => setTimeout(resolve, 1))
}
await Promise.all(underWay)
clearInterval(report)

const { requests, extraHops } = client.counters
console.log(`${acked} of ${sent} acknowledged, the longest took ${longestMs.toFixed(1)} ms`)
console.log(`${requests} requests took ${extraHops} extra hops`)
for (const [code, count] of refusals) console.log(`${count} times ${code}`)
await client.close()
process.exitCode = acked === sent ? 0 : 1
