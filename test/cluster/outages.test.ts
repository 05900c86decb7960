import { setTimeout as pause } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ClusterWatch } from '../../src/chaos/cluster-watch.ts'
import { judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { p2pSession, parseSession, routingKey } from '../../src/protocol/session.ts'
import { ChatWorkload, conversations } from '../support/chat-workload.ts'
import { eventually } from '../support/eventually.ts'
import { ReplicaClient } from '../support/replica-client.ts'
import { ReplicaProbe } from '../support/replica-probe.ts'
import { TestCluster } from '../support/test-cluster.ts'

const withoutOwners = ['presence', 'ownership'] as const
const arbiters = ['a1', 'a2', 'a3']

/** The longest time without an ack from `fromMs` to `toMs`. */
function longestGapMs(atMs: readonly number[], fromMs: number, toMs: number): number {
  const times = [fromMs, ...atMs, toMs]
  return Math.max(...times.slice(1).map((time, i) => time - times[i]!))
}

function p99(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN
}

describe('an outage', () => {
  let cluster: TestCluster

  beforeAll(async () => {
    cluster = await TestCluster.start()
  })
  afterAll(() => cluster?.close())

  it('of a stopped leader ends under a new one; when it goes on it answers nothing stale', async () => {
    const home = await cluster.usersOf('s1', 10, 'pause')
    const away = await cluster.usersOf('s2', 10, 'pause')
    const users = home.flatMap((uid, i) => [uid, away[i]!])
    const chat = new ChatWorkload(cluster)
    await chat.connect(users)
    const watch = new ClusterWatch(cluster.cluster, chat.history)
    const probe = await ReplicaProbe.connect(cluster, chat, [home[0]!, home[4]!])
    try {
      let going = true
      const run = chat.run(conversations(users), 120, () => going)
      await eventually('traffic', 20_000, () => chat.acked > 500)
      const probing = probe.run(() => going)

      const node = await cluster.leader('s1')
      const pausedAtMs = performance.now()
      cluster.cluster.pauseNode(node)
      chat.history.fault(`pause ${node}`)
      const next = await cluster.leader('s1', node)
      expect(next).not.toBe(node)
      const newLeaderMs = performance.now() - pausedAtMs
      await pause(3_000 - Math.min(newLeaderMs, 2_000))
      // These wait in the stopped process's sockets; whatever it answers must be true when it answers.
      const late = probe.burst(node, 5)
      await pause(Math.max(0, pausedAtMs + 5_000 - performance.now()))
      const resumedAtMs = performance.now()
      cluster.cluster.resumeNode(node)
      chat.history.fault(`resume ${node}`)
      await late
      await probe.burst(node, 5)
      going = false
      await Promise.all([run, probing])

      expect(chat.errors).toEqual([])
      await chat.settled()
      const acks = chat.acksOf('s1', pausedAtMs, resumedAtMs).map(({ atMs }) => atMs)
      const gapMs = longestGapMs(acks, pausedAtMs, resumedAtMs)
      await watch.end()
      const judgement = chat.history.judge(withoutOwners)
      console.log(
        `no ack of s1 for ${gapMs.toFixed()} ms of the pause\n${judgementText(judgement)}\n  ${chat.summary()}\n  probes: ${probe.summary()}`
      )
      expect(judgement.verdict, judgementText(judgement)).toBe('pass')
      expect(gapMs).toBeLessThan(3_000)
    } finally {
      await Promise.all([watch.end(), probe.close()])
    }
  })

  it('of both followers leaves a leader that acknowledges nothing, and dies without loss', async () => {
    const pair = (await cluster.usersOf('s1', 2, 'lonely')) as [string, string]
    const chat = new ChatWorkload(cluster)
    await chat.connect(pair)
    const replicas = await ReplicaClient.connect(cluster)
    const session = p2pSession(...pair)
    const key = routingKey(session, parseSession(session))
    const nodes = cluster.routerNodes('s1')
    /** @returns how many of `count` messages, sent to this leader at once, were acknowledged. */
    const append = async (leader: string, name: string, count: number): Promise<number> => {
      const at = ['s1', nodes.indexOf(leader) + 1] as const
      const asked = Array.from({ length: count }, (_, i) =>
        chat.append(`${name}-${i}`, pair, 1, message =>
          replicas.ask(at, 'APPEND', message, key, 'APPEND_OK', { withinMs: 3_000 })
        )
      )
      const outcomes = await Promise.allSettled(asked)
      return outcomes.filter(({ status }) => status === 'fulfilled').length
    }
    try {
      const leader = await cluster.leader('s1')
      expect(await append(leader, 'before', 20)).toBe(20)
      const followers = nodes.filter(id => id !== leader)
      for (const id of followers) cluster.cluster.pauseNode(id)
      const alone = await append(leader, 'alone', 50)
      await cluster.cluster.killNode(leader)
      for (const id of followers) cluster.cluster.resumeNode(id)
      // Its status calls it leader from its election on; it serves only once its first entry is committed.
      let tries = 0
      await eventually('the two that are left acknowledge', 20_000, async () => {
        const next = await cluster.leader('s1', leader)
        return (await append(next, `after-${++tries}`, 20)) === 20
      })
      await cluster.startAll()
      await chat.settled()
      const judgement = chat.history.judge(onlyMessages)
      expect(judgement.verdict, judgementText(judgement)).toBe('pass')
      expect(alone).toBe(0)
    } finally {
      await replicas.close()
    }
  })

  it('of the whole arbiter stops neither messages nor failover, and the epoch goes on', async () => {
    const users = [
      ...(await cluster.usersOf('s1', 6, 'arbiter')),
      ...(await cluster.usersOf('s2', 6, 'arbiter'))
    ]
    const chat = new ChatWorkload(cluster)
    await chat.connect(users)
    const watch = new ClusterWatch(cluster.cluster, chat.history)
    try {
      const before = (await cluster.status()).epoch
      await Promise.all(arbiters.map(id => cluster.cluster.killNode(id)))
      chat.history.fault('kill arbiters')
      await chat.runCount(conversations(users), 1_000, 72)
      const run = chat.runCount(conversations(users), 3_000, 72)
      const victim = await cluster.killLeader('s1')
      chat.history.fault(`kill ${victim}`)
      await cluster.leader('s1', victim)
      await cluster.cluster.startNode(victim)
      await run
      expect(chat.errors).toEqual([])
      await chat.settled()
      expect((await cluster.status()).epoch).toBe(before)

      await cluster.startAll()
      const { epoch } = await cluster.status()
      expect(epoch).toBeGreaterThan(before)
      expect(epoch).toBeGreaterThanOrEqual(watch.epoch)
      await chat.runCount(conversations(users), 500, 72)
      await chat.settled()
      await watch.end()
      const judgement = chat.history.judge(['presence', 'ownership', 'sequences'])
      console.log(`epoch ${before} to ${epoch}\n${judgementText(judgement)}\n  ${chat.summary()}`)
      expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    } finally {
      await watch.end()
    }
  })

  it('of a whole set is felt by that set alone', async () => {
    const [living, dead] = [
      await cluster.usersOf('s1', 12, 'outage'),
      await cluster.usersOf('s2', 12, 'outage')
    ]
    const chat = new ChatWorkload(cluster, { sendDeadlineMs: 120_000 })
    await chat.connect([...living, ...dead])
    const inside = conversations(living)
    const across = living.map((uid, i): [string, string] => [uid, dead[i]!])
    const homes = await Promise.all(across.map(pair => cluster.homeOf(...pair)))
    const homedHere = across.filter((_, i) => homes[i] === 's1')
    const homedThere = across.filter((_, i) => homes[i] === 's2')
    expect([homedHere.length > 0, homedThere.length > 0]).toEqual([true, true])
    await chat.runCount([...inside, ...conversations(dead)], 2_000, 144)

    const measure = async (): Promise<number> => {
      const from = chat.acked
      await chat.runCount(inside, 3_000, 72)
      return p99(chat.acks.slice(from).map(({ tookMs }) => tookMs))
    }
    const beforeMs = await measure()
    await Promise.all(cluster.routerNodes('s2').map(id => cluster.cluster.killNode(id)))
    const killedAtMs = performance.now()
    chat.history.fault('kill s2')
    const waiting = homedThere.map(([from, to], i) => chat.send(from, to, 1_000 + i))
    const waited = Promise.all(waiting)
    const duringMs = await measure()
    await chat.runCount(homedHere, 300, homedHere.length)
    expect(chat.errors).toEqual([])
    const early = await Promise.race([waited.then(() => 'acked'), pause(0, 'waiting')])
    expect(early).toBe('waiting')
    expect(chat.acksOf('s2', killedAtMs, performance.now())).toEqual([])

    await cluster.startAll()
    await waited
    await chat.runCount(conversations(dead), 200, 72)
    await chat.settled()
    const judgement = chat.history.judge([
      ...withoutOwners,
      'sequences',
      'terms',
      'leaders',
      'epochs'
    ])
    console.log(
      `p99 inside the living set: ${beforeMs.toFixed()} ms before, ${duringMs.toFixed()} ms during\n${judgementText(judgement)}`
    )
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    expect(duringMs).toBeLessThan(3 * beforeMs + 100)
    const session = p2pSession(...homedThere[0]!)
    expect(chat.latestOf(session)).toBe(1)
  })
})
