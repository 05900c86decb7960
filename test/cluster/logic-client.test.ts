import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { LogicClient } from '../../src/client/logic-client.ts'
import { p2pSession } from '../../src/protocol/session.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

describe('a logic client', () => {
  let cluster: TestCluster
  /** A conversation homed in each set. */
  let sessions: Record<string, { session: string; uid: string }>
  let clientMsgId = 0

  beforeAll(async () => {
    cluster = await TestCluster.start()
    sessions = {}
    for (const set of ['s1', 's2']) {
      const [uid, other] = await cluster.usersOf(set, 2)
      sessions[set] = { session: p2pSession(uid!, other!), uid: uid! }
    }
  })
  afterAll(() => cluster?.close())

  /** One append to the set; returns the packets it took beyond one. */
  async function extraHops(client: LogicClient, set: string): Promise<number> {
    const before = client.counters.extraHops
    const message = {
      deviceId: 'logic',
      clientMsgId: ++clientMsgId,
      type: 0,
      body: Buffer.from('x')
    }
    await client.append({ ...sessions[set]!, ...message })
    return client.counters.extraHops - before
  }

  it('without a table needs at most one hop more, whatever node it is pointed at', async () => {
    for (const { id } of cluster.cluster.config.nodes) {
      for (const set of ['s1', 's2']) {
        const client = cluster.logicClient({ addresses: [cluster.peerAddress(id)] })
        expect(await extraHops(client, set), `${set} through ${id}`).toBeLessThanOrEqual(1)
        expect(await extraHops(client, set), `${set} again`).toBe(0)
      }
    }
  })

  it('with a table from before a change of epoch needs at most one hop more', async () => {
    const client = cluster.logicClient()
    for (const set of ['s1', 's2']) await extraHops(client, set)
    let outdated = 0
    for (const set of ['s1', 's2', 's1']) {
      const { epoch } = await cluster.status()
      const old = await cluster.killLeader(set)
      const leader = await cluster.leader(set, old)
      await eventually('the dead node shows in the table', 15_000, async () => {
        return (await cluster.cluster.node(leader).status()).epoch > epoch
      })
      const known = client.tableEpoch
      if (known <= epoch) outdated++
      expect(await extraHops(client, set), `epoch ${known} after ${epoch}`).toBeLessThanOrEqual(1)
      const other = set === 's1' ? 's2' : 's1'
      expect(await extraHops(client, other)).toBe(0)
      await cluster.startAll()
      const { epoch: now } = await cluster.status()
      await extraHops(client, set)
      await eventually('it has the newest table', 5_000, () => client.tableEpoch >= now)
    }
    expect(outdated, 'the table was outdated at least once').toBeGreaterThan(0)
  })
})
