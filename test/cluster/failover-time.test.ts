import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { ChatWorkload, conversations } from '../support/chat-workload.ts'
import { TestCluster } from '../support/test-cluster.ts'

/** `RINGSET_KILLS=20 npx vitest run --project cluster test/cluster/failover-time.test.ts` measures properly. */
const kills = Number(process.env.RINGSET_KILLS ?? 3)
const boundMs = 3_000

describe('the time from the kill of a leader', () => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await TestCluster.start()
  })
  afterAll(() => cluster?.close())

  it(
    'to the next acknowledgement is short',
    async () => {
      const users = {
        s1: await cluster.usersOf('s1', 12, 'time'),
        s2: await cluster.usersOf('s2', 12, 'time')
      }
      const chat = new ChatWorkload(cluster)
      await chat.connect([...users.s1, ...users.s2])
      const firstMs: number[] = []
      const allMs: number[] = []
      for (let kill = 0; kill < kills; kill++) {
        const set = kill % 2 === 0 ? 's1' : 's2'
        const pairs = conversations(users[set])
        await chat.runCount(pairs, 200, 72)
        const leader = await cluster.leader(set)
        const startMs = performance.now()
        const killed = cluster.cluster.killNode(leader)
        chat.history.fault(`kill ${leader}`)
        const took = await Promise.all(
          pairs.map(async ([from, to], lane) => {
            await chat.send(from, to, lane)
            return performance.now() - startMs
          })
        )
        await killed
        firstMs.push(Math.min(...took))
        allMs.push(Math.max(...took))
        await cluster.startAll()
      }
      await chat.settled()
      const judgement = chat.history.judge(onlyMessages)
      expect(judgement.verdict, judgementText(judgement)).toBe('pass')
      console.log(
        `${kills} kills, ms to the next ack: ${spread(firstMs)}; until every user has one: ${spread(allMs)}`
      )
      expect(Math.max(...firstMs)).toBeLessThan(boundMs)
    },
    60_000 + kills * 30_000
  )
})

function spread(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (share: number): string => sorted[Math.ceil(share * sorted.length) - 1]!.toFixed()
  return `p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`
}
