import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { HistoryRecorder, judgementText, onlyMessages } from '../../src/chaos/history-recorder.ts'
import { Workload } from '../../src/chaos/workload.ts'
import type { DrainReport } from '../../src/control/transfer-operator.ts'
import { compileTable } from '../../src/table/compile-table.ts'
import { ChatWorkload, conversations } from '../support/chat-workload.ts'
import { CommandLine } from '../support/command-line.ts'
import { eventually } from '../support/eventually.ts'
import { TestCluster } from '../support/test-cluster.ts'

const lanes = 4
const messagesPerSecond = 200
const users = 30
/**
 * Quiet, nobody waits for a second. Processes that start one after the other beside whatever else the machine does may cost a push, which
 * the next heartbeat brings, after 10 s; this tells that from somebody who is stuck.
 */
const gapMs = 15_000
const rollMs = 150_000

interface RollReport {
  readonly nodes: { readonly id: string; readonly ms: number }[]
  readonly left: string[]
  readonly acked: number
  readonly lost: number
  readonly duplicated: number
  readonly errors: number
  readonly longestGapMs: number
  readonly seconds: number
}

describe('a cluster under traffic', () => {
  let cluster: TestCluster
  let ringset: CommandLine

  beforeAll(async () => {
    cluster = await TestCluster.start()
    ringset = new CommandLine(cluster.directory, cluster.directory, rollMs)
  })
  afterAll(async () => {
    ringset?.close()
    await cluster?.close()
  })

  async function refusalOf(...words: string[]): Promise<{ code: string; text: string }> {
    const { code, stderr } = await ringset.run(...words, '--json')
    expect(code, stderr).toBe(1)
    return (JSON.parse(stderr) as { error: { code: string; text: string } }).error
  }

  async function gateway(id: string) {
    const { sets } = await cluster.status()
    return sets.flatMap(({ transfers }) => transfers).find(transfer => transfer.id === id)!
  }

  async function stateInTable(id: string): Promise<string | undefined> {
    const table = await cluster.cluster.control.any(node => node.table())
    return table.sets.flatMap(({ transfers }) => transfers).find(one => one.id === id)?.state
  }

  /** Somebody who knows only the gateway s1-t1. */
  async function stranger(chat: ChatWorkload): Promise<void> {
    const [address] = cluster.gateways('s1')
    const uid = (await cluster.usersOf('s1', 1, `stranger-${chat.acked}`))[0]!
    const client = cluster.client(uid, { addresses: [address!], deviceId: randomUUID() })
    await client.connect()
    await client.sendText('nobody-is-called-so', 'x')
    await client.close()
  }

  it('has a gateway drained and taken back, and no user is told', async () => {
    const uids = await cluster.usersOf('s1', 16)
    const chat = new ChatWorkload(cluster)
    await chat.connect(uids)
    let over = false
    const run = chat.run(conversations(uids), lanes, () => !over)
    try {
      const before = await gateway('s1-t1')
      expect(before.connections).toBeGreaterThan(0)
      const drained = await ringset.json<DrainReport>(
        ...['transfer', 'drain', 's1-t1', '--over', '1']
      )
      expect(drained).toMatchObject({ transfer: 's1-t1', state: 'draining', changed: true })
      expect(drained).toMatchObject({ connections: 0, moved: before.connections })
      expect(drained.seconds).toBeGreaterThan(0.9)
      expect(await gateway('s1-t1')).toMatchObject({ state: 'draining', connections: 0 })
      await eventually('the table says so', 5_000, async () => {
        return (await stateInTable('s1-t1')) === 'draining'
      })
      await eventually('everybody is at the other one', 5_000, async () => {
        return (await gateway('s1-t2')).connections === uids.length
      })
      await stranger(chat)
      expect((await gateway('s1-t1')).connections).toBe(0)

      expect((await refusalOf('transfer', 'drain', 's1-t2')).code).toBe('LAST_TRANSFER')
      expect((await refusalOf('transfer', 'drain', 's1-t9')).code).toBe('TRANSFER_UNKNOWN')
      const again = await ringset.json<DrainReport>('transfer', 'drain', 's1-t1')
      expect(again).toMatchObject({ state: 'draining', changed: false })
      expect((await refusalOf('roll', '--sets', 's1')).code).toBe('LAST_TRANSFER')

      const undrained = await ringset.json<DrainReport>('transfer', 'undrain', 's1-t1')
      expect(undrained).toMatchObject({ state: 'up', connections: 0, changed: true })
      await eventually('the table says that, too', 5_000, async () => {
        return (await stateInTable('s1-t1')) === 'up'
      })
      const twice = await ringset.json<DrainReport>('transfer', 'undrain', 's1-t1')
      expect(twice).toMatchObject({ state: 'up', changed: false })
      const moving = await ringset.json<DrainReport>('transfer', 'drain', 's1-t2')
      expect(moving).toMatchObject({ moved: uids.length, connections: 0 })
      await ringset.json('transfer', 'undrain', 's1-t2')
    } finally {
      over = true
      await run
    }
    expect(chat.errors).toEqual([])
    await chat.settled()
    const judgement = chat.history.judge(onlyMessages)
    expect(judgement.verdict, judgementText(judgement)).toBe('pass')
    console.log(`${judgementText(judgement)}\n  ${chat.summary()}`)
  })

  it('has a set restarted node by node, and no user is told', async () => {
    const { config } = cluster.cluster
    const table = compileTable(await cluster.cluster.control.any(node => node.table()))
    const history = new HistoryRecorder()
    const workload = new Workload({
      config,
      secret: cluster.secret,
      table,
      history,
      seed: 1,
      plan: {
        users,
        tenants: 0,
        secondDevices: 0.2,
        messagesPerSecond,
        reconnectsPerSecond: 0,
        backends: 1,
        backendOperationsPerSecond: 10
      },
      uids: Array.from({ length: users }, (_, i) => `roller-${i}`)
    })
    try {
      await workload.connect()
      const before = cluster.pids()
      workload.start()
      const roll = ringset.start('roll', '--sets', 's1', '--json')
      await eventually('the first node is on its way', 30_000, () => /1\/3 /.test(roll.stderr))
      expect((await refusalOf('roll')).code).toBe('ALREADY_RUNNING')
      const { code, stdout, stderr } = await roll.finished
      await workload.end()
      expect(code, stderr).toBe(0)
      const report = JSON.parse(stdout) as RollReport
      expect(report).toMatchObject({ left: [], lost: 0, duplicated: 0, errors: 0 })
      expect(report.nodes.map(({ id }) => id).toSorted()).toEqual(['s1-a', 's1-b', 's1-c'])
      const after = cluster.pids()
      for (const [id, pid] of before) expect(after.get(id) === pid, id).toBe(!id.startsWith('s1-'))
      expect(report.acked).toBeGreaterThan(100)
      expect(report.longestGapMs).toBeLessThan(gapMs)

      expect([...workload.errors]).toEqual([])
      expect(await workload.settle(30_000)).toEqual([])
      const judgement = history.judge(['presence', 'ownership', 'epochs', 'terms', 'leaders'])
      expect(judgement.verdict, judgementText(judgement)).toBe('pass')
      const took = workload
        .samples()
        .flatMap(({ dueMs, ackedMs, deliveredMs }) => [ackedMs - dueMs, deliveredMs - dueMs])
      const longest = took.reduce((most, ms) => Math.max(most, ms), 0)
      console.log(
        `  ${report.nodes.length} nodes in ${report.seconds} s; ${workload.acked} acked, longest gap ${Math.round(longest)} ms, of the probes ${report.longestGapMs} ms`
      )
      expect(longest).toBeLessThan(gapMs)
    } finally {
      await workload.close()
    }
  })

  it('is not touched while a replica is down, and left whole when somebody stops it half-way', async () => {
    await cluster.cluster.killNode('s2-c')
    const before = cluster.pids()
    const refused = await refusalOf('roll')
    expect(refused.code).toBe('REPLICA_DOWN')
    expect(refused.text).toMatch(/^set s2: replica 3 \(s2-c\)/)
    expect(cluster.pids()).toEqual(before)
    await cluster.startAll()
    expect((await refusalOf('roll', '--sets', 's7')).code).toBe('SET_UNKNOWN')

    const roll = ringset.start('roll', '--sets', 's2', '--json')
    await eventually('the first node is on its way', 30_000, () => /1\/3 /.test(roll.stderr))
    roll.signal('SIGINT')
    const { code, stdout, stderr } = await roll.finished
    expect(code, stderr).toBe(1)
    const report = JSON.parse(stdout) as RollReport
    expect(report).toMatchObject({ lost: 0, duplicated: 0, errors: 0 })
    expect([report.nodes.length, report.left.length]).toEqual([1, 2])
    await cluster.cluster.waitReady()
  })
})
