import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { FileStore } from '../../src/client/file-store.ts'
import { ChatWorkload, conversations } from '../support/chat-workload.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const messages = 10_000
const lanes = 300

describe('acknowledged messages', () => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await TestCluster.start()
  })
  afterAll(() => cluster?.close())

  async function mixedUsers(count: number, prefix: string): Promise<string[]> {
    const first = await cluster.usersOf('s1', count / 2, prefix)
    const second = await cluster.usersOf('s2', count / 2, prefix)
    return first.flatMap((uid, i) => [uid, second[i]!])
  }

  it('reach every device once, in order, though router leaders are killed five times', async () => {
    const users = await mixedUsers(50, 'crash')
    const chat = new ChatWorkload(cluster, { sendDeadlineMs: 60_000 })
    await chat.connect(users)
    await chat.connect(users.slice(0, 10), 'd2', 'mobile')
    const pairs = conversations(users)
    const reader = cluster.logicClient()
    const run = chat.runCount(pairs, messages, lanes)
    for (let kill = 1; kill <= 5; kill++) {
      await eventually(`${kill} sixths are acknowledged`, 60_000, () => {
        return chat.acked >= (kill * messages) / 6
      })
      const set = kill % 2 === 0 ? 's2' : 's1'
      const victim = await cluster.killLeader(set)
      chat.history.fault(`kill ${victim}`)
      await cluster.leader(set, victim)
      for (const session of chat.sessions().slice(0, 20))
        await chat.latest('reader', session, () => reader.latest([session])).catch(() => {})
      await cluster.cluster.startNode(victim)
    }
    await run
    expect(chat.errors).toEqual([])
    await chat.settled()
    expect(await chat.differences(reader)).toEqual([])
    const judgement = chat.history.judge(onlyMessages)
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    console.log(`${judgementText(judgement)}\n  ${chat.summary()}`)
    await cluster.cluster.waitReady()
  })

  it('outlive the end of all processes at once, and devices go on where they were', async () => {
    const users = await mixedUsers(20, 'blackout')
    const folder = join(cluster.directory, 'devices')
    const chat = new ChatWorkload(cluster, {
      sendDeadlineMs: 90_000,
      store: (uid, deviceId) => new FileStore(join(folder, `${uid}-${deviceId}.json`))
    })
    await chat.connect(users)
    const pairs = conversations(users)
    const run = chat.runCount(pairs, 3_000, 120)
    await eventually('a third is acknowledged', 60_000, () => chat.acked >= 1_000)
    const before = await cluster.status()
    chat.history.fault('kill all')
    await cluster.killAll()
    await cluster.startAll()
    const after = await cluster.status()
    expect(after.clusterId).toBe(before.clusterId)
    expect(after.epoch).toBeGreaterThanOrEqual(before.epoch)
    await run
    expect(chat.errors).toEqual([])
    await chat.settled()

    const [restarted, friend] = [users[0]!, users[1]!]
    const had = chat.deliveries(restarted)
    await chat.restart(restarted, 'd1', async () => {
      for (let n = 0; n < 7; n++) await chat.send(friend, restarted)
    })
    await chat.settled()
    expect(chat.deliveries(restarted) - had).toBe(7)

    const reader = cluster.logicClient()
    const routes = await eventually('everybody is online again', 20_000, async () => {
      const found = await reader.lookup(users)
      return found.every(user => user.routes.length === 1) && found
    })
    expect(routes.map(({ uid }) => uid)).toEqual(users)
    expect(await chat.differences(reader)).toEqual([])
    const judgement = chat.history.judge(onlyMessages)
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    console.log(`${judgementText(judgement)}\n  ${chat.summary()}`)
  })
})
