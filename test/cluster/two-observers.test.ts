import { afterAll, beforeAll, expect, it } from 'vitest'
import { dataFolder } from '../../src/config/data-folder.ts'
import { logTail } from '../../src/launch/node-process.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const cutMs = 6_000
const unseen = { flapMs: 0, delayMs: 0, jitterMs: 0, lossShare: 0, bytesPerSecond: 0 }
const noOther = { disk: undefined, clockOffsetMs: 0 }

let cluster: TestCluster

beforeAll(async () => {
  cluster = await TestCluster.start({
    cluster: { name: 'observers', faultControl: true },
    arbiter: { announceMs: 200, downAfterMs: 1_000 },
    // A busy machine must not change the leader meanwhile.
    raft: { electionMinMs: 1_500, checkQuorumMs: 3_000 }
  })
})
afterAll(() => cluster?.close())

/** The states of everything that a node runs, by the newest table. */
async function statesOf(nodeId: string): Promise<string[]> {
  const { table } = await cluster.cluster.control.sample()
  return (table?.sets ?? [])
    .flatMap(({ transfers, logics, routers }) => [...transfers, ...logics, ...routers])
    .filter(entry => entry.nodeId === nodeId)
    .map(({ state }) => state)
}

const leadingArbiter = async (): Promise<string | null> => (await cluster.status()).arbiter.leader

it('a node that only the leading arbiter is cut off from stays in the table until it dies', async () => {
  const leader = await eventually('the arbiters have a leader', 20_000, leadingArbiter)
  const address = cluster.peerAddress('s1-a')
  const links = [{ ...unseen, peer: 's1-a', address, direction: 'both', cut: true }]
  await cluster.cluster.control.node(leader).setFaults({ links, leaseMs: 60_000, ...noOther })
  const endMs = performance.now() + cutMs
  const seen = new Set<string>()
  while (performance.now() < endMs) for (const state of await statesOf('s1-a')) seen.add(state)
  const log = logTail(leader, dataFolder(cluster.directory), 20_000).join('\n')
  expect([...seen]).toEqual(['up'])
  expect(log).toContain('arbiter.node_heard_by_others')

  await cluster.cluster.killNode('s1-a')
  await eventually('the table calls all of it down', 10_000, async () =>
    (await statesOf('s1-a')).every(state => state === 'down')
  )
  expect(await leadingArbiter()).toBe(leader)
})
